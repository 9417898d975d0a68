"""What NVIDIA's front end answers, and whose processes those are."""

import pytest

from gshare_deviceplugin.mps_clients import pod_of
from gshare_deviceplugin.mps_control import is_done, process_ids

UID = "0c6a4e1e-89ab-4cde-8f01-23456789abcd"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("", (), id="none"),
        pytest.param("4711\n815\n", (4711, 815), id="two servers"),
        pytest.param("Server 5 not found\n", (), id="a message"),
    ],
)
def test_process_ids_are_lines_of_digits(said: str, expected: tuple[int, ...]) -> None:
    assert process_ids(said) == expected


@pytest.mark.parametrize(
    ("said", "done"),
    [
        pytest.param("", True, id="silence"),
        pytest.param("0\n", True, id="status zero"),
        pytest.param("Server 1 not found\nServer 1 not found!\n1\n", False, id="no server"),
        pytest.param("Invalid process 2!\n1\n", False, id="no client"),
    ],
)
def test_a_client_is_terminated_when_nothing_is_complained_of(said: str, *, done: bool) -> None:
    assert is_done(said) == done


@pytest.mark.parametrize(
    ("cgroup", "pod"),
    [
        pytest.param(f"0::/kubepods/burstable/pod{UID}/3f2a", UID, id="cgroupfs"),
        pytest.param(
            "0::/kubepods.slice/kubepods-burstable.slice/"
            f"kubepods-burstable-pod{UID.replace('-', '_')}.slice/cri-containerd-3f2a.scope",
            UID,
            id="systemd",
        ),
        pytest.param(f"0::/../../pod{UID}/3f2a", UID, id="seen from a container"),
        pytest.param(f"0::/kubepods/pod{'ab' * 16}/3f", "ab" * 16, id="static pod"),
        pytest.param("0::/user.slice/user-0.slice", None, id="no pod"),
        pytest.param("", None, id="ended"),
    ],
)
def test_a_process_belongs_to_the_pod_of_its_cgroup(cgroup: str, pod: str | None) -> None:
    assert pod_of(cgroup) == pod
