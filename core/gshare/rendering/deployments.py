"""Writes one Deployment for one shape of a function, from the user's own."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from gshare import names
from gshare.scaling import Shape

from .plain import Object
from .template import Template

_SHAPE_IN_NAME: Final = re.compile(r"-s\d{1,3}-q\d{1,3}")
_KEPT_METADATA: Final = ("name", "namespace", "labels", "annotations")
_OF_THE_CLUSTER: Final = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What every replica of one Deployment asks of a GPU; None leaves what the user wrote."""

    shape: Shape
    quota_limit_percent: int | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """One Deployment of a function, and how far its autoscaler may go."""

    deployment: Object = field(repr=False)
    least: int
    most: int

    @property
    def name(self) -> str:
        """Return the Deployment's name."""
        return str(self.deployment["metadata"]["name"])


def name_of(template: Template, shape: Shape) -> str:
    """Return what the function's Deployment of this shape is called."""
    return f"{_SHAPE_IN_NAME.sub('', template.name)}-{label_of(shape)}"


def label_of(shape: Shape) -> str:
    """Return the value of a shape's label, such as "s12-q40"."""
    return f"s{shape.sm_percent}-q{shape.quota_percent}"


def deployment(template: Template, ask: Ask, annotations: dict[str, str]) -> Object:
    """Return the Deployment; `annotations` are those of its scaling, set over the user's own.

    It has no `replicas`: those are its autoscaler's, and applying the file again must not undo it.
    """
    written = template.deployment
    written.pop("status", None)
    metadata = {key: value for key, value in written["metadata"].items() if key in _KEPT_METADATA}
    metadata["name"] = name_of(template, ask.shape)
    own = {names.LABEL_FUNCTION: template.function}
    metadata["labels"] = (metadata.get("labels") or {}) | own
    metadata["annotations"] = _without(metadata.get("annotations"), _OF_THE_CLUSTER) | annotations
    written["metadata"] = metadata
    written["spec"].pop("replicas", None)
    shape_label = {names.LABEL_SHAPE: label_of(ask.shape)}
    selector = written["spec"].setdefault("selector", {})
    selector["matchLabels"] = (selector.get("matchLabels") or {}) | shape_label
    _shape_pods(written["spec"]["template"], template, ask, own | shape_label)
    return written


def _shape_pods(pods: Object, template: Template, ask: Ask, labels: dict[str, str]) -> None:
    metadata = pods.get("metadata") or {}
    annotations = _without(metadata.get("annotations"), (names.ANNOTATION_QUOTA_REQUEST,))
    limit = ask.quota_limit_percent
    if limit is None and template.quota_limit_percent is not None:
        limit = max(template.quota_limit_percent, ask.shape.quota_percent)
    if limit is not None:
        annotations[names.ANNOTATION_QUOTA_LIMIT] = str(limit)
    if ask.memory_bytes is not None:
        annotations[names.ANNOTATION_GPU_MEM] = str(ask.memory_bytes)
    pods["metadata"] = {
        **{key: value for key, value in metadata.items() if key != "annotations"},
        "labels": (metadata.get("labels") or {}) | labels,
        **({"annotations": annotations} if annotations else {}),
    }
    _shape_container(pods["spec"]["containers"][template.container], ask.shape)


def _shape_container(container: Object, shape: Shape) -> None:
    """Put the rectangle among the limits; requests of it, which must equal them, go."""
    resources = container.get("resources") or {}
    asked = {
        kind: _without(resources.get(kind), names.RESOURCES) for kind in ("requests", "limits")
    }
    sides = {names.RESOURCE_SM: shape.sm_percent, names.RESOURCE_QUOTA: shape.quota_percent}
    container["resources"] = (
        {key: value for key, value in resources.items() if key not in asked}
        | {kind: value for kind, value in asked.items() if value}
        | {"limits": asked["limits"] | sides}
    )


def _without(mapping: Any, keys: tuple[str, ...]) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    return {key: value for key, value in (mapping or {}).items() if key not in keys}
