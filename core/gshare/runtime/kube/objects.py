"""Pods, nodes and events of the API as values, with only the fields that gshare reads."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import field


class _Read(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Unknown fields are skipped; absent ones have their default."""


class OwnerReference(_Read, frozen=True):
    """The object that made this one."""

    kind: str
    name: str
    uid: str
    controller: bool = False


class Meta(_Read, frozen=True):
    """Who an object is."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    owner_references: list[OwnerReference] = field(default_factory=list)


class Resources(_Read, frozen=True):
    """What a container asks; quantities as they stand, mostly texts."""

    limits: dict[str, str | int] = field(default_factory=dict)
    requests: dict[str, str | int] = field(default_factory=dict)


class Container(_Read, frozen=True):
    """One container of a pod's spec."""

    name: str
    resources: Resources = field(default_factory=Resources)


class PodSpec(_Read, frozen=True):
    """What a pod is to be."""

    containers: list[Container] = field(default_factory=list)
    init_containers: list[Container] = field(default_factory=list)
    node_name: str = ""
    scheduler_name: str = ""
    priority: int = 0
    preemption_policy: str = "PreemptLowerPriority"
    priority_class_name: str = ""
    restart_policy: str = "Always"


class Condition(_Read, frozen=True):
    """One thing that holds of a pod or a node, or does not."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class Waiting(_Read, frozen=True):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class Terminated(_Read, frozen=True):
    """How a container ended."""

    reason: str = ""
    message: str = ""
    exit_code: int = 0


class ContainerState(_Read, frozen=True):
    """What a container does: at most one of these, and `running` is there when it runs."""

    waiting: Waiting | None = None
    running: dict[str, Any] | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Read, frozen=True):
    """What became of one container."""

    name: str
    ready: bool = False
    restart_count: int = 0
    container_id: str = field(default="", name="containerID")
    state: ContainerState = field(default_factory=ContainerState)


class PodStatus(_Read, frozen=True):
    """What a pod is."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = field(default="", name="podIP")
    nominated_node_name: str = ""
    conditions: list[Condition] = field(default_factory=list)
    container_statuses: list[ContainerStatus] = field(default_factory=list)
    init_container_statuses: list[ContainerStatus] = field(default_factory=list)


class Pod(_Read, frozen=True):
    """A pod."""

    metadata: Meta
    spec: PodSpec = field(default_factory=PodSpec)
    status: PodStatus = field(default_factory=PodStatus)

    @property
    def is_ended(self) -> bool:
        """Tell whether its containers have ended for good, so that it holds nothing."""
        return self.status.phase in {"Succeeded", "Failed"}

    def names_any(self, resources: Iterable[str]) -> bool:
        """Tell whether any of its containers names one of `resources`, as limit or request."""
        wanted = set(resources)
        return any(
            not wanted.isdisjoint(kind)
            for container in (*self.spec.containers, *self.spec.init_containers)
            for kind in (container.resources.limits, container.resources.requests)
        )


class NodeSpec(_Read, frozen=True):
    """What a node is to be."""

    unschedulable: bool = False


class NodeStatus(_Read, frozen=True):
    """What a node is."""

    capacity: dict[str, str | int] = field(default_factory=dict)
    allocatable: dict[str, str | int] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)


class Node(_Read, frozen=True):
    """A node."""

    metadata: Meta
    spec: NodeSpec = field(default_factory=NodeSpec)
    status: NodeStatus = field(default_factory=NodeStatus)

    @property
    def is_ready(self) -> bool:
        """Tell whether its kubelet says so."""
        return any(
            each.type == "Ready" and each.status == "True" for each in self.status.conditions
        )


class ObjectReference(_Read, frozen=True):
    """What an event is about."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class Series(_Read, frozen=True):
    """How often an event happened, if more than once."""

    count: int = 0
    last_observed_time: str | None = None


class Event(_Read, frozen=True):
    """What some part of the cluster said about an object (events.k8s.io/v1)."""

    metadata: Meta
    regarding: ObjectReference = field(default_factory=ObjectReference)
    type: str = ""
    reason: str = ""
    note: str = ""
    reporting_controller: str = ""
    event_time: str | None = None
    series: Series | None = None
    deprecated_last_timestamp: str | None = None
    deprecated_count: int = 0

    @property
    def count(self) -> int:
        """Return how often it was seen."""
        return max(1, self.series.count if self.series else self.deprecated_count)

    @property
    def last_time(self) -> str:
        """Return when it was last seen, as the API writes times; empty where it does not say."""
        repeated = self.series.last_observed_time if self.series else None
        return (
            repeated
            or self.deprecated_last_timestamp
            or self.event_time
            or self.metadata.creation_timestamp
            or ""
        )


class ListMeta(_Read, frozen=True):
    """How far a page of a list goes."""

    resource_version: str = ""
    continue_: str = field(default="", name="continue")


class Page(_Read, frozen=True):
    """A page of a list; items are decoded one by one, so that a bad one spoils no other."""

    metadata: ListMeta = field(default_factory=ListMeta)
    items: list[msgspec.Raw] | None = None


class WatchEvent(_Read, frozen=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class Status(_Read, frozen=True):
    """The API's own error."""

    message: str = ""
    reason: str = ""
    code: int = 0


class _Versioned(_Read, frozen=True):
    resource_version: str = ""


class Bookmark(_Read, frozen=True):
    """An object of which only the version counts."""

    metadata: _Versioned


def pod_json(pod: Pod) -> Mapping[str, object]:
    """Return `pod` in the form of the API's JSON, as `gshare.workload.pods.asked` reads it."""
    built: dict[str, object] = msgspec.to_builtins(pod)
    return built
