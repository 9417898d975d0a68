"""Weights: a model's tensors by name, and where they came from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from .tensors import Tensor


@dataclass(frozen=True, slots=True)
class Origin:
    """Where weights came from, and where they are."""

    device: str
    """ "cpu", "cuda:0" and so on; "mixed" where a loader's own tensors are on several."""
    digest: str | None = None
    """SHA-256 of the safetensors content, in hexadecimal; None for private ones never hashed."""
    is_shared: bool = False
    """Whether others on this GPU or host use the same memory, or may."""
    why_private: str = ""
    """What kept them from being shared; empty where they are."""


class Weights(Mapping[str, Tensor]):
    """A model's tensors by name. They live as long as it, any of them, or an array of one."""

    def __init__(
        self, key: str, origin: Origin, tensors: Callable[[], Mapping[str, Tensor]]
    ) -> None:
        """Name the tensors when they are first asked for: a store's index may be long."""
        self.key = key
        self.origin = origin
        self._named = tensors

    @cached_property
    def _tensors(self) -> Mapping[str, Tensor]:
        return self._named()

    @property
    def is_shared(self) -> bool:
        """Whether the memory is the store's; False: this process's own."""
        return self.origin.is_shared

    @property
    def digest(self) -> str | None:
        """SHA-256 of the safetensors content, in hexadecimal, where it is known."""
        return self.origin.digest

    @property
    def device(self) -> str:
        """Where the tensors are: "cpu", "cuda:0" and so on, or "mixed"."""
        return self.origin.device

    @property
    def why_private(self) -> str:
        """What kept them from being shared, in one line; empty where they are."""
        return self.origin.why_private

    @property
    def bytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(tensor.size_bytes for tensor in self._tensors.values())

    def __getitem__(self, name: str) -> Tensor:
        """Return one tensor; KeyError where there is none of that name."""
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the tensors' names."""
        return iter(self._tensors)

    def __len__(self) -> int:
        """Return the number of tensors."""
        return len(self._tensors)

    def __repr__(self) -> str:
        """Return what it is, without reading a long index."""
        kind = "shared" if self.is_shared else "private"
        return f"<Weights {self.key!r}, {kind}, on {self.device}>"
