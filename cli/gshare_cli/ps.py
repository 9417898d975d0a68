"""`gshare ps`: the leases on this machine, and what each got of its GPU over one second."""

import json
import time
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gshare.runtime import tokend
from gshare.runtime.metering import Delivered, Reading
from gshare.units import memory_text

from . import observe
from .colours import colour_of
from .observe import Machine
from .session import SessionSettings
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
    memory_limit_bytes: int
    state: str


def rows(settings: SessionSettings) -> list[Row]:
    """Return a row for every live lease; measures for a second if there is any."""
    machine = observe.look(settings)
    if not machine.runs:
        return []
    before = {gpu.uuid: machine.reading(gpu, machine.stats(gpu.uuid)) for gpu in machine.gpus}
    time.sleep(MEASURED_S)
    found: list[Row] = []
    for gpu in machine.gpus:
        stats = machine.stats(gpu.uuid)
        after = machine.reading(gpu, stats)
        found += _of_gpu(machine, gpu, before[gpu.uuid], after, stats)
    return found


def _of_gpu(
    machine: Machine, gpu: GpuView, before: Reading, after: Reading, stats: tokend.Stats | None
) -> list[Row]:
    metered = {lease.lease_id: lease for lease in stats.leases} if stats else {}
    found: list[Row] = []
    for run, lease in machine.leases():
        if lease.gpu_uuid != gpu.uuid:
            continue
        got = after.leases.get(lease.lease_id, Delivered())
        since = before.leases.get(lease.lease_id, Delivered())
        pid = observe.pid_of(run, lease)
        found.append(
            Row(
                run=run.run_id,
                replica=lease.replica,
                function=lease.function,
                lease=lease.lease_id,
                pid=pid,
                gpu=gpu.index,
                gpu_uuid=gpu.uuid,
                sm_percent=lease.sm_percent,
                quota_request_percent=lease.quota_request_percent,
                quota_limit_percent=lease.quota_limit_percent,
                delivered_percent=round(
                    100 * (got.gpu_ns - since.gpu_ns) / max(1, after.now_ns - before.now_ns), 1
                ),
                memory_bytes=got.memory_bytes,
                memory_limit_bytes=lease.memory_bytes,
                state=_state(pid, metered.get(lease.lease_id)),
            )
        )
    return found


def _state(pid: int | None, metered: tokend.LeaseStats | None) -> str:
    """Return what the lease's process does, as the token daemon sees it."""
    if pid is None:
        return "no process"
    if metered is None or not metered.processes:
        return "no GPU yet"
    return "active" if metered.holds or metered.wants else "idle"


def show(settings: SessionSettings, out: Console, *, as_json: bool) -> None:
    """Print the table, or the rows as JSON."""
    found = rows(settings)
    if as_json:
        out.print_json(json.dumps([asdict(row) for row in found]))
        return
    if not found:
        out.print("nothing runs on this machine's GPUs")
        return
    out.print(_table(found))


def _table(found: list[Row]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("run", "replica", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("PID", "GPU", "SM\n%", "request\n%", "limit\n%", "got\n%", "memory"):
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
            f"{memory_text(row.memory_bytes)}/{memory_text(row.memory_limit_bytes)}",
        )
    return table
