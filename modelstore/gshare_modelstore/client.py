"""The client of a GPU's model store: weights that all replicas on the GPU share.

    from gshare_modelstore.client import ModelStore

    with ModelStore.connect() as store:
        weights = store.get_or_load("resnet50", "resnet50.safetensors")
    torch.from_dlpack(weights["conv1.weight"])
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

from .weights import Weights

Tensors: TypeAlias = Mapping[str, object]
"""Arrays by name: anything with DLPack, `__cuda_array_interface__` or a buffer."""
Loader: TypeAlias = str | os.PathLike[str] | Callable[[], "Tensors | str | os.PathLike[str]"]
"""A .safetensors file, or a callable that returns arrays by name or the path of such a file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key that the store keeps and this client may see."""

    key: str
    digest: str
    size_bytes: int
    tier: str
    """"device" or "host"."""


class ModelStore:
    """A connection to the store; may be used from any thread, and after a fork."""

    @classmethod
    def connect(
        cls, path: str | os.PathLike[str] | None = None, *, device: int | str | None = None
    ) -> "ModelStore":
        """Return the store that serves `path`; never fails: without one, loading is private.

        `path` is by default $GSHARE_STORE_SOCKET, else the socket of the container's lease.
        `device` says where tensors shall be: "cpu", "cuda", or the ordinal of a CUDA device. By
        default they are where the store keeps them, and private ones where their loader put them.
        """

    def get(self, key: str, *, digest: str | None = None) -> Weights | None:
        """Return the weights kept as `key`, or None where there are none.

        `digest` is the SHA-256 of the safetensors content, in hexadecimal: Refused where the key
        holds another. Raises Unavailable where nobody serves, Refused with the store's reason.
        """

    def get_or_load(self, key: str, loader: Loader, *, digest: str | None = None) -> Weights:
        """Return the weights kept as `key`; where there are none, load them and share them.

        One client loads while others wait. Where the store is away, full or fails, returns the
        loader's own tensors (`is_shared` is False) and warns once. What the loader raises passes.
        """

    def store(
        self,
        key: str,
        tensors: "Tensors | str | os.PathLike[str]",
        *,
        digest: str | None = None,
        pin: bool = False,
    ) -> str:
        """Keep `tensors` as `key` and return their digest; `pin` keeps them without users too.

        Raises Unavailable, Refused, SafetensorsError, OSError of the file.
        """

    def list(self) -> tuple[Entry, ...]:
        """Return what this client may see."""

    def drop(self, key: str) -> bool:
        """Forget `key`, whoever uses it keeps its mapping; tell whether it was there."""

    def close(self) -> None:
        """End this client's calls. Weights that it returned stay, until the last of them goes."""

    def __enter__(self) -> "ModelStore":
        """Return itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
