"""Which GPU a pod prefers among those that take it: one table of policies.

A policy is three rules over columns of all GPUs (`Traits`), so that thousands are judged at once:

- `worth`: what a GPU is worth, more is better. It orders the nodes, by the GPU that each offers,
  and says on which GPUs a new layout is worth more than the best free rectangle of their node.
- `first`: what comes before best short-side fit within a node, less is better.
- `fills_nodes`: whether of equal GPUs the one on the fuller node wins, or on the emptier one.

`binpack` fills the fullest GPU that has room, so whole GPUs stay free for large functions.
`spread` takes the emptiest, so that one fault costs least. `affinity` takes a GPU that has the
pod's model in memory already, or pods that announce it, and among those, or where none has, goes by
`binpack`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gshare.rectangles import GPU_RECTANGLE

if TYPE_CHECKING:
    # For the types alone: whoever only names a policy does not wait for numpy.
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.int16]
BINPACK: Final = "binpack"
AFFINITY: Final = "affinity"


@dataclass(frozen=True, slots=True)
class Traits:
    """What policies look at, by GPU: the area in use, 0-10,000, and 1 where the model is.

    A model is where a store keeps it, and where a pod is that announces it.
    """

    used: "Column"
    resident: "Column"


@dataclass(frozen=True, slots=True)
class Preference:
    """What one pod prefers: a policy by name, and its model, which `affinity` looks for.

    The model is its one name among all namespaces (`models.scoped`).
    """

    policy: str = BINPACK
    model: str = ""

    def __post_init__(self) -> None:
        """Refuse a policy that there is not, with ValueError."""
        if self.policy not in POLICIES:
            raise ValueError(f"{self.policy!r}: must be one of {', '.join(POLICIES)}")


@dataclass(frozen=True, slots=True)
class Policy:
    """The three rules of the module's first lines.

    Worth stays within 0-10,000, that of `affinity` and `first` within 0-20,001.
    """

    worth: Callable[[Traits], "Column"]
    first: Callable[[Traits], "Column"] | None
    fills_nodes: bool = True


# Every policy there is, by the name that `--policy` and the annotation give.
POLICIES: Final[Mapping[str, Policy]] = MappingProxyType(
    {
        BINPACK: Policy(lambda traits: traits.used, None),
        "spread": Policy(
            lambda traits: GPU_RECTANGLE.area - traits.used,
            lambda traits: traits.used,
            fills_nodes=False,
        ),
        AFFINITY: Policy(
            lambda traits: traits.resident * (GPU_RECTANGLE.area + 1) + traits.used,
            lambda traits: 1 - traits.resident,
        ),
    }
)
