"""Reads pods and nodes of the API as what the ledger takes. Pure."""

import datetime as dt
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gshare import names, terms
from gshare.annotations import (
    NodeGpu,
    PodPlacement,
    Standing,
    decode_in_force,
    decode_inventory,
    decode_placement,
    decode_resident,
)
from gshare.errors import InputError
from gshare.ledger import PlacedPod, UnplacedPod
from gshare.models import ModelShare
from gshare.placement import Request
from gshare.policies import AFFINITY, POLICIES, Preference
from gshare.runtime.kube.objects import Container, Node, Pod
from gshare.workload.values import Shape

from . import alike

_WENT_ROUND: Final = (
    "was bound without gshare's extender and has no placement, so that it cannot start: "
    "delete it, and let a scheduler bind it that asks the extender"
)


_RUNNING: Final = "Running"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a node offers: GPUs, and units of vgpu-sm and of vgpu-quota.

    `trouble` says why its inventory cannot be read. `standings` are the terms of its pods that
    differ from their placements, by UID.
    """

    inventory: tuple[NodeGpu, ...]
    units: tuple[int, int]
    trouble: str = ""
    standings: Mapping[str, Standing] = field(default_factory=dict)
    resident: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Bytes of the models that its GPUs' stores keep, by GPU and name."""

    @property
    def capacity(self) -> "Offer":
        """Return it without what is in use of it."""
        return replace(self, standings={}, resident={})

    def relieves(self, before: "Offer | None") -> bool:
        """Tell whether pods that are there may take less than they did: of terms, or of weights."""
        if before is None:
            return False
        return before.standings != self.standings or any(
            size > self.resident.get(uuid, {}).get(name, 0)
            for uuid, models in before.resident.items()
            for name, size in models.items()
        )


def asks(pod: Pod) -> bool:
    """Tell whether `pod` names one of our resources."""
    return pod.names_any(names.RESOURCES)


def request(pod: Pod) -> Request | None:
    """Return what `pod` asks, None where it asks nothing of us; InputError if it is wrong."""
    if not asks(pod):
        return None
    asked = alike.asked(pod)
    if asked is None:
        return None
    shape = asked.shape
    return Request(
        pod.metadata.uid,
        shape.sm_percent,
        shape.quota_request_percent,
        shape.memory_bytes,
        _model(pod, shape),
    )


def preference(pod: Pod, policy: str) -> Preference:
    """Return which GPUs `pod` prefers, by `policy` where it does not say; InputError if wrong."""
    texts = pod.metadata.annotations
    chosen = texts.get(names.ANNOTATION_POLICY, policy)
    asked = alike.asked(pod) if chosen == AFFINITY else None
    model = _model(pod, asked.shape) if asked else None
    try:
        return Preference(chosen, model.name if model else "")
    except ValueError as error:
        known = ", ".join(POLICIES)
        name = pod.metadata.name
        field_name = f"annotation {names.ANNOTATION_POLICY}"
        raise InputError(f"pod {name}", field_name, chosen, f"must be one of {known}") from error


def observed(pod: Pod) -> PlacedPod | UnplacedPod | None:
    """Return what `pod` holds on its node; None where it is on none, has ended or asks nothing."""
    if not pod.spec.node_name or pod.is_ended or not asks(pod):
        return None
    placement = _placement(pod)
    if isinstance(placement, str):
        return _unplaced(pod, placement)
    meta = pod.metadata
    wishes = terms.texts(meta.annotations) if pod.status.phase == _RUNNING else None
    return PlacedPod(
        meta.uid,
        sys.intern(meta.namespace),
        meta.name,
        sys.intern(pod.spec.node_name),
        placement,
        pod.spec.priority,
        alike.texts(meta.labels),
        sys.intern(meta.creation_timestamp or ""),
        _seconds(meta.deletion_timestamp),
        None if wishes is None else alike.texts(wishes),
    )


def offer(node: Node) -> Offer:
    """Return what `node` offers.

    Nothing where its inventory or its pods' terms cannot be read; where its models cannot, its GPUs
    all the same: models that are there decide only about pods that announce no size.
    """
    allocatable = node.status.allocatable
    units = (_units(allocatable, names.RESOURCE_SM), _units(allocatable, names.RESOURCE_QUOTA))
    texts = node.metadata.annotations
    read, name = Offer((), units), names.ANNOTATION_IN_FORCE
    try:
        read = replace(read, standings=decode_in_force(texts.get(name, "{}")))
        name = names.ANNOTATION_GPUS
        read = replace(read, inventory=decode_inventory(texts.get(name, "[]")))
        name = names.ANNOTATION_RESIDENT
        return replace(read, resident=decode_resident(texts.get(name, "{}")))
    except ValueError as error:
        trouble = f"annotation {name} {error}: restart gshare's node agent there"
        return replace(read, trouble=trouble)


def _model(pod: Pod, shape: Shape) -> ModelShare | None:
    """Return the model that a pod announces, as one of its namespace."""
    return shape.model.within(sys.intern(pod.metadata.namespace)) if shape.model else None


def _placement(pod: Pod) -> PodPlacement | str:
    """Return the placement of a bound pod, or why it has none."""
    text = pod.metadata.annotations.get(names.ANNOTATION_PLACEMENT)
    if text is None:
        return _WENT_ROUND
    try:
        asked = alike.rectangle(pod)
        placement = decode_placement(text, sys.intern(pod.metadata.namespace))
    except InputError as error:
        return f"cannot start: {error.field}: {error.value!r}: {error.problem}"
    except ValueError as error:
        return f"annotation {names.ANNOTATION_PLACEMENT} {error}: delete the pod"
    if asked is None or (asked.shape.sm_percent, asked.shape.quota_request_percent) != (
        placement.sm_percent,
        placement.quota_percent,
    ):
        return f"annotation {names.ANNOTATION_PLACEMENT} is not what it asks: delete the pod"
    return placement


def _unplaced(pod: Pod, text: str) -> UnplacedPod:
    meta = pod.metadata
    sm_units, quota_units = (_taken(pod, name) for name in names.RESOURCES)
    return UnplacedPod(
        meta.uid, meta.namespace, meta.name, pod.spec.node_name, sm_units, quota_units, text
    )


def _taken(pod: Pod, name: str) -> int:
    """Return the units of a resource that the kubelet counts for `pod`."""
    running = sum(_of(container, name) for container in pod.spec.containers)
    return max([running, *(_of(container, name) for container in pod.spec.init_containers)])


def _of(container: Container, name: str) -> int:
    return max(_units(container.resources.limits, name), _units(container.resources.requests, name))


def _units(quantities: Mapping[str, str | int], name: str) -> int:
    """Return a whole quantity; the API writes 20000 as "20k", and takes no fractions."""
    text = str(quantities.get(name, 0))
    for suffix, factor in (("k", 10**3), ("M", 10**6), ("G", 10**9)):
        if text.endswith(suffix):
            return int(text[:-1]) * factor if text[:-1].isdecimal() else 0
    return int(text) if text.isdecimal() else 0


def _seconds(time: str | None) -> float | None:
    """Return the API's time in seconds of the epoch."""
    if not time:
        return None
    try:
        return dt.datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None
