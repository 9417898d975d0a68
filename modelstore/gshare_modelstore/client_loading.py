"""Loads a model: calls the loader once, and makes of what it returns content or private weights."""

import contextlib
import dataclasses
import hmac
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from . import client_arrays, client_content, client_cuda, safetensors
from .client_arrays import Array
from .client_connection import Answer, Connection
from .client_content import Content
from .client_memory import HostMemory
from .client_progress import Report
from .errors import RefusedError
from .index import DEVICE_ALIGNMENT
from .protocol import Op, Request
from .tensors import Memory, Tensor
from .weights import Origin, Weights

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FilePath: TypeAlias = str | os.PathLike[str]
Loaded: TypeAlias = Mapping[str, object] | FilePath
"""Arrays by name, or a .safetensors file."""
Loader: TypeAlias = Loaded | Callable[[], Loaded]

HEARTBEAT_S: Final = 5.0
"""How often a client that loads says that it lives; those who wait for it give up after a minute
of silence."""
SLOWEST_STORE_BYTES_PER_S: Final = 50e6
"""The store answers STORE once it has hashed and copied the content: at least so fast."""
_REPORT_S: Final = 0.1


class Load:
    """One load of `key`; whatever it made stays for a second attempt, until it is closed."""

    def __init__(self, key: str, loader: Loader, digest: bytes | None) -> None:
        """Load nothing yet. `digest` is what the content must have, None where any will do."""
        self._key = key
        self._loader = loader
        self._digest = digest
        self._loaded: dict[str, Array] | FilePath | None = None
        self._content: Content | None = None

    def content(self, report: Report) -> Content:
        """Return the sealed content. Raises what the loader does, SafetensorsError, OSError."""
        if self._content is None:
            loaded = self._load()
            if isinstance(loaded, dict):
                self._content = client_content.of_arrays(safetensors.encode(loaded), report)
            else:
                self._content = client_content.of_file(loaded, report)
        return self._content

    def private(self, why: str, place: int | str | None, report: Report) -> Weights:
        """Return weights of this process's own: the loader's arrays where they lie.

        `place` is "cpu", a device's ordinal, or None for wherever they are. RefusedError where
        the digest is another; raises as `content` does.
        """
        self._check(report)
        loaded = self._load()
        if isinstance(loaded, dict) and all(_lies(array, place) for array in loaded.values()):
            tensors = {name: array.tensor() for name, array in loaded.items()}
        else:
            tensors = self._moved(place, report)
        devices = {tensor.device for tensor in tensors.values()} or {"cpu"}
        device = devices.pop() if len(devices) == 1 else "mixed"
        digest = self._digest.hex() if self._digest else None
        return Weights(self._key, Origin(device, digest, why_private=why), lambda: tensors)

    def close(self) -> None:
        """Forget what was made; weights that came of it stay."""
        self._loaded = None
        if self._content is not None:
            self._content.close()

    def _load(self) -> dict[str, Array] | FilePath:
        if self._loaded is None:
            loaded = self._loader() if callable(self._loader) else self._loader
            if isinstance(loaded, str | os.PathLike):
                self._loaded = loaded
            else:
                self._loaded = client_arrays.read_all(loaded)
        return self._loaded

    def _check(self, report: Report) -> None:
        if self._digest is None:
            return
        found = self.content(report).digest()
        if not hmac.compare_digest(found, self._digest):
            text = f"digest {self._digest.hex()} was asked for, {found.hex()} was loaded"
            raise RefusedError(self._key, "INVALID", text)

    def _moved(self, place: int | str | None, report: Report) -> dict[str, Tensor]:
        """Return the content's tensors, on the host or copied to a device."""
        content = self.content(report)
        memory = content.map()
        if not isinstance(place, int):
            return {s.name: Tensor(memory, s.offset, s.dtype, s.shape) for s in content.spans}
        return _uploaded(content, memory, place)


def hand_over(connection: Connection, request: Request, load: Load, report: Report) -> Answer:
    """Load, and give the content to the store by `request`; whoever waits hears how far it is."""
    try:
        with told(connection, request.key, report) as tell:
            content = load.content(tell)
        size = content.size_bytes
        return connection.ask(
            dataclasses.replace(request, content_bytes=size),
            content.descriptor,
            more_silence_s=size / SLOWEST_STORE_BYTES_PER_S,
        )
    except BaseException:
        connection.tell(Request(Op.ABANDON, request.key))
        raise


def _lies(array: Array, place: int | str | None) -> bool:
    device = array.tensor().device
    return place is None or device == ("cpu" if place == "cpu" else f"cuda:{place}")


def _uploaded(content: Content, memory: HostMemory, ordinal: int) -> dict[str, Tensor]:
    """Copy each tensor to an aligned place in one allocation, as the store does."""
    places, end = [], 0
    for span in content.spans:
        places.append(end)
        end += -(-span.size_bytes // DEVICE_ALIGNMENT) * DEVICE_ALIGNMENT
    device = client_cuda.allocate(end, ordinal)
    tensors = {}
    for span, offset in zip(content.spans, places, strict=True):
        client_cuda.upload(device, offset, _bytes(memory, span.offset, span.size_bytes))
        tensors[span.name] = Tensor(device, offset, span.dtype, span.shape)
    return tensors


def _bytes(memory: Memory, offset: int, size_bytes: int) -> "npt.NDArray[np.uint8]":
    return Tensor(memory, offset, "U8", (size_bytes,)).numpy()


@contextlib.contextmanager
def told(connection: Connection, key: str, report: Report) -> Iterator[Report]:
    """Yield what to tell of a load's bytes: the store hears it too, and every 5 s that we live."""
    ended = threading.Event()
    told_at = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        report(done, total)
        if time.monotonic() - told_at >= _REPORT_S:
            told_at = time.monotonic()
            connection.tell(Request(Op.PROGRESS, key, content_bytes=done, total_bytes=total))

    def beat() -> None:
        while not ended.wait(HEARTBEAT_S):
            if time.monotonic() - told_at >= HEARTBEAT_S:
                connection.tell(Request(Op.PROGRESS, key))
                report(0, 0)

    heart = threading.Thread(target=beat, name="gshare-store-heartbeat", daemon=True)
    heart.start()
    try:
        yield tell
    finally:
        ended.set()
        heart.join()
