"""Shims on disk: made once for each driver, and made anew for another."""

from pathlib import Path

import pytest

from gshare import elf, shim
from gshare.elf import Export, Library
from gshare.errors import GshareError
from gshare.runtime.shim import Shims, folder_before, write

HOOK = "/usr/local/gshare/libgshare_hook.so"
BEHIND = "/usr/local/gshare/driver/libcuda.so.1"


def driver(path: Path, *names: str) -> Path:
    """Write a library that exports these names."""
    exports = tuple(Export(name, True) for name in names)  # noqa: FBT003
    path.write_bytes(shim.build(Library(elf.X86_64, path.name, exports), "/none", "/none"))
    return path


def test_a_driver_gets_one_shim_that_is_not_written_again(tmp_path: Path) -> None:
    file = driver(tmp_path / "libcuda.so.1", "cuInit")

    first = Shims(tmp_path / "shims").of(file, HOOK, BEHIND)
    made = first.stat()
    again = Shims(tmp_path / "shims").of(file, HOOK, BEHIND)

    assert again == first
    assert (again.stat().st_ino, again.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert made.st_mode & 0o777 == 0o755


def test_a_driver_that_changed_gets_another_shim(tmp_path: Path) -> None:
    shims = Shims(tmp_path / "shims")
    first = shims.of(driver(tmp_path / "libcuda.so.1", "cuInit"), HOOK, BEHIND)

    second = shims.of(driver(tmp_path / "libcuda.so.1", "cuInit", "cuNew"), HOOK, BEHIND)

    assert [len(elf.read(path.read_bytes()).exports) for path in (first, second)] == [1, 2]


def test_shims_of_drivers_that_are_gone_can_be_removed(tmp_path: Path) -> None:
    shims = Shims(tmp_path / "shims")
    first = shims.of(driver(tmp_path / "libcuda.so.1", "cuInit"), HOOK, BEHIND)
    second = shims.of(driver(tmp_path / "libcuda.so.1", "cuInit", "cuNew"), HOOK, BEHIND)

    shims.keep_only([second])

    assert (first.exists(), second.exists()) == (False, True)


@pytest.mark.parametrize("content", [None, b"text", b"\x7fELF\x02\x01\x01"], ids=repr)
def test_what_is_no_driver_is_refused_in_one_line_with_its_name(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "libcuda.so.1"
    if content is not None:
        file.write_bytes(content)

    for make in (
        lambda: Shims(tmp_path / "shims").of(file, HOOK, BEHIND),
        lambda: write(tmp_path / "shim", Path(HOOK), file),
    ):
        with pytest.raises(GshareError, match=f"^{file}: [^\n]*: no shim can be made for it$"):
            make()


def test_a_folder_for_the_loader_has_all_names_of_the_drivers(tmp_path: Path) -> None:
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        driver(tmp_path / name, "cuInit")

    folder = folder_before(tmp_path / "shims", tmp_path, Path(HOOK))

    assert {link.name: elf.read(link.read_bytes()).soname for link in folder.iterdir()} == {
        "libcuda.so": "libcuda.so.1",
        "libcuda.so.1": "libcuda.so.1",
        "libnvidia-ml.so": "libnvidia-ml.so.1",
        "libnvidia-ml.so.1": "libnvidia-ml.so.1",
    }


def test_there_is_no_folder_without_a_driver(tmp_path: Path) -> None:
    with pytest.raises(GshareError, match=r"libcuda\.so\.1: is not there"):
        folder_before(tmp_path / "shims", tmp_path, Path(HOOK))
