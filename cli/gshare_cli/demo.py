"""`gshare demo`: the paper's workload on one simulated GPU, and by time sharing on four."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from gshare.errors import GshareError
from gshare.runtime.kube import ApiServer
from gshare.runtime.report import Report
from gshare.workload import combine

from . import demo_cluster, demo_view, up
from .demo_result import ModeResult, claims
from .demo_run import USERS_PER_REPLICA, WARM_UP_S, Plan, Show, measure, time_shared
from .signals import StopRequest
from .views import ReplicaView

TIME_SHARING_GPUS = 4

PaperFiles = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE", help="Deployments and Services; default: the paper's."),
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", help="Write the report, as JSON, to this file.")
]
Seconds = Annotated[float, typer.Option("--seconds", min=1, help="Measured time of each mode.")]
TimeScale = Annotated[
    int, typer.Option("--time-scale", min=1, help="How many times slower than a real GPU.")
]


OnCluster = Annotated[
    bool, typer.Option("--cluster", help="Run on the cluster of the current kubeconfig.")
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="NAME", help="With --cluster: the pods' schedulerName."),
]


def demo(
    files: PaperFiles = None,
    report: ReportFile = None,
    seconds: Seconds = 30,
    time_scale: TimeScale = 4,
    cluster: OnCluster = False,  # noqa: FBT002 (typer's form)
    scheduler: Scheduler = None,
) -> None:
    """Run the paper's eight replicas on ONE simulated GPU and show what each of them got.

    Four ResNet (12 % of the SMs, 40 % of the time), two RNNT (24, 40) and two BERT (50, 60), all
    saturated; then the same workload by time sharing only, which needs four GPUs. Exit code 1 if
    a promise was not kept. With --cluster the same Deployments run on a Kubernetes cluster, in
    the namespace gshare-demo, which is deleted afterwards; GPUs are what its nodes have.
    """
    console = Console()
    if cluster:
        plan = demo_cluster.ClusterPlan(files or _paper_files(), seconds, scheduler)
        _finish(_on_cluster(plan, console), report, console)
        return
    workload = combine([up.read(path) for path in files or _paper_files()])
    shared_plan = Plan("shared", workload, 1, seconds, time_scale)
    turns = time_shared(workload)
    turns_plan = Plan("time_sharing", turns, TIME_SHARING_GPUS, seconds, time_scale)
    shared = _run(shared_plan, "Shared: one simulated GPU", console)
    console.print(demo_view.replica_table(shared))
    console.print(demo_view.host_line(shared))
    time_sharing = _run(turns_plan, "Time sharing only: four simulated GPUs", console)
    console.print(demo_view.comparison_table(shared, time_sharing))
    _finish(_report(shared, time_sharing, time_scale), report, console)


def _finish(outcome: Report, file: Path | None, console: Console) -> None:
    """Say which claims hold, write the report; exit code 1 where one does not."""
    for line in demo_view.claim_lines(outcome.claims):
        console.print(line)
    if file:
        outcome.write(file)
    if not outcome.holds:
        raise typer.Exit(1)


def _on_cluster(plan: demo_cluster.ClusterPlan, console: Console) -> Report:
    api = ApiServer.connect()
    title = f"Shared, on the cluster at {api.host}"
    with _progress(title, console) as show:
        gpus = demo_cluster.gpus_of(api)
        result = demo_cluster.measure(api, plan, gpus, show)
    console.print(demo_view.replica_table(result))
    console.print(demo_view.host_line(result))
    return Report(
        claims=claims(result),
        cases=[result.as_case()],
        simulated=any(gpu.is_simulated for gpu in gpus),
        conditions={
            "gpu": result.usage.gpus[0].name,
            "seconds": plan.seconds,
            "warm_up_seconds": WARM_UP_S,
            "users_per_replica": USERS_PER_REPLICA,
        },
    )


def _run(plan: Plan, title: str, console: Console) -> ModeResult:
    """Measure one plan with a live table; a console that is no terminal gets one line."""
    console.print(f"{title}, {plan.time_scale} times slower than a real one.")
    with _progress(title, console) as show:
        return asyncio.run(_measured(plan, show))


@contextlib.contextmanager
def _progress(title: str, console: Console) -> Iterator[Show]:
    """Yield what keeps a live table on the terminal up to date; it is gone after the block."""
    with Live(console=console, transient=True, auto_refresh=False) as live:

        def show(
            phase: str, views: Sequence[ReplicaView], delivered_percent: Mapping[str, float]
        ) -> None:
            table = demo_view.progress_table(f"{title}: {phase}", views, delivered_percent)
            live.update(table, refresh=console.is_terminal)

        yield show
        live.update("")


async def _measured(plan: Plan, show: Show) -> ModeResult:
    """Measure; at Ctrl-C or SIGTERM stop everything in order, and raise KeyboardInterrupt."""
    stop = StopRequest()
    work = asyncio.ensure_future(measure(plan, show))
    with stop.listening():
        await stop.or_end_of(work)
    if work.cancelled():
        raise KeyboardInterrupt
    return work.result()


def _report(shared: ModeResult, time_sharing: ModeResult, time_scale: int) -> Report:
    return Report(
        claims=claims(shared),
        cases=[shared.as_case(), time_sharing.as_case()],
        simulated=True,
        conditions={
            "gpu": shared.usage.gpus[0].name,
            "time_scale": time_scale,
            "seconds": shared.seconds,
            "warm_up_seconds": WARM_UP_S,
            "users_per_replica": USERS_PER_REPLICA,
            "requests_per_second_are": "as measured times time_scale: those of a real-speed GPU",
        },
    )


def _paper_files() -> list[Path]:
    package = Path(__file__).resolve().parent
    shipped = package / "_paper"
    folder = shipped if shipped.is_dir() else package.parents[1] / "examples" / "paper"
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise GshareError(f"no workload in {folder}: run the demo from a checkout, or name files")
    return files
