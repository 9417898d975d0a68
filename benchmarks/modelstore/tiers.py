"""What it takes to have weights back on a GPU that others' had pushed into host memory."""

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gshare.runtime.native import Native
from gshare.runtime.report import Claim
from gshare_simgpu import SimulatedNode, Topology

from . import weights
from .running import LoneStore, once

_TURNS: Final = 10
_OTHER: Final = "bench-2"
_OTHER_FIRST: Final = 1000
_ROOM: Final = f"{(weights.BYTES >> 20) + 2}Mi"


@dataclass(frozen=True, slots=True)
class Moved:
    """Milliseconds of each `get` of 1 GiB that lies in host memory alone: one goes, one comes."""

    gets_ms: Sequence[float]

    def row(self) -> dict[str, object]:
        """Return the row of the report."""
        return {
            "part": "tiers",
            "what": "get of 1 GiB from host memory to the GPU, another 1 GiB evicted for it",
            "gets": len(self.gets_ms),
            "median_ms": round(statistics.median(self.gets_ms), 1),
            "slowest_ms": round(max(self.gets_ms), 1),
        }

    def claims(self) -> list[Claim]:
        """Promise nothing: most of it is the simulated GPU's copy."""
        return []


def measure(native: Native, file: Path) -> Moved:
    """Ask in turns for two models of which the GPU has room for one."""
    with ExitStack() as stack:
        node = stack.enter_context(_gpu(native))
        environment = {**os.environ, **node.environment()}
        flags = ("--gpu", node.gpus[0].uuid, "--device-memory", _ROOM)
        store = stack.enter_context(LoneStore(*flags, environment=environment))
        other = stack.enter_context(weights.on_disk(file.parent, _OTHER_FIRST))
        socket = f"--socket={store.socket}"
        for key, content in ((weights.KEY, file), (_OTHER, other)):
            loaded = [f"--key={key}", f"--file={content}", "--through=cuda", socket]
            assert once("replica", loaded, environment)["is_shared"], key  # noqa: S101 (a check)
        turns = ["turns", str(_TURNS), f"--key={_OTHER}", f"--other={weights.KEY}"]
        found = once("caller", [*turns, "--device=cuda", socket], environment)
    return Moved([us / 1e3 for us in found["us"]])


@contextmanager
def _gpu(native: Native) -> Iterator[SimulatedNode]:
    folder = Path(tempfile.mkdtemp(prefix="gshare-bench-", dir="/dev/shm"))
    node = SimulatedNode.create(folder / "simgpu", Topology.uniform("v100"), native.simgpu)
    try:
        yield node
    finally:
        node.destroy()
        shutil.rmtree(folder)
