"""Versions of what containers load: never changed, and kept while somebody has them."""

import os
from pathlib import Path

import pytest

from gshare.runtime.native import Native
from gshare_deviceplugin import libraries


@pytest.fixture
def native(tmp_path: Path) -> Native:
    root = tmp_path / "native"
    for name in ("lib/libgshare_hook.so", "simgpu/libcuda.so.1", "simgpu/libnvidia-ml.so.1"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name} of the first build")
    return Native(root)


def test_a_version_has_hook_preload_file_and_drivers(tmp_path: Path, native: Native) -> None:
    made = libraries.publish(tmp_path / "lib", native, simulated=True)

    assert made.preload.read_text() == "/usr/local/gshare/libgshare_hook.so\n"
    assert made.hook.read_text() == "lib/libgshare_hook.so of the first build"
    names = sorted(file.name for file in made.drivers.iterdir())
    assert names == ["libcuda.so.1", "libnvidia-ml.so.1"]


def test_real_gpus_bring_no_simulated_drivers(tmp_path: Path, native: Native) -> None:
    made = libraries.publish(tmp_path / "lib", native, simulated=False)

    assert list(made.drivers.iterdir()) == []


def test_a_new_build_is_another_version_beside_the_old_one(tmp_path: Path, native: Native) -> None:
    first = libraries.publish(tmp_path / "lib", native, simulated=True)
    native.hook.write_text("of the second build")

    second = libraries.publish(tmp_path / "lib", native, simulated=True)

    assert second.digest != first.digest
    assert first.hook.read_text().endswith("first build")


def test_the_same_build_is_not_copied_again(tmp_path: Path, native: Native) -> None:
    first = libraries.publish(tmp_path / "lib", native, simulated=True)
    inode = first.hook.stat().st_ino

    again = libraries.publish(tmp_path / "lib", native, simulated=True)

    assert again == first
    assert again.hook.stat().st_ino == inode


def test_every_user_can_load_it_whatever_our_umask(tmp_path: Path, native: Native) -> None:
    old = os.umask(0o077)
    try:
        made = libraries.publish(tmp_path / "lib", native, simulated=True)
    finally:
        os.umask(old)

    files = [made.folder, *made.folder.rglob("*")]
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in files)


def test_a_sweep_removes_old_versions_and_what_a_killed_copy_left(
    tmp_path: Path, native: Native
) -> None:
    made = libraries.publish(tmp_path / "lib", native, simulated=True)
    (tmp_path / "lib" / ".new-left-7").mkdir()
    (tmp_path / "lib" / "0123456789abcdef").mkdir()

    gone = libraries.sweep(tmp_path / "lib", {made.digest})

    assert sorted(gone) == [".new-left-7", "0123456789abcdef"]
    assert made.hook.exists()


def test_nothing_is_swept_where_nothing_is(tmp_path: Path) -> None:
    assert libraries.sweep(tmp_path / "none", ()) == ()
