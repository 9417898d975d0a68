"""The CDI spec of a lease: what a container gets, and the file that says so."""

import json
from pathlib import Path

import pytest
from tests.support.daemon import limits

from gshare import names
from gshare_deviceplugin import cdi
from gshare_deviceplugin.edits import ContainerEdits
from gshare_deviceplugin.libraries import PodLibraries
from gshare_deviceplugin.mps_paths import MpsPaths

DIGEST = "0f" * 16
LEASE = Path("/run/gshare/gpus/GPU-7/leases/a")
LIBRARIES = PodLibraries(Path("/run/gshare/lib/abc"))


def edits(mps: MpsPaths | None = None) -> ContainerEdits:
    granted = limits("a", gpu_uuid="GPU-7", sm_percent=12, memory_limit_bytes=(1500 << 20) + 1)
    return cdi.lease_edits(granted, LEASE, LIBRARIES, mps)


def test_a_lease_fixes_gpu_share_and_memory_by_the_environment() -> None:
    assert dict(edits().env) == {
        "GSHARE_LEASE_DIR": "/run/gshare/lease",
        "CUDA_VISIBLE_DEVICES": "GPU-7",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "12",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=1501M",
    }


def test_a_lease_is_mounted_read_only_but_for_its_counters() -> None:
    mounts = [(mount.host_path, mount.container_path, mount.options[0]) for mount in edits().mounts]

    assert mounts == [
        (f"{LEASE}", "/run/gshare/lease", "ro"),
        (f"{LEASE}/counters", "/run/gshare/lease/counters", "rw"),
        ("/run/gshare/lib/abc/libgshare_hook.so", "/usr/local/gshare/libgshare_hook.so", "ro"),
        ("/run/gshare/lib/abc/ld.so.preload", "/etc/ld.so.preload", "ro"),
    ]


def test_nothing_is_preloaded_where_a_shim_is() -> None:
    granted = limits("a", gpu_uuid="GPU-7")

    made = cdi.lease_edits(granted, LEASE, LIBRARIES, hook=names.HOOK_SHIM)

    paths = [mount.container_path for mount in made.mounts]
    assert "/usr/local/gshare/libgshare_hook.so" in paths
    assert "/etc/ld.so.preload" not in paths


def test_where_mps_serves_its_pipe_and_memory_are_there() -> None:
    made = edits(MpsPaths(Path("/run/gshare"), "GPU-7"))

    assert dict(made.env)["CUDA_MPS_PIPE_DIRECTORY"] == "/run/gshare/mps"
    assert [(mount.host_path, mount.container_path) for mount in made.mounts[-2:]] == [
        ("/run/gshare/mps/GPU-7/pipe", "/run/gshare/mps"),
        ("/run/gshare/mps/shm", "/dev/shm"),  # noqa: S108
    ]


def test_a_spec_is_one_device_of_our_kind(tmp_path: Path) -> None:
    path = cdi.write_spec(tmp_path / "cdi", DIGEST, ContainerEdits(env=(("A", "1"),)))

    assert path.name == f"gshare.io-lease-{DIGEST}.json"
    assert path.stat().st_mode & 0o777 == 0o644
    assert json.loads(path.read_text()) == {
        "cdiVersion": "0.5.0",
        "kind": "gshare.io/lease",
        "devices": [{"name": DIGEST, "containerEdits": {"env": ["A=1"]}}],
    }


def test_a_spec_with_groups_says_the_version_that_knows_them() -> None:
    assert cdi.spec(DIGEST, ContainerEdits(additional_gids=(44,)))["cdiVersion"] == "0.7.0"


def test_a_spec_written_again_is_one_file_and_removed_it_is_none(tmp_path: Path) -> None:
    for value in ("1", "2"):
        cdi.write_spec(tmp_path, DIGEST, ContainerEdits(env=(("A", value),)))
    assert cdi.digests(tmp_path) == {DIGEST}
    assert len(list(tmp_path.iterdir())) == 1

    for _ in range(2):
        cdi.remove_spec(tmp_path, DIGEST)

    assert cdi.digests(tmp_path) == frozenset()


def test_specs_of_others_are_not_ours(tmp_path: Path) -> None:
    for name in ("nvidia.yaml", "gshare.io-lease-x.json", f".gshare.io-lease-{DIGEST}.json.new"):
        (tmp_path / name).touch()

    assert cdi.digests(tmp_path) == frozenset()
    assert cdi.digests(tmp_path / "none") == frozenset()


def test_a_digest_cannot_name_another_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        cdi.write_spec(tmp_path, "../../etc/x", ContainerEdits())
