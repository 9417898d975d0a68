"""Deployments, ConfigMaps and HPAs of the API as values, with only the fields that are read."""

from typing import Any

import msgspec
from msgspec import field

from gshare.runtime.kube.objects import Condition, Meta


class _Read(msgspec.Struct, frozen=True, rename="camel"):
    """Unknown fields are skipped; absent ones have their default."""


class DeploymentSpec(_Read, frozen=True):
    """What a Deployment is to be; the template stays as it is, for `gshare.workload` to read."""

    replicas: int = 1
    template: dict[str, Any] = field(default_factory=dict)


class DeploymentStatus(_Read, frozen=True):
    """What a Deployment is. Pods that are being deleted are in none of the numbers."""

    replicas: int = 0
    ready_replicas: int = 0


class Deployment(_Read, frozen=True):
    """A Deployment."""

    metadata: Meta
    spec: DeploymentSpec = field(default_factory=DeploymentSpec)
    status: DeploymentStatus = field(default_factory=DeploymentStatus)


class ScaleTarget(_Read, frozen=True):
    """What an HPA scales."""

    kind: str = ""
    name: str = ""


class MetricName(_Read, frozen=True):
    """Which metric an HPA asks for."""

    name: str = ""


class ObjectMetric(_Read, frozen=True):
    """A metric of an object, as an HPA names it."""

    metric: MetricName = field(default_factory=MetricName)


class HpaMetric(_Read, frozen=True):
    """One of an HPA's metrics; those of other kinds than Object have no name here."""

    object: ObjectMetric = field(default_factory=ObjectMetric)


class HpaSpec(_Read, frozen=True):
    """What an HPA is to do."""

    scale_target_ref: ScaleTarget = field(default_factory=ScaleTarget)
    min_replicas: int = 1
    max_replicas: int = 1
    metrics: list[HpaMetric] = field(default_factory=list)


class HpaStatus(_Read, frozen=True):
    """What an HPA says of itself."""

    conditions: list[Condition] = field(default_factory=list)


class Hpa(_Read, frozen=True):
    """A HorizontalPodAutoscaler (autoscaling/v2)."""

    metadata: Meta
    spec: HpaSpec = field(default_factory=HpaSpec)
    status: HpaStatus = field(default_factory=HpaStatus)


class ConfigMap(_Read, frozen=True):
    """A ConfigMap."""

    metadata: Meta
    data: dict[str, str] = field(default_factory=dict)
