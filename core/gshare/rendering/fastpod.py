"""Turns a FaSTPod of FaST-GShare into a Deployment that asks for the same rectangle.

What its controller did by hand is left to Kubernetes: the scheduler chooses node and GPU, the node
agent sets environment and mounts. So pinned nodes and GPUs, shared IPC and MPS settings are left
out, each with a note. Its pods keep the labels that the controller gave them (`app`, `controller`,
`fast_function`), so that Services go on to find them.
"""

import re
from typing import Final

from gshare import names
from gshare.workload.fields import Field

from . import fastpod_terms
from .fastpod_terms import Terms
from .notes import Note
from .plain import Object, plain

FUNCTION_LABELS: Final = (names.LABEL_FUNCTION, "faas_function", "fast_function")
_SCALE_MIN: Final = "com.openfaas.scale.min"
_SCALE_MAX: Final = "com.openfaas.scale.max"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_OTHERS_PREFIXES: Final = (*fastpod_terms.PREFIXES, "has-gpu/", "hasfunc/")
_WHOLE_GPU: Final = "nvidia.com/gpu"
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_LONGEST_LABEL: Final = 63
_NOT_IN_PODS: Final = {
    "nodeName": "the scheduler chooses the node",
    "hostIPC": "gshare shares no IPC with the node",
    "restartPolicy": "a Deployment's pods always restart",
    "activeDeadlineSeconds": "a Deployment's pods have no deadline",
}
_AS_EVER: Final = (False, "Always")
"""What those fields say where they say nothing new."""
_NOT_IN_ENVIRONMENT: Final = frozenset(
    {
        names.ENV_MPS_PERCENTAGE,
        names.ENV_MPS_PIPE_DIRECTORY,
        names.ENV_VISIBLE_DEVICES,
        "NVIDIA_VISIBLE_DEVICES",
    }
)


def deployment(fastpod: Field) -> tuple[Object, list[Note]]:
    """Return the Deployment for `fastpod`, and what of it was left out or rounded.

    InputError where its annotations make no rectangle or a field is wrong.
    """
    name = _name(fastpod)
    annotations = fastpod.at("metadata", "annotations")
    terms = fastpod_terms.read(annotations)
    others, notes = _other_annotations(annotations)
    labels = fastpod.at("metadata", "labels").text_map()
    pod, pod_notes = _pod_spec(fastpod.at("spec", "podSpec"), terms)
    function = {names.LABEL_FUNCTION: _function(labels, name)}
    selector = dict.fromkeys(("app", "controller", "fast_function"), name)
    pod_labels = selector | _wanted_labels(fastpod) | labels | function
    written = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(fastpod, name, labels | function, others),
        "spec": {
            "replicas": _replicas(fastpod),
            "selector": {"matchLabels": {key: pod_labels[key] for key in selector}},
            "template": {
                "metadata": {"labels": pod_labels, "annotations": others | terms.annotations},
                "spec": pod,
            },
        },
    }
    return written, [*terms.notes, *notes, *pod_notes, *_scale_notes(fastpod)]


def _name(fastpod: Field) -> str:
    name = fastpod.at("metadata", "name")
    if _NAME.fullmatch(name.name()) is None or len(name.name()) > _LONGEST_LABEL:
        name.refuse(
            f"must be at most {_LONGEST_LABEL} lower-case letters, digits, '-' and '.', "
            "as it names a Deployment and is a label of its pods"
        )
    return name.name()


def _function(labels: dict[str, str], name: str) -> str:
    return next((labels[key] for key in FUNCTION_LABELS if labels.get(key)), name)


def _wanted_labels(fastpod: Field) -> dict[str, str]:
    """Return the labels that the FaSTPod's own selector asks of its pods."""
    return fastpod.at("spec", "selector", "matchLabels").text_map()


def _metadata(
    fastpod: Field, name: str, labels: dict[str, str], annotations: dict[str, str]
) -> Object:
    namespace = fastpod.at("metadata", "namespace").text("")
    return {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "labels": labels,
        **({"annotations": annotations} if annotations else {}),
    }


def _other_annotations(annotations: Field) -> tuple[dict[str, str], list[Note]]:
    """Return the annotations that stay as they are, and a note for each other one."""
    kept, notes = {}, []
    for key, field in annotations.items():
        if fastpod_terms.is_term(key) or key == _LAST_APPLIED:
            continue
        if key.startswith(_OTHERS_PREFIXES):
            notes.append(Note.on(field, "left out: gshare places pods by itself"))
        else:
            kept[key] = field.text()
    return kept, notes


def _replicas(fastpod: Field) -> int:
    """Return the replicas, raised to OpenFaaS's least number unless they are 0."""
    replicas = fastpod.at("spec", "replicas").integer(1, 0)
    least = fastpod.at("metadata", "labels").child(_SCALE_MIN).text("0")
    return max(replicas, int(least)) if replicas and least.isdecimal() else replicas


def _scale_notes(fastpod: Field) -> list[Note]:
    most = fastpod.at("metadata", "labels").child(_SCALE_MAX)
    if most.is_absent:
        return []
    return [Note.on(most, "scales nothing here: `gshare render` writes the autoscalers")]


def _pod_spec(pod: Field, terms: Terms) -> tuple[Object, list[Note]]:
    """Return the pod's spec with the rectangle on its first container."""
    containers = pod.child("containers").elements()
    if not containers:
        pod.child("containers").refuse("must have a container")
    for container in containers:
        container.child("name").name()
    written, notes = plain(pod), []
    for key, reason in _NOT_IN_PODS.items():
        if written.pop(key, None) is not None and pod.child(key).value not in _AS_EVER:
            notes.append(Note.on(pod.child(key), f"left out: {reason}"))
    for field, container in zip(containers, written["containers"], strict=True):
        notes.extend(_clean(field, container))
    _give(written["containers"][0], terms)
    notes.extend(
        Note.on(field.child("name"), "gets no GPU: the pod's first container has the rectangle")
        for field in containers[1:]
    )
    return written, notes


def _give(container: Object, terms: Terms) -> None:
    """Put the rectangle among the limits of `container`, whose resources may be absent or null."""
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    container["resources"] = resources | {"limits": limits | terms.resources}


def _clean(field: Field, container: Object) -> list[Note]:
    """Take out of `container` what gshare sets itself, and whole GPUs."""
    notes = []
    for kind in ("limits", "requests"):
        whole = field.at("resources", kind, _WHOLE_GPU)
        if not whole.is_absent:
            del container["resources"][kind][_WHOLE_GPU]
            notes.append(Note.on(whole, "left out: the rectangle stands in its place"))
    ours = [
        entry
        for entry in field.child("env").elements()
        if entry.child("name").text() in _NOT_IN_ENVIRONMENT
    ]
    if ours:
        container["env"] = [
            entry for entry in container["env"] if entry["name"] not in _NOT_IN_ENVIRONMENT
        ]
    return notes + [Note.on(entry.child("name"), "left out: gshare sets it") for entry in ours]
