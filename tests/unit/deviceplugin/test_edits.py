"""Container edits: merged by what they are for, and read back as they were written."""

import pytest

from gshare_deviceplugin.edits import (
    ContainerEdits,
    DeviceNode,
    Hook,
    Mount,
    encode_edits,
    merge,
    parse_edits,
)

FULL = ContainerEdits(
    env=(("A", "1"), ("B", "x=y")),
    mounts=(Mount("/host", "/inside", ("ro", "bind")), Mount("tmpfs", "/t", (), "tmpfs")),
    device_nodes=(DeviceNode("/dev/nvidia0", "/dev/nvidia0", "c", 195, 0, 0o666, "rw", 1, 2),),
    hooks=(Hook("createContainer", "/usr/bin/nvidia-ctk", ("nvidia-ctk", "hook"), ("X=1",), 5),),
    additional_gids=(44, 104),
)


def test_edits_come_back_as_they_were_written() -> None:
    assert parse_edits(encode_edits(FULL)) == FULL


def test_nothing_is_written_of_what_is_empty() -> None:
    assert encode_edits(ContainerEdits()) == {}


def test_of_two_for_one_variable_path_or_device_the_later_one_holds() -> None:
    first = ContainerEdits(
        (("A", "1"), ("B", "1")), (Mount("/a", "/in"),), (DeviceNode("/dev/x", major=1),)
    )
    second = ContainerEdits((("A", "2"),), (Mount("/b", "/in"),), (DeviceNode("/dev/x", major=2),))

    merged = merge(first, second)

    assert dict(merged.env) == {"A": "2", "B": "1"}
    assert [mount.host_path for mount in merged.mounts] == ["/b"]
    assert [node.major for node in merged.device_nodes] == [2]


def test_merging_with_nothing_changes_nothing() -> None:
    assert merge(FULL, ContainerEdits(), FULL) == FULL


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param([], "containerEdits", id="a list"),
        pytest.param({"env": ["A"]}, "env 'A'", id="a variable without a value"),
        pytest.param({"env": "A=1"}, "env", id="variables that are no list"),
        pytest.param({"mounts": [{"hostPath": "/a"}]}, "containerPath", id="a mount to nowhere"),
        pytest.param({"deviceNodes": ["/dev/x"]}, "deviceNodes", id="a device that is a text"),
        pytest.param({"hooks": [{"path": "/x"}]}, "hookName", id="a hook without a name"),
    ],
)
def test_what_is_no_edit_is_refused_with_its_field(raw: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_edits(raw)
