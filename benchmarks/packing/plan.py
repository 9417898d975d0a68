"""What a run measures, and how long: the parts as jobs that need nothing of each other."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import churn, first_refusal, gpu_counts, optimum, orders
from .churn import Load
from .found import Found
from .mixes import MIXES, openb
from .ways import ARRIVALS, CHURN

Job = Callable[[], Found]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of each part; streams are repeatable, so fewer are the first of more."""

    every_order: int
    first_refusal: Mapping[int, int]
    gpu_counts: Mapping[int, int]
    churn: tuple[tuple[str, Load, int], ...]
    instances: int
    solver_s: float
    sets_run: int
    decisions: int


FULL = Plan(
    every_order=1,
    first_refusal={1: 100, 4: 60, 16: 12, 64: 3},
    gpu_counts={300: 3, 3000: 1},
    churn=(
        ("fast", Load(4, 3000), 2),
        ("fast", Load(64, 8000), 1),
        ("gridinv", Load(64, 8000), 1),
    ),
    instances=20,
    solver_s=5,
    sets_run=500,
    decisions=2000,
)
QUICK = Plan(
    every_order=21,
    first_refusal={4: 12},
    gpu_counts={300: 1},
    churn=(("fast", Load(4, 600), 1),),
    instances=3,
    solver_s=1,
    sets_run=30,
    decisions=300,
)
USUAL = ("fast", "gridinv", "small")


def jobs(plan: Plan, trace: Path | None) -> Iterator[Job]:
    """Yield every job that counts; those that measure time or need the sets come after."""
    for way in orders.WAYS_HERE:
        yield partial(orders.measured, way, plan.every_order)
    names = [*USUAL, *(["openb"] if trace else [])]
    for name, load, streams in plan.churn:
        for way in CHURN:
            yield partial(_with_mix, churn.measured, (way, name), trace, (load, streams))
    for name in names:
        for way in ARRIVALS:
            for pods, streams in plan.gpu_counts.items():
                yield partial(_with_mix, gpu_counts.measured, (way, name), trace, (pods, streams))
            for gpus, streams in plan.first_refusal.items():
                yield partial(
                    _with_mix, first_refusal.measured, (way, name), trace, (gpus, streams)
                )


def optimum_jobs(plan: Plan) -> Iterator[Job]:
    """Yield the jobs whose solver takes every core by itself."""
    for name in optimum.PODS:
        yield partial(optimum.measured, name, MIXES[name], plan.instances, plan.solver_s)


def run(job: Job) -> Found:
    """Do one job, in whichever process."""
    return job()


def _with_mix(
    measure: Callable[..., Found],
    names: tuple[str, str],
    trace: Path | None,
    amounts: tuple[object, ...],
) -> Found:
    way, name = names
    mix = openb(trace) if name == "openb" and trace else MIXES[name]
    return measure(way, name, mix, *amounts)
