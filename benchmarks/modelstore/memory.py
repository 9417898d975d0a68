"""Device memory of a pod with weights of its own, of one that shares them, and of the store."""

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gshare import names
from gshare.runtime.native import Native
from gshare.runtime.report import Claim

from .machine import MIB, Machine, deployment

_SHARERS: Final = 2
_QUOTA: Final = 10
_SERVER: Final = "gshare-example-server"
_SHARE_FLAG: Final = "--model-store"


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the example server, and in MB what the paper's figure "model sharing" says."""

    name: str
    weights_mib: int
    """What the model file says; announced by `gshare.io/model`."""
    original_mb: int
    sharing_mb: int
    store_mb: int

    @property
    def reduction_percent(self) -> float:
        """Return how much less a sharing pod took in the paper."""
        return 100 * (self.original_mb - self.sharing_mb) / self.original_mb

    @property
    def break_even_pods(self) -> int:
        """Return from how many pods on sharing paid in the paper."""
        return break_even(self.original_mb, self.sharing_mb, self.store_mb)

    def deployment(self, replicas: int, *, is_shared: bool) -> dict[str, Any]:
        """Return a Deployment of it, with or without sharing."""
        command = [_SERVER, f"--model={self.name}", *([_SHARE_FLAG] if is_shared else [])]
        private_mib = (self.sharing_mb if is_shared else self.original_mb) + _SLACK_MIB
        annotations = {names.ANNOTATION_GPU_MEM: f"{private_mib}Mi"}
        if is_shared:
            annotations[names.ANNOTATION_MODEL] = f"{self.name}={self.weights_mib}Mi"
        name = self.name.replace("_", "-")
        return deployment(name, replicas, command, annotations, _QUOTA)


_SLACK_MIB: Final = 20
"""A cap is a whole number of the driver's 2 MiB chunks above what a pod was measured to take."""

MODELS: Final = (
    Model("resnet50", 98, 1525, 1427, 416),
    Model("resnet152", 244, 1745, 1501, 601),
    Model("resnext_xlarge", 1506, 3335, 1829, 1805),
    Model("vit_huge", 2634, 4735, 2101, 2979),
)
VIT_HUGE: Final = MODELS[-1]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one model takes of a simulated V100, in MiB, as the GPU itself counts it."""

    model: Model
    original_mib: float
    sharing_mib: float
    store_mib: float

    @property
    def reduction_percent(self) -> float:
        """Return how much less a sharing pod takes."""
        return 100 * (self.original_mib - self.sharing_mib) / self.original_mib

    @property
    def break_even_pods(self) -> int:
        """Return from how many pods on sharing takes less memory, the store's own included."""
        return break_even(self.original_mib, self.sharing_mib, self.store_mib)

    def row(self) -> dict[str, object]:
        """Return the row of the report, the paper's figures beside ours."""
        return {
            "part": "memory",
            "model": self.model.name,
            "original_mib": self.original_mib,
            "sharing_mib": self.sharing_mib,
            "store_mib": self.store_mib,
            "reduction_percent": round(self.reduction_percent, 2),
            "break_even_pods": self.break_even_pods,
            "paper": {
                **{
                    key: value
                    for key, value in dataclasses.asdict(self.model).items()
                    if "_mb" in key
                },
                "reduction_percent": round(self.model.reduction_percent, 2),
                "break_even_pods": self.model.break_even_pods,
            },
        }

    def claims(self) -> list[Claim]:
        """Judge pod and break-even by the paper's."""
        name, paper = self.model.name, self.model
        return [
            Claim.compare(
                f"{name}: less memory a pod",
                self.reduction_percent,
                "%",
                ">=",
                paper.reduction_percent,
            ),
            Claim.compare(
                f"{name}: sharing pays from",
                self.break_even_pods,
                "pods",
                "<=",
                paper.break_even_pods,
            ),
        ]


def break_even(original: float, sharing: float, store: float) -> int:
    """Return the least number of pods that take more without sharing than with it."""
    return int(store // (original - sharing)) + 1


def measure(native: Native) -> list[Footprint]:
    """Run each model once by itself, and twice sharing its weights."""
    return [_footprint(native, model) for model in MODELS]


def _footprint(native: Native, model: Model) -> Footprint:
    original = _accounts(native, model.deployment(1, is_shared=False))
    sharing = _accounts(native, model.deployment(_SHARERS, is_shared=True))
    pods = [mib for label, mib in sharing.items() if _is_pod(label, model)]
    store = [mib for label, mib in sharing.items() if not _is_pod(label, model)]
    return Footprint(model, sum(original.values()), statistics.mean(pods), sum(store))


def _accounts(native: Native, document: dict[str, Any]) -> dict[str, float]:
    """Return the MiB of the GPU that each label's processes hold once all replicas are ready."""
    with Machine(native, document) as machine:
        accounts = machine.counters().accounts
    return {each.label: each.memory_bytes / MIB for each in accounts if each.processes}


def _is_pod(label: str, model: Model) -> bool:
    return label.startswith(model.name.replace("_", "-") + "-")


def rows(found: Sequence[Footprint]) -> list[dict[str, object]]:
    """Return the rows of the report."""
    return [each.row() for each in found]
