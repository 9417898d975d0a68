"""Programs under the hook: a simulated GPU, its token daemon, and leases on it."""

import dataclasses
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import daemon, simgpu_node
from tests.support.daemon import Node, native

from gshare import names, wire
from gshare_simgpu import SimulatedNode

GIB = 1 << 30
MIB = 1 << 20
CONTEXT_BYTES = 300 * MIB


@dataclass(frozen=True, slots=True)
class HookedGpu:
    """One simulated GPU whose programs are held to leases."""

    gpu: SimulatedNode
    node: Node

    def variables(self, lease_id: str) -> dict[str, str]:
        """Return what makes a program part of a lease."""
        return {
            names.ENV_LEASE_DIR: str(self.node.lease(lease_id)),
            "LD_PRELOAD": str(native().hook),
            names.ENV_SIMGPU_LABEL: lease_id,
        }

    def run(self, lease_id: str, code: str) -> str:
        """Run a program of a lease to its end; return what it printed."""
        return simgpu_node.run(self.gpu, code, **self.variables(lease_id))

    @contextmanager
    def running(self, lease_id: str, code: str) -> Iterator[subprocess.Popen[str]]:
        """Start a program of a lease, and yield it once it has printed "ready"."""
        with simgpu_node.running(self.gpu, code, **self.variables(lease_id)) as process:
            yield process

    @contextmanager
    def started(
        self, lease_id: str, command: Sequence[str | Path], **variables: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Start any program of a lease, as `running` does."""
        held = {**self.variables(lease_id), **variables}
        with simgpu_node.started(self.gpu, command, **held) as process:
            yield process

    def accounted(self, lease_id: str) -> int:
        """Return the bytes of device memory that the account says the lease holds."""
        return self.counters(lease_id).memory_bytes

    def counters(self, lease_id: str) -> wire.Counters:
        """Return what the lease's processes say of themselves."""
        return wire.unpack_counters((self.node.lease(lease_id) / names.FILE_COUNTERS).read_bytes())

    def taken(self) -> int:
        """Return the bytes of device memory that the simulated driver has given out."""
        return simgpu_node.counters(self.gpu).memory_used_bytes


@contextmanager
def hooked_gpu(*lease_ids: str, memory_bytes: int = 4 * GIB) -> Iterator[HookedGpu]:
    """Run a GPU whose leases take equal parts of its time."""
    share = 100 // len(lease_ids)
    leases = [
        daemon.limits(
            lease_id,
            quota_request_percent=share,
            quota_limit_percent=100,
            slices=(wire.Slice(number * share, share),),
            memory_limit_bytes=memory_bytes,
        )
        for number, lease_id in enumerate(lease_ids)
    ]
    with leased_gpu(*leases) as gpu:
        yield gpu


@contextmanager
def leased_gpu(
    *leases: wire.Limits,
    time_scale: int = 1,
    disk: Path = Path("/dev/shm"),  # noqa: S108 (pages must lie on tmpfs)
) -> Iterator[HookedGpu]:
    """Run a GPU that these leases share; their pages lie on `disk`.

    GPU and window are both slower by the time scale, so that a busy host matters less.
    """
    window_us = time_scale * daemon.WINDOW_US
    with simgpu_node.simulated_node(time_scale=time_scale) as gpu:
        held = [
            dataclasses.replace(
                each,
                gpu_uuid=gpu.gpus[0].uuid,
                window_us=window_us,
                queue_budget_us=wire.queue_budget_us(window_us),
            )
            for each in leases
        ]
        with daemon.node(*held, window_us=window_us, disk=disk) as node:
            yield HookedGpu(gpu, node)
