"""Content of loaders in memory files: sealed, whole, and no larger in memory than its data."""

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from gshare_modelstore import client_arrays, client_content, safetensors
from gshare_modelstore.client_content import Content
from gshare_modelstore.errors import SafetensorsError

MIB = 1 << 20
WRITTEN = {"a": np.arange(1000, dtype=np.float32), "b": np.zeros(3, np.uint8)}


def silently(_done: int, _total: int) -> None:
    """Report nothing."""


def of_arrays(arrays: dict[str, np.ndarray], report=silently) -> Content:
    return client_content.of_arrays(safetensors.encode(client_arrays.read_all(arrays)), report)


def whole(content: Content) -> bytes:
    return os.pread(content.descriptor, content.size_bytes, 0)


def in_memory_bytes(descriptor: int) -> int:
    return os.fstat(descriptor).st_blocks * 512


def memory_files() -> int:
    """Return how many memory files of contents are open; other tests' sockets come and go."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder's own, and other threads'
            found += "memfd:gshare-weights" in str(each.readlink())
    return found


def sparse() -> dict[str, np.ndarray]:
    values = np.zeros(16 * MIB, np.uint8)
    values[:10] = 1
    values[-1] = 1
    return {"w": values}


def test_content_is_sealed_against_every_change():
    content = of_arrays(WRITTEN)

    seals = fcntl.fcntl(content.descriptor, fcntl.F_GET_SEALS)
    assert seals == fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    with pytest.raises(PermissionError):
        os.pwrite(content.descriptor, b"x", 0)


def test_a_file_is_copied_as_it_is(tmp_path: Path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(whole(of_arrays(WRITTEN)))

    content = client_content.of_file(file, silently)

    assert whole(content) == file.read_bytes()
    assert {span.name for span in content.spans} == {"a", "b"}


def test_zeros_take_no_memory():
    content = of_arrays(sparse())

    assert content.size_bytes > 16 * MIB
    assert in_memory_bytes(content.descriptor) <= 3 * MIB
    assert whole(content)[-16 * MIB :] == sparse()["w"].tobytes()


def test_holes_of_a_file_stay_holes(tmp_path: Path):
    file = tmp_path / "w.safetensors"
    source = of_arrays(sparse())
    with file.open("wb") as out:
        os.truncate(out.fileno(), source.size_bytes)
        out.write(whole(source)[: 1 << 12])
        out.seek(source.size_bytes - 1)
        out.write(b"\1")

    content = client_content.of_file(file, silently)

    assert whole(content) == whole(source)
    assert in_memory_bytes(content.descriptor) <= 3 * MIB


def test_progress_ends_with_all_of_it():
    told = []

    content = of_arrays({"w": np.ones(20 * MIB, np.uint8)}, lambda *seen: told.append(seen))

    assert len(told) == 4
    assert told[-1] == (content.size_bytes, content.size_bytes)
    assert sorted(told) == told


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param(b"", "0 bytes: too short", id="empty"),
        pytest.param(b"\2\0\0\0\0\0\0\0{", "cut off", id="half a header"),
        pytest.param(b"\2\0\0\0\0\0\0\0{}x", "the header describes 10", id="a byte more"),
    ],
)
def test_a_file_that_is_no_content_is_named(tmp_path: Path, raw: bytes, said: str):
    file = tmp_path / "broken.safetensors"
    file.write_bytes(raw)
    before = memory_files()

    with pytest.raises(SafetensorsError, match=said) as caught:
        client_content.of_file(file, silently)

    assert str(caught.value).startswith(f"{file}: ")
    assert memory_files() <= before + 1, "more than the error's map"


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(IsADirectoryError):
        client_content.of_file(tmp_path, silently)


def test_a_source_that_fails_leaves_no_file_behind():
    class Lost:
        dtype, shape = "U8", (1,)

        def read(self) -> memoryview:
            raise SafetensorsError("lost")

    before = memory_files()

    with pytest.raises(SafetensorsError, match="lost"):
        client_content.of_arrays(safetensors.encode({"a": Lost()}), silently)

    assert memory_files() == before


def test_the_digest_is_of_all_bytes():
    content = of_arrays(WRITTEN)

    assert content.digest() == hashlib.sha256(whole(content)).digest()
