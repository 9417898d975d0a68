"""Reads Deployments and ConfigMaps as functions that can be scaled. Pure.

A function is all Deployments of a namespace with one value of the label `gshare.io/function`: one
Deployment a shape. What is wrong with one Deployment keeps that one from being scaled; what is
wrong with the function (its profile, its settings) keeps all of its Deployments from it. Other
functions never notice.

A setting is read from the Deployments' annotations, which must not contradict each other, else
from the function's ConfigMap, else it has its default.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gshare import names, scaling, units
from gshare.profile import Profile
from gshare.scaling import NoShapeError, Option, Shape

from . import members, queries
from .answers import Target
from .bounds import UNKNOWN, Bounds, bounded
from .conditions import Reason, Trouble, TroubleError
from .declared import Declared
from .members import Member, Refused
from .objects import Deployment
from .profiles import Name, Profiles
from .queries import Query


@dataclass(frozen=True, slots=True)
class Defaults:
    """What counts where a function says nothing itself."""

    policy: str
    scale_down_window_s: float
    window: str
    """Of $window."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a function is to be scaled."""

    query: Query
    policy: str
    scale_down_window_s: float
    slo_ms: float | None
    options: tuple[Option, ...]
    unfit: Mapping[Shape, str] = field(default_factory=dict)
    """Shapes of its Deployments that miss the SLO, which should have no replicas; and why."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `scaling` is a Trouble where it cannot be scaled."""

    name: Name
    members: tuple[Member, ...]
    refused: tuple[Refused, ...]
    scaling: Scaling | Trouble

    @property
    def deployments(self) -> tuple[Member | Refused, ...]:
        """Return all of its Deployments."""
        return (*self.members, *self.refused)

    def counts(self, of: Callable[[Member], int]) -> dict[Shape, int]:
        """Return a number of each Deployment by shape."""
        return {member.shape: of(member) for member in self.members}


def grouped(deployments: Iterable[Deployment]) -> dict[Name, list[Deployment]]:
    """Return the Deployments of each function, in the order of its name; the oldest first."""
    by_name: defaultdict[Name, list[Deployment]] = defaultdict(list)
    for each in sorted(deployments, key=members.age):
        function = each.metadata.labels.get(names.LABEL_FUNCTION, "")
        by_name[Name(each.metadata.namespace, function)].append(each)
    return {name: by_name[name] for name in sorted(by_name, key=str)}


def read(
    name: Name,
    deployments: Sequence[Deployment],
    profiles: Profiles,
    defaults: Defaults,
    bounds: Mapping[Target, Bounds] = UNKNOWN,
) -> Function:
    """Return the function of these Deployments, which come oldest first."""
    found, refused = members.read(deployments, bounds)
    try:
        profile = profiles.profile(name)
        found, outside = members.inside(profile, found)
        refused += outside
        declared = Declared(deployments, profiles.config_map(name))
        how = _scaling(name, profile, found, declared, defaults)
    except TroubleError as error:
        return Function(name, tuple(found), tuple(refused), error.trouble)
    return Function(name, tuple(found), tuple(refused), how)


def unreadable(name: Name, deployments: Iterable[Deployment], trouble: Trouble) -> Function:
    """Return a function none of whose Deployments can be scaled, for one reason."""
    refused = tuple(members.refused(each, trouble) for each in deployments)
    return Function(name, (), refused, trouble)


def _scaling(
    name: Name,
    profile: Profile,
    replicas: Sequence[Member],
    declared: Declared,
    defaults: Defaults,
) -> Scaling:
    """Return how a function is to be scaled; TroubleError where that cannot be told."""
    slo_ms = declared.read(names.ANNOTATION_SLO, lambda found: found.read(units.milliseconds))
    slo_ms = profile.slo_ms if slo_ms is None else slo_ms
    policy = declared.read(
        names.ANNOTATION_SCALING_POLICY,
        lambda found: found.one_of(tuple(scaling.POLICIES), scaling.EXACT),
    )
    window_s = declared.read(
        names.ANNOTATION_SCALE_DOWN_WINDOW, lambda found: found.read(units.milliseconds) / 1000
    )
    slo_from = declared.where(names.ANNOTATION_SLO) or f"function {name}: slo_ms of its profile"
    options, unfit = _options(name, profile, replicas, slo_ms, slo_from)
    return Scaling(
        _query(name, declared, defaults),
        policy or defaults.policy,
        defaults.scale_down_window_s if window_s is None else window_s,
        slo_ms,
        options,
        unfit,
    )


def _options(
    name: Name, profile: Profile, replicas: Sequence[Member], slo_ms: float | None, slo_from: str
) -> tuple[tuple[Option, ...], Mapping[Shape, str]]:
    """Return what a planner may choose from, and why shapes of other Deployments are not in it."""
    if not replicas:
        raise TroubleError(Reason.BAD_SHAPE, f"function {name}: no Deployment of it can be scaled")
    shapes = {member.shape for member in replicas}
    reserved = {member.shape: member.memory_bytes for member in replicas if member.memory_bytes}
    judged = scaling.judge(profile, shapes, slo_ms, reserved)
    if not judged.options:
        try:
            scaling.options(profile, shapes, slo_ms)
        except NoShapeError as error:
            text = f"{slo_from}: {error}{_better(profile, slo_ms)}"
            raise TroubleError(Reason.NO_SHAPE_MEETS_SLO, text) from error
    bounds = {member.shape: member.bounds for member in replicas}
    return bounded(judged.options, bounds), judged.refused


def _better(profile: Profile, slo_ms: float | None) -> str:
    """Return a shape of the profile that would do, the cheapest; empty where none would."""
    found = scaling.judge(profile, None, slo_ms).options
    if not found:
        return ""
    best = min(found, key=lambda option: (option.cost, option.shape))
    return f"; {best.shape} of the profile would: give it a Deployment (gshare render)"


def _query(name: Name, declared: Declared, defaults: Defaults) -> Query:
    values = {
        "namespace": name.namespace,
        "function": name.function,
        "window": defaults.window,
    }
    written = declared.read(
        names.ANNOTATION_RATE_QUERY,
        lambda found: queries.query(found.text(), f"{found.source}: {found.path}", values),
    )
    return written or queries.query(queries.DEFAULT, f"function {name}: the default query", values)
