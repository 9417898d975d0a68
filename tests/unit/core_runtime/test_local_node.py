"""Lease ids of the local node."""

import pytest

from gshare.runtime import local_node
from gshare.runtime.local_node import LONGEST_LEASE_ID, Demand


@pytest.mark.parametrize(
    ("replica", "expected"),
    [
        pytest.param("resnet-0", "resnet-0", id="plain"),
        pytest.param("team/resnet-0", "team-resnet-0", id="namespace"),
        pytest.param("resnet.v2-0", "resnet-v2-0", id="dot"),
        pytest.param("run-My_Tool", "run-my-tool", id="capitals and underscores"),
    ],
)
def test_a_lease_is_called_after_its_replica(replica: str, expected: str) -> None:
    assert local_node.lease_id(replica) == expected


def test_long_names_that_differ_at_the_end_get_different_lease_ids() -> None:
    ids = {local_node.lease_id(f"{'a' * 60}-{index}") for index in range(50)}

    assert len(ids) == 50
    assert all(len(each) <= LONGEST_LEASE_ID for each in ids)


def test_a_lease_id_that_another_run_has_is_not_given_again() -> None:
    demands = [Demand("resnet-0", "resnet", 12, 40, 100)]

    assert list(local_node._keys_for(demands, taken={"resnet-0"})) == ["resnet-0-x2"]
