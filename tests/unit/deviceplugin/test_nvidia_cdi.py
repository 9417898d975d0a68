"""The node's NVIDIA CDI spec, in the forms in which nvidia-ctk writes it."""

import json
from pathlib import Path

import pytest
import yaml

from gshare.annotations import NodeGpu
from gshare.errors import GshareError
from gshare_deviceplugin import nvidia_cdi
from gshare_deviceplugin.nvml import Device

UUIDS = ("GPU-11111111-0000-4000-8000-000000000000", "GPU-22222222-0000-4000-8000-000000000000")
SHARED = {
    "env": [
        "NVIDIA_CTK_LIBCUDA_DIR=/usr/lib/x86_64-linux-gnu",
        "NVIDIA_VISIBLE_DEVICES=void",
    ],
    "deviceNodes": [
        {"path": "/dev/nvidia-modeset"},
        {"path": "/dev/nvidia-uvm"},
        {"path": "/dev/nvidia-uvm-tools"},
        {"path": "/dev/nvidiactl"},
    ],
    "hooks": [
        {
            "hookName": "createContainer",
            "path": "/usr/bin/nvidia-cdi-hook",
            "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", "/usr/lib/x86_64-linux-gnu"],
            "env": ["NVIDIA_CTK_DEBUG=false"],
        }
    ],
    "mounts": [
        {
            "hostPath": "/usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07",
            "containerPath": "/usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07",
            "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"],
        },
        {
            "hostPath": "/run/nvidia-persistenced/socket",
            "containerPath": "/run/nvidia-persistenced/socket",
            "options": ["ro", "nosuid", "nodev", "noexec", "rbind", "rprivate"],
        },
    ],
}


def whole(name: str, minor: int) -> dict[str, object]:
    """Return the entry of a whole GPU."""
    nodes = [{"path": f"/dev/nvidia{minor}"}, {"path": f"/dev/dri/card{minor + 1}"}]
    return {"name": name, "containerEdits": {"deviceNodes": nodes, "additionalGids": [44]}}


def mig(name: str, minor: int) -> dict[str, object]:
    """Return the entry of a MIG device, which has its GPU's file too."""
    paths = (
        f"/dev/nvidia{minor}",
        "/dev/nvidia-caps/nvidia-cap21",
        "/dev/nvidia-caps/nvidia-cap22",
    )
    return {"name": name, "containerEdits": {"deviceNodes": [{"path": path} for path in paths]}}


def every() -> dict[str, object]:
    nodes = [{"path": "/dev/nvidia0"}, {"path": "/dev/nvidia1"}]
    return {"name": "all", "containerEdits": {"deviceNodes": nodes}}


def write(folder: Path, *entries: dict[str, object], name: str = "nvidia.yaml") -> Path:
    """Write a spec of these devices, as YAML or JSON by its name."""
    spec = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": list(entries),
        "containerEdits": SHARED,
    }
    folder.mkdir(exist_ok=True)
    text = json.dumps(spec) if name.endswith("json") else f"---\n{yaml.safe_dump(spec)}"
    (folder / name).write_text(text)
    return folder


def device(position: int, minor: int | None = None) -> Device:
    gpu = NodeGpu(UUIDS[position], "NVIDIA L4", 58, 24 << 30)
    return Device(gpu, position, position if minor is None else minor, None)


def paths(folder: Path, wanted: Device) -> list[str]:
    """Return the device files that a container on a GPU gets."""
    edits = nvidia_cdi.NvidiaDriver((folder,)).edits(wanted, "a")
    return [node.path for node in edits.device_nodes]


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((whole("0", 0), whole("1", 1), every()), id="by index"),
        pytest.param((whole(UUIDS[0], 0), whole(UUIDS[1], 1), every()), id="by uuid"),
        pytest.param((whole("gpu0", 0), whole("gpu1", 1), every()), id="by type and index"),
        pytest.param(
            (whole("0", 0), whole(UUIDS[0], 0), whole("1", 1), whole(UUIDS[1], 1), every()),
            id="by index and uuid",
        ),
        pytest.param((mig("1:0", 1), mig("mig1:1", 1), whole("1", 1)), id="beside mig devices"),
    ],
)
def test_a_gpu_is_found_however_devices_are_named(
    tmp_path: Path, entries: tuple[dict[str, object], ...]
) -> None:
    found = paths(write(tmp_path / "cdi", *entries), device(1))

    assert "/dev/nvidia1" in found
    assert "/dev/nvidia0" not in found
    assert not any("nvidia-cap" in path for path in found)


def test_json_is_read_as_yaml_is(tmp_path: Path) -> None:
    folder = write(tmp_path / "cdi", whole("0", 0), name="nvidia.json")

    assert "/dev/nvidia0" in paths(folder, device(0))


def test_a_device_brings_what_the_spec_gives_to_all(tmp_path: Path) -> None:
    folder = write(tmp_path / "cdi", whole("0", 0))

    edits = nvidia_cdi.NvidiaDriver((folder,)).edits(device(0), "a")

    assert [node.path for node in edits.device_nodes][-2:] == ["/dev/nvidia0", "/dev/dri/card1"]
    assert "/dev/nvidiactl" in [node.path for node in edits.device_nodes]
    assert [mount.container_path for mount in edits.mounts] == [
        "/usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07",
        "/run/nvidia-persistenced/socket",
    ]
    assert edits.hooks[0].args[1] == "update-ldcache"
    assert edits.additional_gids == (44,)


def test_no_other_runtime_adds_gpus_of_its_own(tmp_path: Path) -> None:
    entry = whole("0", 0)
    entry["containerEdits"] |= {"env": ["NVIDIA_VISIBLE_DEVICES=0"]}  # type: ignore[operator]

    edits = nvidia_cdi.NvidiaDriver((write(tmp_path / "cdi", entry),)).edits(device(0), "a")

    assert dict(edits.env)["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_an_index_that_now_means_another_gpu_is_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "cdi", whole("0", 1), whole("1", 0))

    assert "/dev/nvidia0" in paths(folder, device(0))


def test_a_later_folder_goes_before_an_earlier_one(tmp_path: Path) -> None:
    static = write(tmp_path / "etc", whole("0", 5))
    made_at_boot = write(tmp_path / "run", whole("0", 0))

    found = nvidia_cdi.devices((static, made_at_boot))

    assert found["0"].minors == {0}


def test_without_a_spec_the_cure_is_said_on_one_line(tmp_path: Path) -> None:
    driver = nvidia_cdi.NvidiaDriver((tmp_path / "none", tmp_path))

    with pytest.raises(GshareError, match=r"^GPU-1.*/dev/nvidia0 .*nvidia-ctk cdi generate.*$"):
        driver.edits(device(0), "a")


def test_a_spec_that_lacks_the_gpu_is_as_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "cdi", whole("0", 0), mig("1:0", 1), every())

    with pytest.raises(GshareError, match="no CDI device of kind"):
        paths(folder, device(1))


def test_specs_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    folder = write(tmp_path / "cdi", whole("0", 0))
    (folder / "other.json").write_text('{"kind": "vendor.com/nic", "devices": [{"name": "0"}]}')
    (folder / "like.json").write_text('{"kind": "vendor.com/nic", "for": "nvidia.com/gpu"}')
    (folder / "notes.txt").write_text("nvidia.com/gpu")

    assert "/dev/nvidia0" in paths(folder, device(0))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("kind: nvidia.com/gpu\ndevices: [{", id="cut off"),
        pytest.param("kind: nvidia.com/gpu\ndevices: [{containerEdits: {}}]", id="no name"),
        pytest.param("kind: nvidia.com/gpu\ndevices: [7]", id="a device that is a number"),
        pytest.param("kind: nvidia.com/gpu\ncontainerEdits: {env: [A]}", id="a broken variable"),
    ],
)
def test_a_broken_spec_is_named_on_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "nvidia.yaml").write_text(text)

    with pytest.raises(GshareError) as raised:
        paths(tmp_path, device(0))

    assert str(raised.value).startswith(f"{tmp_path}/nvidia.yaml: is no CDI spec")
    assert "\n" not in str(raised.value)
