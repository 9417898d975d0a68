"""Deployments and ConfigMaps of the API as values, with only the fields that are read here."""

from typing import Any

import msgspec
from msgspec import field

from gshare.runtime.kube.objects import Meta


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


class ConfigMap(_Read, frozen=True):
    """A ConfigMap."""

    metadata: Meta
    data: dict[str, str] = field(default_factory=dict)
