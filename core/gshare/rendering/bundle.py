"""Writes all objects of one function: a Deployment and an HPA for each shape, Service, profile.

Which shapes: those asked for, or the few that serve a range of load cheapest. Replicas reserve the
memory that the user wrote, else the profile's peak and a tenth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gshare import names, scaling
from gshare.errors import InputError
from gshare.profile import Profile, estimate
from gshare.scaling import ControllerSettings, Option, Shape, Sizing

from . import beside, deployments
from .autoscalers import autoscaler
from .deployments import Ask, Written
from .plain import Object
from .shapes import USUAL, Chosen, Load, choose
from .template import Template

Keep = Literal["one", "none", "each"]
"""Of which replicas one stays at no load: of one shape, of none, of each shape."""

KEEPS: Final[tuple[Keep, ...]] = ("one", "none", "each")
MOST_REPLICAS: Final = 100
"""An HPA's upper bound where no profile says better."""
_MEMORY_MARGIN: Final = 1.1
_MEMORY_STEP: Final = 2**20
_ROOM: Final = 2
"""An HPA's upper bound: so many times what its shape alone needs at the highest rate."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What the function is to reach. `shapes` or `load` must say which Deployments there are."""

    shapes: tuple[Shape, ...] = ()
    load: Load | None = None
    slo_ms: float | None = None
    policy: str = scaling.EXACT
    most_shapes: int = USUAL
    keep: Keep = "one"
    most_replicas: int | None = None
    peak_rps: float | None = None
    """A burst to size quota limits for."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The objects, the options behind the Deployments (none without a profile), what they cost."""

    objects: tuple[Object, ...]
    written: tuple[Written, ...]
    chosen: Chosen | None = None
    peak_memory_bytes: int = 0
    """What a replica used at most when it was profiled."""


def bundle(template: Template, profile: Profile | None, aim: Aim) -> Bundle:
    """Return everything that one function needs.

    InputError where the profile is another function's or a shape asked for is none of it;
    ScalingError where no shape keeps the objective.
    """
    if profile is None:
        return _plain_bundle(template, aim)
    if profile.function != template.function:
        template.field.at("metadata", "labels").child(names.LABEL_FUNCTION).refuse(
            f"makes this function {template.function!r}, and the profile is of {profile.function!r}"
        )
    slo_ms = aim.slo_ms or template.slo_ms or profile.slo_ms
    chosen = _chosen(template, profile, aim, slo_ms)
    sizes = _sizes(profile, chosen.options, aim)
    asks = [
        Ask(
            option.shape,
            sizes[option.shape].quota_limit_percent if option.shape in sizes else None,
            None if template.memory_bytes else option.memory_bytes,
        )
        for option in chosen.options
    ]
    bounds = _bounds(chosen.options, aim, is_kept_awake=template.is_kept_awake)
    written = _written(template, asks, bounds, _annotations(aim, slo_ms))
    peak = max(point.memory_bytes for point in profile.points)
    return Bundle(_objects(template, written, profile), written, chosen, peak)


def _plain_bundle(template: Template, aim: Aim) -> Bundle:
    """Return the bundle of shapes of which nothing is known but their sides."""
    by_area = sorted(aim.shapes, key=lambda shape: (shape.area, shape))
    bounds = _least(by_area, aim.keep)
    most = aim.most_replicas or MOST_REPLICAS
    written = _written(
        template,
        [Ask(shape) for shape in aim.shapes],
        {shape: (bounds[shape], most) for shape in aim.shapes},
        _annotations(aim, aim.slo_ms),
    )
    return Bundle(_objects(template, written, None), written)


def _chosen(template: Template, profile: Profile, aim: Aim, slo_ms: float | None) -> Chosen:
    known = scaling.options(profile, aim.shapes or None, slo_ms)
    judged = scaling.judge(profile, aim.shapes or None, slo_ms, _reserved(template, profile, known))
    for shape in aim.shapes:
        if shape in judged.refused:
            raise InputError("command line", "--shape", str(shape), judged.refused[shape])
    rates = aim.load.planned_rps(ControllerSettings().headroom) if aim.load else []
    if aim.shapes or not rates:
        return Chosen(judged.options)
    return choose(judged.options, rates, aim.policy, aim.most_shapes)


def _reserved(template: Template, profile: Profile, options: Sequence[Option]) -> dict[Shape, int]:
    """Return the bytes that a replica of each shape is to reserve."""
    found = {}
    for option in options:
        known = estimate(profile, option.shape.sm_percent, option.shape.quota_percent)
        peak = option.memory_bytes if known is None else known.memory_bytes
        steps = math.ceil(peak * _MEMORY_MARGIN / _MEMORY_STEP)
        found[option.shape] = template.memory_bytes or steps * _MEMORY_STEP
    return found


def _sizes(profile: Profile, options: Sequence[Option], aim: Aim) -> Mapping[Shape, Sizing]:
    if aim.peak_rps is None or aim.load is None:
        return {}
    planned_rps = aim.load.planned_rps(ControllerSettings().headroom)[-1]
    plan = scaling.plan(aim.policy, options, planned_rps)
    return scaling.limits(profile, plan, aim.peak_rps)


def _bounds(
    options: Sequence[Option], aim: Aim, *, is_kept_awake: bool
) -> dict[Shape, tuple[int, int]]:
    """Return how far each HPA may go.

    Of several shapes the autoscaler itself keeps the one that runs. An HPA that kept one would
    keep the smallest beside those that serve the load, and a Service sends that as much as others.
    """
    by_cost = [option.shape for option in sorted(options, key=lambda each: (each.cost, each.shape))]
    is_left_to_it = aim.keep == "one" and is_kept_awake and len(options) > 1
    least = _least(by_cost, "none" if is_left_to_it else aim.keep)
    return {option.shape: (least[option.shape], _most(option, aim)) for option in options}


def _least(cheapest_first: Sequence[Shape], keep: Keep) -> dict[Shape, int]:
    kept = {"one": set(cheapest_first[:1]), "none": set(), "each": set(cheapest_first)}[keep]
    return {shape: int(shape in kept) for shape in cheapest_first}


def _most(option: Option, aim: Aim) -> int:
    if aim.most_replicas or aim.load is None:
        return aim.most_replicas or MOST_REPLICAS
    planned_rps = max(aim.load.planned_rps(ControllerSettings().headroom)[-1], aim.peak_rps or 0)
    return math.ceil(_ROOM * planned_rps / option.throughput_rps)


def _annotations(aim: Aim, slo_ms: float | None) -> dict[str, str]:
    found = {} if slo_ms is None else {names.ANNOTATION_SLO: f"{slo_ms:g}ms"}
    if aim.policy != scaling.EXACT:
        found[names.ANNOTATION_SCALING_POLICY] = aim.policy
    return found


def _written(
    template: Template,
    asks: Sequence[Ask],
    bounds: Mapping[Shape, tuple[int, int]],
    annotations: dict[str, str],
) -> tuple[Written, ...]:
    return tuple(
        Written(deployments.deployment(template, ask, annotations), *bounds[ask.shape])
        for ask in asks
    )


def _objects(
    template: Template, written: Sequence[Written], profile: Profile | None
) -> tuple[Object, ...]:
    service = beside.service(template)
    return (
        *template.others,
        *([beside.config_map(profile, template.namespace)] if profile else []),
        *([service] if service else []),
        *(each.deployment for each in written),
        *(autoscaler(each) for each in written),
    )
