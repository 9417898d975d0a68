"""The model whose weights a pod shares through its GPU's model store, as an annotation says. Pure.

A pod announces `gshare.io/model: KEY[=SIZE]`. The store keeps one copy of the weights for all pods
of a GPU that announce the same key in the same scope, so the GPU is charged for it once. A scope is
the pod's namespace; keys under `shared/` are one scope for all namespaces. `scoped` writes both as
one name, which the node's `gshare.io/resident` uses too.

The charge of a GPU with a store. Each pod counts with its own memory, each model with its weights
in whole granules, and the store with its own context as soon as there is any model. A pod that
announces no size counts with what the store keeps of its model there, 0 before that; where pods
announce different sizes, the largest counts. So a pod more never makes the charge less, and the
last pod of a model takes its weights with it: what nobody uses the store gives up when the memory
is wanted.

Worked example. A GPU has a store with a context of 300 MiB. The first pod of a model of 1,200 MiB
and 2,101 MiB of its own adds 3,601 MiB, each further one 2,101 MiB.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gshare import units

SHARED_PREFIX: Final = "shared/"
"""Keys that begin so are seen by all namespaces."""
GRANULE_BYTES: Final = 2 * 2**20
"""What a GPU allocates in at least (cuMemGetAllocationGranularity): weights are charged in it."""
MOST_BYTES: Final = 2**49
"""More than any GPU has: weights of more are refused, so that sums of them stay within 64 bits."""
_LONGEST_KEY: Final = 200
_KEY: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._/:@-]{{0,{_LONGEST_KEY - 1}}}")
_WANTED: Final = "must be KEY or KEY=SIZE, such as resnet50=98Mi"
_SHARED_NAMESPACE: Final = SHARED_PREFIX.rstrip("/")


@dataclass(frozen=True, slots=True)
class ModelShare:
    """A model's key in the store, and the bytes of its weights; None where they are not announced.

    `namespace` is that of the pod, which nobody knows who reads the annotation alone.
    """

    key: str
    size_bytes: int | None = None
    namespace: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no key, and weights of no size that there is, with ValueError."""
        check_key(self.key)
        if self.size_bytes is not None and not 1 <= self.size_bytes <= MOST_BYTES:
            raise ValueError(f"size {self.size_bytes}: must be above 0 and at most 512Ti")

    @property
    def is_shared(self) -> bool:
        """Tell whether all namespaces see it."""
        return self.key.startswith(SHARED_PREFIX)

    @property
    def name(self) -> str:
        """Return its one name among all namespaces."""
        return scoped(self.namespace, self.key)

    def within(self, namespace: str) -> "ModelShare":
        """Return what it means to a pod of `namespace`."""
        return self if self.namespace == namespace else replace(self, namespace=namespace)

    def weights_bytes(self, resident: Mapping[str, int]) -> int:
        """Return what it counts with on a GPU with a store; `resident` is what is there by name."""
        size = resident.get(self.name, 0) if self.size_bytes is None else self.size_bytes
        return whole_granules(size)

    @property
    def text(self) -> str:
        """Return the value of `gshare.io/model` that means this."""
        return self.key if self.size_bytes is None else f"{self.key}={self.size_bytes}"


def check_key(key: str) -> None:
    """Raise ValueError, with a text that says what would do, where `key` is none."""
    if _KEY.fullmatch(key) is None:
        raise ValueError(
            f"the key must have 1 to {_LONGEST_KEY} of the characters A-Z a-z 0-9 . _ / : @ - "
            "and begin with a letter or digit"
        )
    if key == SHARED_PREFIX:
        raise ValueError(f"the key must name a model after {SHARED_PREFIX}")


def parse(text: object) -> ModelShare:
    """Return what a pod's `gshare.io/model` announces; ValueError that says what would do."""
    if not isinstance(text, str):
        raise ValueError(_WANTED)  # noqa: TRY004 (callers expect one error)
    key, equals, size = text.partition("=")
    if not key:
        raise ValueError(_WANTED)
    check_key(key)
    if not equals:
        return ModelShare(key)
    try:
        return ModelShare(key, units.memory_bytes(size))
    except ValueError as error:
        raise ValueError(f"the size after {key}= {error}") from error


def scoped(namespace: str, key: str) -> str:
    """Return the one name of a model among all namespaces: "team-a/bert", or "shared/bert".

    A namespace may be called "shared": a slash more keeps its own models from those of all, since
    no key begins with one.
    """
    if key.startswith(SHARED_PREFIX):
        return key
    if namespace == _SHARED_NAMESPACE:
        return f"{namespace}//{key}"
    return f"{namespace}/{key}"


def whole_granules(size_bytes: int) -> int:
    """Return what weights of so many bytes take of a GPU's memory."""
    return -(-size_bytes // GRANULE_BYTES) * GRANULE_BYTES


def charged(shares: Iterable[ModelShare], resident: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes of weights that a GPU with a store is charged for, by name of the model.

    `shares` are those of its pods, `resident` the bytes that its store keeps, by name.
    """
    found: dict[str, int] = {}
    for share in shares:
        found[share.name] = max(found.get(share.name, 0), share.weights_bytes(resident))
    return found


def charged_bytes(
    shares: Iterable[ModelShare], resident: Mapping[str, int], store_bytes: int | None
) -> int:
    """Return what a GPU is charged for besides its pods' own memory; see the module.

    `store_bytes` is the store's own context; None where there is no store any more.
    """
    weights = charged(shares, resident)
    return sum(weights.values()) + ((store_bytes or 0) if weights else 0)
