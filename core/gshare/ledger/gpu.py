"""One GPU as the ledger sees it: who holds what there, laid out, or why that is impossible."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from gshare import models, modes
from gshare.annotations import NodeGpu, PodPlacement
from gshare.models import ModelShare
from gshare.modes import Packer, Timetable
from gshare.placement import Snapshot
from gshare.rectangles import Size

from .state import GpuState, States
from .values import ProblemKind, RefusalKind

# One for all of tens of thousands of GPUs.
NOTHING: Final[Mapping[str, int]] = MappingProxyType({})
NO_MODELS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({})


class GpuBook:
    """The holders of one GPU and their layout.

    Where no layout is found for what stands there, `is_settled` is False and the GPU takes
    nothing new; `snapshot` then shows those that had their places before. `resident` are the bytes
    of the models that the GPU's store keeps by now, by name.
    """

    __slots__ = (
        "_holders",
        "_layout",
        "_models",
        "_promised_bytes",
        "_settled_for",
        "gpu",
        "is_doubled",
        "is_held",
        "is_settled",
        "resident",
        "snapshot",
        "state",
        "used_area",
    )

    def __init__(self, gpu: NodeGpu, before: Timetable) -> None:
        self.gpu = gpu
        self.resident: Mapping[str, int] = NOTHING
        self.is_settled = True
        self.is_held = False
        self.is_doubled = False
        self.used_area = 0
        """What its holders ask; more than 10,000 where they conflict."""
        self._promised_bytes = 0
        self._holders: dict[str, PodPlacement] = {}
        self._models: Mapping[str, tuple[int, int]] = NO_MODELS
        self._settled_for: Mapping[str, int] = NOTHING
        self.snapshot = Snapshot(gpu.gpu, modes.remaining(before, {}), resident=NOTHING)
        self.state: GpuState | None = None
        self._layout = before

    @property
    def is_open(self) -> bool:
        """Tell whether what stands here is in order, and nobody else's claim shuts it."""
        return self.is_settled and not (self.is_held or self.is_doubled)

    def settle(
        self,
        holders: Mapping[str, PodPlacement],
        packer: Packer,
        states: States,
        *,
        is_held: bool,
        is_doubled: bool,
    ) -> None:
        """Lay out `holders`; `is_held` and `is_doubled` shut the GPU to everyone else."""
        known = (self._holders, self._settled_for, self.is_held, self.is_doubled)
        if self.state is not None and known == (holders, self.resident, is_held, is_doubled):
            return
        self._holders, self._settled_for = dict(holders), self.resident
        self.is_held, self.is_doubled = is_held, is_doubled
        sizes = {uid: placement.size for uid, placement in holders.items()}
        self.used_area = sum(size.area for size in sizes.values())
        arranged = _laid_out(self._layout, sizes, packer)
        self.is_settled = arranged is not None
        self._layout = arranged or modes.remaining(self._layout, sizes)
        self._count_memory()
        self.state = states.of(self.snapshot, self._shut())

    def problems(self) -> list[tuple[ProblemKind, str]]:
        """Return what is wrong with what stands on this GPU, and what to do about it."""
        found = []
        if not self.is_settled:
            found.append((ProblemKind.CONFLICT, self._conflict_text()))
        if self._promised_bytes > self.gpu.memory_bytes:
            whose = "its pods and their models" if self.snapshot.shares else "its pods"
            asked = f"{whose} may use {self._promised_bytes} bytes"
            text = f"{asked} of the {self.gpu.memory_bytes} it has"
            found.append((ProblemKind.MEMORY, f"{text}; delete one of them"))
        if len(self._holders) > self.gpu.max_clients:
            text = f"{len(self._holders)} pods are on it, MPS admits {self.gpu.max_clients}"
            found.append((ProblemKind.CLIENTS, f"{text}; delete some of them"))
        return found

    @property
    def models(self) -> Mapping[str, tuple[int, int]]:
        """Return the bytes of weights that it is charged for and that are there, by model."""
        return self._models

    @property
    def holders(self) -> tuple[str, ...]:
        """Return the UIDs of the pods on it."""
        return tuple(self._holders)

    def _count_memory(self) -> None:
        """Work out what is promised to all holders, and the snapshot of those that are laid out."""
        holders, keys = self._holders, self._layout.keys
        own = sum(each.memory_bytes for each in holders.values())
        shares = {
            uid: each.model
            for uid, each in holders.items()
            if each.model is not None and not each.has_own_weights
        }
        self._promised_bytes = own + self._charge(shares.values())
        self.snapshot = Snapshot(
            self.snapshot.gpu,
            self._layout,
            tuple([(uid, holders[uid].memory_bytes) for uid in keys]),
            tuple([(uid, shares[uid]) for uid in keys if uid in shares]) if shares else (),
            self.resident,
        )

    def _charge(self, shares: Collection[ModelShare]) -> int:
        """Take note of the models that are here, and return what the GPU is charged for them."""
        resident = self.resident
        if not (shares or resident):
            self._models = NO_MODELS
            return 0
        charged = models.charged(shares, resident)
        self._models = {
            name: (charged.get(name, 0), models.whole_granules(resident.get(name, 0)))
            for name in {*charged, *resident}
        }
        return models.charged_bytes(shares, resident, self.gpu.store_bytes) if shares else 0

    def _shut(self) -> RefusalKind | None:
        if self.is_doubled:
            return RefusalKind.DOUBLED
        if not self.is_settled:
            return RefusalKind.CONFLICT
        return RefusalKind.HELD if self.is_held else None

    def _conflict_text(self) -> str:
        return (
            f"no layout holds its {len(self._holders)} pods, which ask for {self.used_area} of "
            "its area of 10000; it takes no new pod until one of them is deleted"
        )


def _laid_out(before: Timetable, sizes: Mapping[str, Size], packer: Packer) -> Timetable | None:
    """Return a layout of `sizes`: where one newcomer has room, beside the others as they lie."""
    kept = modes.remaining(before, sizes)
    if len(sizes) - len(kept.keys) == 1:
        lies = modes.beside(kept, sizes)
        if lies is not None:
            return lies
    return packer.settled(before, sizes)
