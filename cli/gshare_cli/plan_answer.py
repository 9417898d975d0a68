"""What `gshare plan` is asked and what it finds: each policy's plan, with quotas sized."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gshare import scaling
from gshare.errors import InputError
from gshare.profile import Profile
from gshare.scaling import Option, Plan, Shape, Sizing


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be planned. `shapes` empty means all of the profile; `peak_rps` None, no limits.

    `planned_rps` is the rate with headroom.
    """

    profile: Profile
    rate_rps: float
    planned_rps: float
    slo_ms: float | None = None
    peak_rps: float | None = None
    shapes: tuple[Shape, ...] = ()
    running: Mapping[Shape, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sized:
    """One shape of a plan, with the quotas that its part of the rate and of the peak takes."""

    option: Option
    replicas: int
    quota_request_percent: int
    quota_limit_percent: int | None
    covers_peak: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One policy's plan, shape by shape."""

    policy: str
    plan: Plan
    shapes: tuple[Sized, ...]

    @property
    def area(self) -> float:
        """Return the area of all replicas, in GPUs."""
        return sum(each.option.shape.area * each.replicas for each in self.shapes) / 10_000

    @property
    def memory(self) -> float:
        """Return the memory of all replicas, in bytes."""
        return sum(each.option.memory_bytes * each.replicas for each in self.shapes)


def answers(question: Question, policies: Sequence[str]) -> list[Answer]:
    """Return each policy's answer; InputError for a shape named that will not do, ScalingError."""
    judged = scaling.judge(question.profile, question.shapes or None, question.slo_ms)
    for shape in question.shapes:
        if judged.options and shape in judged.refused:
            raise InputError("command line", "--shape", str(shape), judged.refused[shape])
    options = scaling.options(question.profile, question.shapes or None, question.slo_ms)
    return [_answer(question, policy, options) for policy in policies]


def _answer(question: Question, policy: str, options: Sequence[Option]) -> Answer:
    found = scaling.plan(policy, options, question.planned_rps, question.running)
    requests = scaling.requests(question.profile, found, question.planned_rps, question.slo_ms)
    limits: Mapping[Shape, Sizing] = {}
    if question.peak_rps is not None:
        limits = scaling.limits(question.profile, found, question.peak_rps)
    by_shape = {option.shape: option for option in options}
    sized = [
        Sized(
            by_shape[shape],
            count,
            requests[shape],
            limits[shape].quota_limit_percent if shape in limits else None,
            shape in limits and limits[shape].covers,
        )
        for shape, count in sorted(found.counts.items())
    ]
    return Answer(policy, found, tuple(sized))
