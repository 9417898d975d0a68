"""Reads Deployments as shapes of a function, each with its replicas. Pure.

One Deployment a shape, the oldest; and of one that cannot be scaled, why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gshare import names, scaling
from gshare.errors import InputError
from gshare.profile import Profile
from gshare.scaling import Shape
from gshare.workload import shape as workload
from gshare.workload.fields import Field

from .answers import About, Target
from .bounds import FREE, Bounds
from .conditions import Reason, Trouble, TroubleError
from .declared import named
from .objects import Deployment


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


def read(
    deployments: Iterable[Deployment], bounds: Mapping[Target, Bounds]
) -> tuple[list[Member], list[Refused]]:
    """Return the Deployments that can be scaled, one a shape, the oldest; and the others."""
    members: dict[Shape, Member] = {}
    others: list[Refused] = []
    for each in deployments:
        target, about = _target(each), _about(each)
        try:
            member = _member(each, target, about, bounds.get(target, FREE))
            _check_alone(each, member, members)
            members[member.shape] = member
        except TroubleError as error:
            others.append(refused(each, error.trouble))
    return list(members.values()), others


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


def refused(deployment: Deployment, trouble: Trouble) -> Refused:
    """Return a Deployment as one that is not scaled."""
    return Refused(_target(deployment), _about(deployment), deployment.metadata.uid, trouble)


def age(deployment: Deployment) -> tuple[str, str]:
    """Return what sorts Deployments, the oldest first."""
    meta = deployment.metadata
    return meta.creation_timestamp or "", meta.name


def inside(profile: Profile, members: Sequence[Member]) -> tuple[list[Member], list[Refused]]:
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


def _one_line(error: InputError) -> str:
    return f"{error.source}: {error.field.strip()}: {error.value!r}: {error.problem}"


def _target(deployment: Deployment) -> Target:
    return Target(deployment.metadata.namespace, deployment.metadata.name)


def _about(deployment: Deployment) -> About:
    meta = deployment.metadata
    return About(meta.labels.get(names.LABEL_FUNCTION, ""), meta.labels)
