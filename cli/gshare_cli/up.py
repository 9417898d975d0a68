"""`gshare up`: Deployments and Services from files, run on this machine until told to stop."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from gshare import names
from gshare.errors import InputError
from gshare.runtime.report import Claim, Report
from gshare.workload import Workload, combine, parse

from . import output, usage, writing
from .session import Listener, Session, SessionSettings
from .signals import StopRequest
from .usage import Snapshot, Usage
from .views import ReplicaState, ReplicaView
from .watch import Watch

_FOR_EVER: Final = 10.0 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line asked for."""

    files: tuple[Path, ...]
    settings: SessionSettings
    duration_s: float | None = None
    """Stop this long after everything was ready; None runs until a signal."""
    report: Path | None = None
    watch: bool = False
    ready_timeout_s: float = 120.0
    """With a duration: give up if the replicas are not ready by then."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, from all ready to the end of the run."""

    replicas: tuple[ReplicaView, ...]
    usage: Usage
    is_simulated: bool
    time_scale: int
    window_ms: int


async def up(options: UpOptions, out: Console, err: Console) -> None:
    """Run the files' workloads. InputError and DoesNotFitError come before anything is started."""
    workload = combine(read(file) for file in options.files)
    if not workload.functions:
        raise _nothing_to_run(options.files, workload)
    last = [f"{function.name}-{function.replicas - 1}" for function in workload.functions]
    width = max((len(name) for name in last), default=0)
    watch = Watch(out, is_asked=options.watch)
    listener = Listener(
        on_line=lambda replica, line: watch.say(
            output.prefix(replica, width) + Text.from_ansi(line)
        ),
        on_event=lambda replica, text: watch.say(
            output.prefix(replica, width) + Text(text, style="italic")
        ),
        on_trouble=lambda text: err.print(f"gshare: {text}"),
    )
    stop = StopRequest()
    watch.on_unread = stop.ask
    with stop.listening():
        async with Session.open(options.settings, listener) as session:
            stop.on_second = session.hurry
            outcome = await _run(session, workload, options, stop, watch, err)
    _conclude(outcome, options, out)


def read(file: Path) -> Workload:
    """Return what one file asks for; InputError also where it cannot be read."""
    return parse(str(file), writing.read(file))


def _nothing_to_run(files: Sequence[Path], workload: Workload) -> InputError:
    kinds = [f"{each.kind}/{each.name}" for each in workload.ignored]
    kinds += [f"Service/{each.name}" for each in workload.services]
    return InputError(
        ", ".join(map(str, files)),
        "kind",
        ", ".join(kinds),
        f"holds no Deployment that asks for {names.RESOURCE_SM} and {names.RESOURCE_QUOTA}",
    )


async def _run(
    session: Session,
    workload: Workload,
    options: UpOptions,
    stop: StopRequest,
    watch: Watch,
    err: Console,
) -> Outcome:
    await session.start([workload], may_wait=options.watch)
    announce(session, workload, err)
    with watch.showing(session):
        timeout_s = _FOR_EVER if options.duration_s is None else options.ready_timeout_s
        await stop.or_end_of(watch.until(session.wait_ready(timeout_s)))
        before = session.snapshot()
        if not stop.is_asked:
            watch.say(Text(_ready_line(session.replicas), style="bold"))
            pause_s = _FOR_EVER if options.duration_s is None else options.duration_s
            await stop.or_end_of(watch.until(asyncio.sleep(pause_s)))
        outcome = _outcome(session, before)
    err.print("gshare: stopping (once more stops at once)")
    return outcome


def announce(session: Session, workload: Workload, err: Console) -> None:
    """Say on standard error what GPUs these are, what is ignored, and the Services' ports."""
    first = session.gpus[0]
    kind = f"simulated, time scale {session.time_scale}" if session.is_simulated else "real"
    err.print(f"gshare: {len(session.gpus)} x {first.name} ({kind}), window {session.window_ms} ms")
    images = sorted({function.image for function in workload.functions if function.image})
    if images:
        err.print(
            f"gshare: images are ignored, commands run as local processes: {', '.join(images)}"
        )
    for ignored in workload.ignored:
        err.print(f"gshare: ignored {ignored.kind} {ignored.name}: {ignored.reason}")
    for service in session.services:
        err.print(
            f"gshare: Service/{service.name} port {service.port} is 127.0.0.1:{service.local_port}"
        )
    for replica in session.replicas:
        if replica.state is ReplicaState.PENDING:
            err.print(f"gshare: {replica.name} is Pending: {replica.message}")


def _ready_line(replicas: Sequence[ReplicaView]) -> str:
    ready = sum(replica.ready for replica in replicas)
    pending = sum(replica.state is ReplicaState.PENDING for replica in replicas)
    waiting = f", {pending} pending" if pending else ""
    return f"{ready} of {len(replicas)} replicas ready{waiting}"


def _outcome(session: Session, before: Snapshot) -> Outcome:
    return Outcome(
        replicas=session.replicas,
        usage=usage.between(before, session.snapshot()),
        is_simulated=session.is_simulated,
        time_scale=session.time_scale,
        window_ms=session.window_ms,
    )


def _conclude(outcome: Outcome, options: UpOptions, out: Console) -> None:
    out.print(output.replica_table(outcome.replicas, outcome.usage, simulated=outcome.is_simulated))
    for line in output.usage_lines(outcome.usage):
        out.print(line, soft_wrap=True, highlight=False)
    if options.report:
        report_of(outcome).write(options.report)


def report_of(outcome: Outcome) -> Report:
    """Return the run as a report: one case, and the one claim that holds for every workload."""
    most = outcome.usage.max_concurrent_sm_percent()
    seconds = max((gpu.seconds for gpu in outcome.usage.gpus), default=0.0)
    case = {
        "mode": "up",
        "seconds": round(seconds, 3),
        "gpus_used": len(outcome.usage.gpus),
        "utilisation_percent": round(outcome.usage.mean_utilisation_percent(), 2),
        "sm_occupancy_percent": round(outcome.usage.mean_sm_occupancy_percent(), 2),
        "max_concurrent_sm_percent": most,
        "replicas": [_row(replica, outcome.usage) for replica in outcome.replicas],
    }
    return Report(
        claims=[Claim.compare("max_concurrent_sm_percent", most, "percent", "<=", 100)],
        cases=[case],
        simulated=outcome.is_simulated,
        conditions={"time_scale": outcome.time_scale, "window_ms": outcome.window_ms},
    )


def _row(replica: ReplicaView, measured: Usage) -> dict[str, object]:
    delivered = measured.delivered_percent.get(replica.lease_id or "")
    return {
        "replica": replica.name,
        "function": replica.function,
        "gpu": replica.gpu_uuid,
        "sm": replica.sm_percent,
        "quota_request": replica.quota_request_percent,
        "quota_limit": replica.quota_limit_percent,
        "delivered_percent": None if delivered is None else round(delivered, 2),
        "memory_bytes": replica.memory_bytes,
        "restarts": replica.restarts,
        "state": replica.state.value,
    }
