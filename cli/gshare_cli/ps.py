"""`gshare ps`: the leases on this machine, and what each got of its GPU over one second."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gshare import models
from gshare.runtime import stores, tokend
from gshare.runtime.metering import Delivered, Reading
from gshare.runtime.state import LeaseRecord, RunRecord
from gshare.units import memory_text

from . import observe, sharing
from .colours import colour_of
from .observe import Machine
from .session import SessionSettings
from .sharing import Mapped
from .views import GpuView

MEASURED_S = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One lease as it is now."""

    run: str
    replica: str
    function: str
    lease: str
    pid: int | None
    gpu: int
    gpu_uuid: str
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    delivered_percent: float
    memory_bytes: int
    """What the GPU charges its processes with now."""
    memory_limit_bytes: int
    private_bytes: int
    """What its processes hold of their own, which its limit holds for."""
    model: str | None
    """The model that it announces, by its name among all namespaces (`models.scoped`)."""
    shared_bytes: int | None
    """What they map of others' memory, such as the model store's; None where nobody tells."""
    saved_bytes: int | None
    """What it holds less than with weights of its own (`sharing`); None where it is not known."""
    state: str


@dataclass(frozen=True, slots=True)
class _OnGpu:
    """What was read of one GPU."""

    gpu: GpuView
    before: Reading
    after: Reading
    stats: tokend.Stats | None
    resident: Mapping[str, int]

    def got(self, lease_id: str) -> Delivered:
        return self.after.leases.get(lease_id, Delivered())

    def delivered_percent(self, lease_id: str) -> float:
        since = self.before.leases.get(lease_id, Delivered())
        passed_ns = max(1, self.after.now_ns - self.before.now_ns)
        return round(100 * (self.got(lease_id).gpu_ns - since.gpu_ns) / passed_ns, 1)

    def metered(self, lease_id: str) -> tokend.LeaseStats | None:
        leases = self.stats.leases if self.stats else ()
        return next((each for each in leases if each.lease_id == lease_id), None)


def rows(settings: SessionSettings) -> tuple[list[Row], list[str]]:
    """Return a row for every live lease, and a line for every GPU whose store keeps weights.

    Measures for a second if there is any.
    """
    machine = observe.look(settings)
    if not machine.runs:
        return [], []
    before = {gpu.uuid: machine.reading(gpu, machine.stats(gpu.uuid)) for gpu in machine.gpus}
    time.sleep(MEASURED_S)
    found: list[Row] = []
    lines: list[str] = []
    for gpu in machine.gpus:
        stats = machine.stats(gpu.uuid)
        after = machine.reading(gpu, stats)
        resident = stores.resident(machine.state.gpu(gpu.uuid))
        there, line = _of_gpu(machine, _OnGpu(gpu, before[gpu.uuid], after, stats, resident))
        found += there
        lines += [line] if line else []
    return found, lines


def _of_gpu(machine: Machine, there: _OnGpu) -> tuple[list[Row], str]:
    leases = [(run, each) for run, each in machine.leases() if each.gpu_uuid == there.gpu.uuid]
    mapped = {
        each.lease_id: Mapped(_model(each), there.got(each.lease_id).shared_bytes)
        for _, each in leases
    }
    saved = sharing.saved_bytes(mapped, there.resident)
    name = f"GPU {there.gpu.index}"
    return (
        [_row(there, run, each, saved[each.lease_id]) for run, each in leases],
        sharing.gpu_line(name, mapped.values(), there.resident, stores.CONTEXT_BYTES),
    )


def _model(lease: LeaseRecord) -> str | None:
    return None if lease.model is None else models.scoped(lease.namespace, lease.model)


def _row(there: _OnGpu, run: RunRecord, lease: LeaseRecord, saved_bytes: int | None) -> Row:
    got, metered = there.got(lease.lease_id), there.metered(lease.lease_id)
    pid = observe.pid_of(run, lease)
    return Row(
        run=run.run_id,
        replica=lease.replica,
        function=lease.function,
        lease=lease.lease_id,
        pid=pid,
        gpu=there.gpu.index,
        gpu_uuid=there.gpu.uuid,
        sm_percent=lease.sm_percent,
        quota_request_percent=lease.quota_request_percent,
        quota_limit_percent=lease.quota_limit_percent,
        delivered_percent=there.delivered_percent(lease.lease_id),
        memory_bytes=got.memory_bytes,
        memory_limit_bytes=lease.memory_bytes,
        private_bytes=metered.memory_bytes if metered else got.memory_bytes,
        model=_model(lease),
        shared_bytes=got.shared_bytes,
        saved_bytes=saved_bytes,
        state=_state(pid, metered),
    )


def _state(pid: int | None, metered: tokend.LeaseStats | None) -> str:
    """Return what the lease's process does, as the token daemon sees it."""
    if pid is None:
        return "no process"
    if metered is None or not metered.processes:
        return "no GPU yet"
    return "active" if metered.holds or metered.wants else "idle"


def show(settings: SessionSettings, out: Console, *, as_json: bool) -> None:
    """Print the table, or the rows as JSON."""
    found, lines = rows(settings)
    if as_json:
        out.print_json(json.dumps([asdict(row) for row in found]))
        return
    if not found:
        out.print("nothing runs on this machine's GPUs")
        return
    out.print(_table(found))
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def _table(found: list[Row]) -> Table:
    shares = any(row.model or row.shared_bytes for row in found)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("run", "replica", "state"):
        table.add_column(heading, no_wrap=True)
    numbers = ("PID", "GPU", "SM\n%", "request\n%", "limit\n%", "got\n%", "private\nmemory")
    for heading in (*numbers, *(sharing.HEADINGS if shares else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found:
        table.add_row(
            row.run.rpartition("-")[0],
            f"[{colour_of(row.function)}]{escape(row.replica)}[/]",
            row.state,
            "-" if row.pid is None else str(row.pid),
            str(row.gpu),
            str(row.sm_percent),
            str(row.quota_request_percent),
            str(row.quota_limit_percent),
            f"{row.delivered_percent:.1f}",
            f"{memory_text(row.private_bytes)}/{memory_text(row.memory_limit_bytes)}",
            *(sharing.cells(row.shared_bytes, row.saved_bytes) if shares else ()),
        )
    return table
