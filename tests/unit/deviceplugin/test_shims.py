"""What a container gets where its pod asks for a shim: its driver's mounts, changed."""

from pathlib import Path

import pytest

from gshare import elf, names, shim
from gshare.elf import Export, Library
from gshare.errors import GshareError
from gshare_deviceplugin.edits import ContainerEdits, DeviceNode, Mount
from gshare_deviceplugin.shims import PodShims

PRIVATE = "/usr/local/gshare/driver/libcuda.so.1.driver"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"


def driver(path: Path) -> None:
    """Write a library that can have a shim."""
    exports = (Export("cuInit", True),)  # noqa: FBT003
    path.parent.mkdir(parents=True, exist_ok=True)
    soname = f"{path.name.split('.so')[0]}.so.1"
    path.write_bytes(shim.build(Library(elf.X86_64, soname, exports), "/none", "/none"))


def host_mounts(edits: ContainerEdits) -> dict[str, str]:
    return {mount.container_path: mount.host_path for mount in edits.mounts}


@pytest.fixture
def shims(tmp_path: Path) -> PodShims:
    """Return the shims of a node with a driver, whose files lie under `tmp_path`/host."""
    driver(tmp_path / f"host{LIBRARIES}/libcuda.so.550.163")
    driver(tmp_path / f"host{LIBRARIES}/libnvidia-ml.so.550.163")
    old = tmp_path / "host/usr/lib/i386-linux-gnu/libcuda.so.550.163"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"\x7fELF\x01\x01\x01")
    return PodShims(tmp_path / "state", tmp_path / "host")


def test_the_toolkits_own_mount_of_the_driver_leads_to_the_shim(
    shims: PodShims, tmp_path: Path
) -> None:
    path = f"{LIBRARIES}/libcuda.so.550.163"
    given = ContainerEdits(
        env=(("NVIDIA_VISIBLE_DEVICES", "void"),),
        mounts=(Mount(path, path), Mount("/usr/bin/nvidia-smi", "/usr/bin/nvidia-smi")),
        device_nodes=(DeviceNode("/dev/nvidia0"),),
    )

    changed = shims.before(given)

    mounted = host_mounts(changed)
    assert mounted[PRIVATE] == path
    assert mounted["/usr/bin/nvidia-smi"] == "/usr/bin/nvidia-smi"
    made = Path(mounted[path])
    assert made.is_relative_to(tmp_path / "state" / "shims")
    assert elf.read(made.read_bytes()).soname == "libcuda.so.1"
    assert (changed.env, changed.device_nodes) == (given.env, given.device_nodes)


def test_nvml_gets_a_shim_of_its_own(shims: PodShims) -> None:
    paths = [f"{LIBRARIES}/{name}.so.550.163" for name in ("libcuda", "libnvidia-ml")]

    mounted = host_mounts(shims.before(ContainerEdits(mounts=tuple(Mount(p, p) for p in paths))))

    assert mounted["/usr/local/gshare/driver/libnvidia-ml.so.1.driver"] == paths[1]
    assert elf.read(Path(mounted[paths[1]]).read_bytes()).soname == "libnvidia-ml.so.1"


def test_a_32_bit_driver_is_not_given_as_the_hook_cannot_hold_it(shims: PodShims) -> None:
    old = "/usr/lib/i386-linux-gnu/libcuda.so.550.163"
    path = f"{LIBRARIES}/libcuda.so.550.163"

    mounted = host_mounts(shims.before(ContainerEdits(mounts=(Mount(old, old), Mount(path, path)))))

    assert old not in mounted
    assert mounted[PRIVATE] == path


def test_a_folder_of_drivers_is_covered_name_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "state/lib/abc/simgpu"
    driver(folder / "libcuda.so.1")
    driver(folder / "libcuda.so")

    given = ContainerEdits(mounts=(Mount(str(folder), "/usr/local/gshare/simgpu"),))
    mounted = host_mounts(PodShims(tmp_path / "state", Path("/host")).before(given))

    assert mounted["/usr/local/gshare/simgpu"] == str(folder)
    assert mounted[PRIVATE] == f"{folder}/libcuda.so.1"
    covers = {
        mounted[f"/usr/local/gshare/simgpu/{name}"] for name in ("libcuda.so.1", "libcuda.so")
    }
    assert len(covers) == 1
    assert covers.pop().startswith(f"{tmp_path}/state/shims/")


def test_another_driver_leaves_no_shim_of_the_last(shims: PodShims, tmp_path: Path) -> None:
    path = f"{LIBRARIES}/libcuda.so.550.163"
    given = ContainerEdits(mounts=(Mount(path, path),))
    first = host_mounts(shims.before(given))[path]
    file = tmp_path / f"host{path}"
    file.write_bytes(file.read_bytes() + b"changed")

    second = host_mounts(shims.before(given))[path]

    assert first != second
    assert [folder.name for folder in (tmp_path / "state/shims").iterdir()] == [
        Path(second).parent.name
    ]


def test_a_driver_that_is_not_there_is_an_error_with_its_path(shims: PodShims) -> None:
    path = f"{LIBRARIES}/libcuda.so.555.42"

    with pytest.raises(GshareError, match=r"libcuda\.so\.555\.42: No such file"):
        shims.before(ContainerEdits(mounts=(Mount(path, path),)))


def test_a_container_without_a_driver_is_an_error(shims: PodShims) -> None:
    with pytest.raises(GshareError, match=r"no libcuda\.so among"):
        shims.before(ContainerEdits())


def test_the_names_of_the_modes_are_those_of_the_policy() -> None:
    policy = Path(__file__).parents[3] / "manifests/base/policy-pods.yaml"

    assert f"variables.hook in {list(names.HOOKS)}" in policy.read_text()
