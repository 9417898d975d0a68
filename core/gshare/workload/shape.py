"""Reads what a Deployment's pods ask of a GPU: two resources and four annotations."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NoReturn, TypeVar

from gshare import models, names, units
from gshare.errors import InputError
from gshare.models import ModelShare
from gshare.workload.fields import Field
from gshare.workload.values import Function, Shape

_TEMPLATE_ANNOTATIONS: Final = ("spec", "template", "metadata", "annotations")
_T = TypeVar("_T")


def asks_for_gpu(container: Field) -> bool:
    """Tell whether `container` names one of the two resources, in limits or in requests."""
    resources = container.child("resources")
    return any(
        not resources.at(kind, name).is_absent
        for kind in ("limits", "requests")
        for name in names.RESOURCES
    )


def read(deployment: Field, container: Field) -> Shape:
    """Return what each pod of `deployment` asks through `container`; InputError if it is wrong."""
    annotations = deployment.at(*_TEMPLATE_ANNOTATIONS)
    for written in (annotations, deployment.at("metadata", "annotations")):
        placement = written.child(names.ANNOTATION_PLACEMENT)
        if not placement.is_absent:
            placement.refuse("is written by gshare alone: remove it")
    shape = read_asked(annotations, container)
    live = annotations.child(names.ANNOTATION_QUOTA_REQUEST)
    return shape if live.is_absent else replace(shape, quota_request_percent=_percent(live))


def hook(deployment: Field) -> str:
    """Return how the pods of `deployment` reach the hook; InputError if it is wrong."""
    written = deployment.at(*_TEMPLATE_ANNOTATIONS).child(names.ANNOTATION_HOOK)
    return written.one_of(names.HOOKS, names.HOOK_PRELOAD)


def read_asked(annotations: Field, container: Field) -> Shape:
    """Return what a pod with `annotations` asks through `container`; InputError if it is wrong.

    A pod is placed by what its container asks: a quota request in an annotation is judged when it
    runs (`gshare.terms`), and only has to make sense here.
    """
    sm_percent = _resource(container, names.RESOURCE_SM, names.RESOURCE_QUOTA)
    quota = _resource(container, names.RESOURCE_QUOTA, names.RESOURCE_SM)
    live = annotations.child(names.ANNOTATION_QUOTA_REQUEST)
    limit = _quota_limit(annotations.child(names.ANNOTATION_QUOTA_LIMIT), live, quota)
    memory = _memory(annotations.child(names.ANNOTATION_GPU_MEM))
    model = _model(annotations.child(names.ANNOTATION_MODEL))
    return Shape(sm_percent, quota, limit, memory, model)


def gpu_container(pod: Field) -> Field | None:
    """Return the one container of a pod's spec that asks for a GPU, or None.

    InputError where two do, or an init container does.
    """
    asking = [each for each in pod.child("containers").elements() if asks_for_gpu(each)]
    if len(asking) > 1:
        asking[1].child("name").refuse(
            "is the second container of this pod that asks for a GPU: one may"
        )
    for container in pod.child("initContainers").elements():
        if asks_for_gpu(container):
            container.child("name").refuse("is an init container: only a container gets a GPU")
    return asking[0] if asking else None


def check_card(function: Function, card_memory_bytes: int) -> None:
    """Raise InputError where `function` asks for more memory than the largest card has.

    Its own memory and the weights of its model have to be there together.
    """
    own, card = function.shape.memory_bytes or 0, units.memory_text(card_memory_bytes)
    if own > card_memory_bytes:
        _refuse_memory(
            function, names.ANNOTATION_GPU_MEM, own, f"is more than the {card} of the largest GPU"
        )
    weights = (function.shape.model.size_bytes or 0) if function.shape.model else 0
    if own + weights > card_memory_bytes:
        beside = f" with the {units.memory_text(own)} of {names.ANNOTATION_GPU_MEM}" if own else ""
        problem = f"is{beside} more than the {card} of the largest GPU"
        _refuse_memory(function, names.ANNOTATION_MODEL, weights, problem)


def _refuse_memory(function: Function, annotation: str, amount: int, problem: str) -> NoReturn:
    raise InputError(
        function.source,
        f"{function.kind_and_name} spec.template.metadata.annotations[{annotation}]",
        units.memory_text(amount),
        f"{problem} here",
    )


def _resource(container: Field, name: str, other: str) -> int:
    """Return one resource of `container`, whose limit must be there and equal its request."""
    limit = container.at("resources", "limits", name)
    if limit.is_absent:
        limit.refuse(f"is missing: a rectangle needs both {name} and {other} in limits")
    percent = limit.read(units.whole_percent)
    request = container.at("resources", "requests", name)
    if not request.is_absent and request.read(units.whole_percent) != percent:
        request.refuse(f"must equal the limit, {percent}, or be left out")
    return percent


def _quota_limit(annotation: Field, live: Field, quota_percent: int) -> int:
    """Return up to which percent of each window a function may borrow; 100 where not said.

    It is no less than the quota request: that of `live` where it is there.
    """
    request = quota_percent if live.is_absent else _percent(live)
    if annotation.is_absent:
        return 100
    limit = _percent(annotation)
    if limit < request:
        named = names.RESOURCE_QUOTA if live.is_absent else names.ANNOTATION_QUOTA_REQUEST
        annotation.refuse(f"must be at least the {request} of {named}")
    return limit


def _percent(annotation: Field) -> int:
    return _annotation(annotation, units.whole_percent)


def _memory(annotation: Field) -> int | None:
    return None if annotation.is_absent else _annotation(annotation, units.memory_bytes)


def _model(annotation: Field) -> ModelShare | None:
    return None if annotation.is_absent else _annotation(annotation, models.parse)


def _annotation(annotation: Field, reader: Callable[[object], _T]) -> _T:
    """Read an annotation, which the API server takes as a text alone."""
    annotation.text()
    return annotation.read(reader)
