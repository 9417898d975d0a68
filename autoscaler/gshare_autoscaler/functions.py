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
from gshare.errors import InputError
from gshare.profile import Profile
from gshare.scaling import NoShapeError, Option, Shape
from gshare.workload import shape as workload
from gshare.workload.fields import Field

from . import queries
from .answers import About, Target
from .bounds import FREE, UNKNOWN, Bounds, bounded
from .conditions import Reason, Trouble, TroubleError
from .declared import Declared, named
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
class Member:
    """One Deployment of a function: its shape, and its replicas."""

    target: Target
    about: About
    uid: str
    shape: Shape
    memory_bytes: int | None
    """What each replica reserves, where the Deployment says it."""
    bounds: Bounds
    """Of its HPA."""
    running: int
    """What it is scaled to."""
    ready: int
    """How many of those serve."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A Deployment that is not scaled, and why."""

    target: Target
    about: About
    uid: str
    trouble: Trouble


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
    for each in sorted(deployments, key=_age):
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
    members, refused = _members(deployments, bounds)
    try:
        profile = profiles.profile(name)
        members, outside = _inside(profile, members)
        refused += outside
        declared = Declared(deployments, profiles.config_map(name))
        found = _scaling(name, profile, members, declared, defaults)
    except TroubleError as error:
        return Function(name, tuple(members), tuple(refused), error.trouble)
    return Function(name, tuple(members), tuple(refused), found)


def unreadable(name: Name, deployments: Iterable[Deployment], trouble: Trouble) -> Function:
    """Return a function none of whose Deployments can be scaled, for one reason."""
    refused = [
        Refused(_target(each), _about(each), each.metadata.uid, trouble) for each in deployments
    ]
    return Function(name, (), tuple(refused), trouble)


def _inside(profile: Profile, members: Sequence[Member]) -> tuple[list[Member], list[Refused]]:
    """Return the Deployments of whose shapes a profile tells something, and the others."""
    outside = {
        member.shape: text
        for member in members
        if (text := scaling.judge(profile, [member.shape]).refused.get(member.shape))
    }
    return [each for each in members if each.shape not in outside], [
        Refused(
            each.target,
            each.about,
            each.uid,
            Trouble(
                Reason.BAD_SHAPE,
                f"Deployment {each.target}: limits of spec.template: '{each.shape}' (SM x quota): "
                f"{outside[each.shape]}: profile it there too",
            ),
        )
        for each in members
        if each.shape in outside
    ]


def _members(
    deployments: Iterable[Deployment], bounds: Mapping[Target, Bounds]
) -> tuple[list[Member], list[Refused]]:
    """Return the Deployments that can be scaled, one a shape, the oldest; and the others."""
    members: dict[Shape, Member] = {}
    refused: list[Refused] = []
    for each in deployments:
        target, about = _target(each), _about(each)
        try:
            member = _member(each, target, about, bounds.get(target, FREE))
            _check_alone(each, member, members)
            members[member.shape] = member
        except TroubleError as error:
            refused.append(Refused(target, about, each.metadata.uid, error.trouble))
    return list(members.values()), refused


def _check_alone(deployment: Deployment, member: Member, members: Mapping[Shape, Member]) -> None:
    if member.shape in members:
        raise TroubleError(
            Reason.SAME_SHAPE,
            f"{named(deployment)}: limits of spec.template: '{member.shape}' (SM x quota): is the "
            f"shape of the older Deployment {members[member.shape].target.name} of this function, "
            "which is scaled: delete one or change its shape",
        )


def _member(deployment: Deployment, target: Target, about: About, bounds: Bounds) -> Member:
    """Return a Deployment with the shape that its pods ask; TroubleError where they ask none."""
    template = {"spec": {"template": deployment.spec.template}}
    whole = Field(named(deployment), "", template)
    try:
        container = workload.gpu_container(whole.at("spec", "template", "spec"))
        if container is None:
            containers = whole.at("spec", "template", "spec", "containers")
            limits = [each.at("resources", "limits") for each in containers.elements()]
            (limits or [containers])[0].refuse(
                f"must name {names.RESOURCE_SM} and {names.RESOURCE_QUOTA}"
            )
        asked = workload.read(whole, container)
    except InputError as error:
        raise TroubleError(Reason.BAD_SHAPE, _one_line(error)) from error
    wanted = deployment.spec.replicas
    return Member(
        target,
        about,
        deployment.metadata.uid,
        Shape(asked.sm_percent, asked.quota_request_percent),
        asked.memory_bytes,
        bounds,
        wanted,
        min(wanted, deployment.status.ready_replicas),
    )


def _scaling(
    name: Name,
    profile: Profile,
    members: Sequence[Member],
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
    options, unfit = _options(name, profile, members, slo_ms, slo_from)
    return Scaling(
        _query(name, declared, defaults),
        policy or defaults.policy,
        defaults.scale_down_window_s if window_s is None else window_s,
        slo_ms,
        options,
        unfit,
    )


def _options(
    name: Name, profile: Profile, members: Sequence[Member], slo_ms: float | None, slo_from: str
) -> tuple[tuple[Option, ...], Mapping[Shape, str]]:
    """Return what a planner may choose from, and why shapes of other Deployments are not in it."""
    if not members:
        raise TroubleError(Reason.BAD_SHAPE, f"function {name}: no Deployment of it can be scaled")
    shapes = {member.shape for member in members}
    reserved = {member.shape: member.memory_bytes for member in members if member.memory_bytes}
    judged = scaling.judge(profile, shapes, slo_ms, reserved)
    if not judged.options:
        try:
            scaling.options(profile, shapes, slo_ms)
        except NoShapeError as error:
            text = f"{slo_from}: {error}{_better(profile, slo_ms)}"
            raise TroubleError(Reason.NO_SHAPE_MEETS_SLO, text) from error
    bounds = {member.shape: member.bounds for member in members}
    return bounded(judged.options, bounds), judged.refused


def _better(profile: Profile, slo_ms: float | None) -> str:
    """Return a shape of the profile that would do, the cheapest; empty where none would."""
    found = scaling.judge(profile, None, slo_ms).options
    if not found:
        return ""
    best = min(found, key=lambda option: (option.cost, option.shape))
    return f"; {best.shape} of the profile would: give it a Deployment (gshare render)"


def _one_line(error: InputError) -> str:
    return f"{error.source}: {error.field.strip()}: {error.value!r}: {error.problem}"


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


def _age(deployment: Deployment) -> tuple[str, str]:
    meta = deployment.metadata
    return meta.creation_timestamp or "", meta.name


def _target(deployment: Deployment) -> Target:
    return Target(deployment.metadata.namespace, deployment.metadata.name)


def _about(deployment: Deployment) -> About:
    meta = deployment.metadata
    return About(meta.labels.get(names.LABEL_FUNCTION, ""), meta.labels)
