"""Lease ids of the local node."""

import pytest
from tests.support import gpus

from gshare.layout import Layout
from gshare.modes import RECT, Packer
from gshare.rectangles import Rectangle
from gshare.runtime import lease_ids, local_node
from gshare.runtime.lease_ids import LONGEST_LEASE_ID
from gshare.runtime.local_node import Demand
from gshare.runtime.state import LeaseRecord


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
    assert lease_ids.lease_id(replica) == expected


def test_long_names_that_differ_at_the_end_get_different_lease_ids() -> None:
    ids = {lease_ids.lease_id(f"{'a' * 60}-{index}") for index in range(50)}

    assert len(ids) == 50
    assert all(len(each) <= LONGEST_LEASE_ID for each in ids)


def test_a_lease_id_that_another_run_has_is_not_given_again() -> None:
    demands = [Demand("resnet-0", "resnet", 12, 40, 100)]

    assert list(local_node._keys_for(demands, taken={"resnet-0"})) == ["resnet-0-x2"]


def held(*lease_ids: str) -> list[LeaseRecord]:
    return [LeaseRecord(each, each, "f", "GPU-0", 50, 60, 100, 2**30) for each in lease_ids]


def test_leases_keep_the_places_that_were_written() -> None:
    written = Layout((("a", Rectangle(40, 50, 60, 50)),))

    snapshot = local_node._snapshot(gpus.gpu(), held("a"), written, Packer(RECT))

    assert snapshot.layout == written
    assert snapshot.memory == (("a", 2**30),)


def test_a_written_place_whose_lease_has_ended_is_free() -> None:
    written = Layout((("gone", Rectangle(0, 0, 60, 50)), ("a", Rectangle(0, 50, 60, 50))))

    snapshot = local_node._snapshot(gpus.gpu(), held("a"), written, Packer(RECT))

    assert snapshot.layout.keys == ("a",)


def test_a_lease_without_a_written_place_has_the_gpu_laid_out_anew() -> None:
    written = Layout((("a", Rectangle(40, 25, 60, 50)),))

    snapshot = local_node._snapshot(gpus.gpu(), held("a", "b"), written, Packer(RECT))

    assert set(snapshot.layout.keys) == {"a", "b"}
