"""Reads what a live pod, as the API server has it, asks of a GPU."""

from collections.abc import Mapping
from dataclasses import dataclass

from gshare.workload import shape
from gshare.workload.fields import Field
from gshare.workload.values import Shape


@dataclass(frozen=True, slots=True)
class Asked:
    """The container of a pod that gets a rectangle, and what it asks."""

    container: str
    shape: Shape


def asked(pod: Mapping[str, object]) -> Asked | None:
    """Return what `pod` asks, None where it names neither resource; InputError if it is wrong.

    `pod` has the form of the API's JSON; only the metadata's name, namespace and annotations and
    the spec's containers and initContainers (names and resources) are read.
    """
    whole = Field(_name(pod), "Pod", dict(pod))
    container = shape.gpu_container(whole.child("spec"))
    if container is None:
        return None
    annotations = whole.at("metadata", "annotations")
    return Asked(container.child("name").name(), shape.read_asked(annotations, container))


def rectangle(pod: Mapping[str, object]) -> Asked | None:
    """Return what `pod` asks by its container alone, whatever its annotations say."""
    whole = Field(_name(pod), "Pod", dict(pod))
    container = shape.gpu_container(whole.child("spec"))
    if container is None:
        return None
    nothing = Field(whole.source, "Pod metadata.annotations", None)
    return Asked(container.child("name").name(), shape.read_asked(nothing, container))


def _name(pod: Mapping[str, object]) -> str:
    metadata = pod.get("metadata")
    if not isinstance(metadata, Mapping):
        return "pod"
    return f"pod {metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"
