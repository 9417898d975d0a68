"""The weights that are measured: 1 GiB of real pages in a safetensors file."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

KEY: Final = "bench"
TENSORS: Final = 128
_SHAPE: Final = (1024, 2048)
BYTES: Final = TENSORS * _SHAPE[0] * _SHAPE[1] * 4
"""As many tensors as a ResNet has layers, 8 MiB each."""


@contextlib.contextmanager
def on_disk(folder: Path, first: int = 0) -> Iterator[Path]:
    """Write the file below `folder`, which is on a disk, and remove it afterwards.

    Files of another `first` value hold other weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="weights-", dir=folder) as made:
        file = Path(made) / "weights.safetensors"
        with file.open("wb") as out:
            out.write(_head())
            for number in range(TENSORS):
                values = np.arange(_SHAPE[0] * _SHAPE[1], dtype=np.float32) + first + number
                out.write(values.tobytes())
            out.flush()
            os.fsync(out.fileno())
        yield file


def _head() -> bytes:
    """Return length and header, written here by the format's description alone."""
    size = _SHAPE[0] * _SHAPE[1] * 4
    header = {
        f"layer.{number:03}": {
            "dtype": "F32",
            "shape": list(_SHAPE),
            "data_offsets": [number * size, (number + 1) * size],
        }
        for number in range(TENSORS)
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def forget(file: Path) -> None:
    """Have the kernel drop the file's pages, as after a reboot of the node."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
