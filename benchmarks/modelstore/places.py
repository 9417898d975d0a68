"""Where times are measured: under a lease on a simulated GPU with its store, and without a GPU."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gshare import names
from gshare.runtime.native import Native

from . import weights
from .machine import Machine, deployment
from .running import LoneStore

GPU: Final = "simulated GPU"
HOST: Final = "host memory"
_ROOM: Final = "4Gi"


@dataclass(frozen=True, slots=True)
class Place:
    """A store that serves, and what makes a program its client."""

    name: str
    through: str
    """How programs look at tensors there."""
    device: str
    flags: Sequence[str]
    environment: Mapping[str, str] | None


@contextlib.contextmanager
def both(native: Native) -> Iterator[tuple[Place, Place]]:
    """Run both stores. What uses the first is under hook and token daemon, as a container is."""
    with Machine(native, _holder()) as machine, LoneStore() as store:
        environment = machine.environment("holder-0")
        yield (
            Place(GPU, "cuda", "cuda", (), environment),
            Place(HOST, "numpy", "cpu", (f"--socket={store.socket}",), None),
        )


def _holder() -> dict[str, Any]:
    """Return a Deployment whose one replica holds a lease of the whole GPU, and sleeps."""
    announced = {
        names.ANNOTATION_MODEL: f"{weights.KEY}={weights.BYTES >> 20}Mi",
        names.ANNOTATION_GPU_MEM: _ROOM,
    }
    made = deployment("holder", 1, ["sleep", "3600"], announced, 100)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    del container["readinessProbe"], container["ports"]
    return made
