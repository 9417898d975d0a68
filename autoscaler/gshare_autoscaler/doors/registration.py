"""Whose the group custom.metrics.k8s.io is, and what to do about it. Pure.

A cluster has one APIService for each version of the group, and HPAs ask the preferred version
alone. So the group is all ours or not ours at all: where one version belongs to another adapter
(prometheus-adapter, KEDA's older ones), the other version is not taken either, for its HPAs would
then ask us for metrics that we do not have. What is another's is never changed.

Sources: k8s.io/kube-aggregator/pkg/apis/apiregistration/v1; the choice of the version in
k8s.io/metrics/pkg/client/custom_metrics.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from gshare import names
from gshare.runtime.kube.objects import Meta

from .settings import GROUP, VERSIONS, ServiceAddress

_PRIORITY: Final = 100


class ServiceReference(msgspec.Struct, frozen=True, rename="camel"):
    """The Service that answers for a version."""

    namespace: str = ""
    name: str = ""


class ApiServiceSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Who answers for a version, and whom the API server trusts to be that."""

    service: ServiceReference | None = None
    ca_bundle: str | None = None
    """Base64 of PEM."""


class ApiService(msgspec.Struct, frozen=True, rename="camel"):
    """An APIService, as far as it is read."""

    metadata: Meta
    spec: ApiServiceSpec = msgspec.field(default_factory=ApiServiceSpec)


@dataclass(frozen=True, slots=True)
class Create:
    """Make this object."""

    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge this into the object of that name; it names the version that was read."""

    name: str
    body: Mapping[str, object]


Step = Create | Patch


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose the versions are, after all was written."""

    ours: frozenset[str]
    """Names of the APIServices that name our Service."""
    strangers: str
    """Which are another's, in one line; empty where none is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What our APIServices are to say."""

    service: ServiceAddress
    authority: str
    """PEM."""
    owner: Mapping[str, object] | None
    """The cluster-wide object that takes them along as it is deleted; None: nothing does."""


def names_of_all() -> tuple[str, ...]:
    """Return the names of the group's APIServices."""
    return tuple(f"{version}.{GROUP}" for version in VERSIONS)


def strangers(found: Mapping[str, ApiService], service: ServiceAddress) -> str:
    """Say which of the APIServices found are another's, in one line; empty where none is."""
    taken = [
        f"apiservice {name}: spec.service: {_named(each)}"
        for name, each in sorted(found.items())
        if not is_ours(each, service)
    ]
    if not taken:
        return ""
    return (
        f"{'; '.join(taken)}: belongs to another adapter and is left alone; use the gauge"
        f" {names.METRIC_DESIRED_REPLICAS} or KEDA instead, or delete that APIService"
    )


def is_ours(found: ApiService, service: ServiceAddress) -> bool:
    """Tell whether an APIService names our Service."""
    named = found.spec.service
    return named is not None and (named.namespace, named.name) == (service.namespace, service.name)


def standing(found: Mapping[str, ApiService], service: ServiceAddress) -> Standing:
    """Return whose the versions are once `steps` of `found` was written."""
    taken = strangers(found, service)
    mine = (name for name, each in found.items() if is_ours(each, service))
    return Standing(frozenset(mine if taken else names_of_all()), taken)


def steps(found: Mapping[str, ApiService], wanted: Wanted) -> list[Step]:
    """Return what to write so that every version is ours and trusts our authority.

    Nothing, where any is another's.
    """
    if strangers(found, wanted.service):
        return []
    bundle = base64.b64encode(wanted.authority.encode()).decode()
    made: list[Step] = []
    for version, name in zip(VERSIONS, names_of_all(), strict=True):
        known = found.get(name)
        if known is None:
            made.append(Create(_body(version, name, bundle, wanted)))
        elif known.spec.ca_bundle != bundle:
            made.append(Patch(name, _renewed(known, bundle)))
    return made


def _renewed(known: ApiService, bundle: str) -> Mapping[str, object]:
    return {
        "metadata": {"resourceVersion": known.metadata.resource_version},
        "spec": {"caBundle": bundle, "insecureSkipTLSVerify": False},
    }


def _body(version: str, name: str, bundle: str, wanted: Wanted) -> Mapping[str, object]:
    service = wanted.service
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/name": "gshare",
                "app.kubernetes.io/component": "autoscaler",
                "app.kubernetes.io/managed-by": names.PART_AUTOSCALER,
            },
            "ownerReferences": [wanted.owner] if wanted.owner else [],
        },
        "spec": {
            "group": GROUP,
            "version": version,
            "service": {
                "namespace": service.namespace,
                "name": service.name,
                "port": service.port,
            },
            "caBundle": bundle,
            "groupPriorityMinimum": _PRIORITY,
            # The newer version is the preferred one.
            "versionPriority": _PRIORITY * (1 + VERSIONS.index(version)),
        },
    }


def _named(found: ApiService) -> str:
    service = found.spec.service
    return f"{service.namespace}/{service.name}" if service else "the API server itself"
