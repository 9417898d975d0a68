"""How many pods of ViT-huge one GPU of 16 GB holds, as `gshare up` places and runs them."""

from dataclasses import dataclass
from typing import Final

from benchmarks.quota.gpu import BenchError
from gshare.runtime.native import Native
from gshare.runtime.report import Claim

from . import machine
from .machine import MIB, Machine
from .memory import VIT_HUGE

_MOST: Final = 9  # of 10 % of the time each


@dataclass(frozen=True, slots=True)
class Held:
    """The most replicas that ran at once, and the GPU memory that all of them took."""

    is_shared: bool
    pods: int
    used_mib: float
    refusal: str
    """Why one more was not placed."""

    def row(self) -> dict[str, object]:
        """Return the row of the report."""
        return {
            "part": "fleet",
            "what": "pods of ViT-huge on one GPU of 16 GiB",
            "weights": "shared" if self.is_shared else "private",
            "pods": self.pods,
            "used_mib": self.used_mib,
            "one_more": self.refusal,
        }


def measure(native: Native) -> list[Held]:
    """Find the most pods with weights of their own, and with shared ones."""
    return [_most(native, is_shared=False), _most(native, is_shared=True)]


def claims(found: list[Held]) -> list[Claim]:
    """Judge both."""
    private, shared = found
    return [
        Claim.compare("ViT-huge on 16 GB, private weights", private.pods, "pods", "==", 3),
        Claim.compare("ViT-huge on 16 GB, shared weights", shared.pods, "pods", ">=", 6),
    ]


def _most(native: Native, *, is_shared: bool) -> Held:
    """Return the most that all get ready, tried from above: what does not fit starts nothing."""
    refusal = ""
    for pods in range(_MOST, 0, -1):
        try:
            with Machine(native, VIT_HUGE.deployment(pods, is_shared=is_shared)) as run:
                return Held(is_shared, pods, run.counters().memory_used_bytes / MIB, refusal)
        except BenchError as error:
            if not machine.is_refused(error):
                raise
            refusal = str(error).partition("does not fit: ")[2]
    return Held(is_shared, 0, 0.0, refusal)
