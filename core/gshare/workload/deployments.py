"""Reads an apps/v1 Deployment whose pods ask for a rectangle of a GPU."""

from typing import Final

from gshare import names
from gshare.workload import containers, shape
from gshare.workload.fields import Field
from gshare.workload.values import Function, Ignored, RestartPolicy

_RESTART_POLICIES: Final[tuple[RestartPolicy, ...]] = ("Always", "OnFailure", "Never")
_NO_RECTANGLE: Final = f"asks for no {names.RESOURCE_SM} and no {names.RESOURCE_QUOTA}"


def read(deployment: Field, name: str, namespace: str) -> tuple[Function | None, list[Ignored]]:
    """Return the function, None where it asks for no GPU, and what of it has no effect here.

    InputError where anything in it is wrong.
    """
    pod = deployment.at("spec", "template", "spec")
    labels = _labels(deployment)
    ignored = _ignored(pod, f"Deployment/{name}")
    container = _gpu_container(pod)
    if container is None:
        return None, [Ignored("Deployment", name, _NO_RECTANGLE)]
    policy = pod.child("restartPolicy").one_of(_RESTART_POLICIES, "Always")
    function = Function(
        name=name,
        namespace=namespace,
        source=deployment.source,
        replicas=deployment.at("spec", "replicas").integer(1, 0),
        shape=shape.read(deployment, container),
        container=containers.read(container, policy),
        labels=labels,
        termination_grace_seconds=pod.child("terminationGracePeriodSeconds").integer(30, 0),
        image=container.child("image").text(""),
        hook=shape.hook(deployment),
    )
    return function, [*ignored, *containers.ignored_in(container, function.kind_and_name)]


def _gpu_container(pod: Field) -> Field | None:
    """Return the one container that asks for a GPU, or None; InputError where two do."""
    if not pod.child("containers").elements():
        pod.child("containers").refuse("must have a container")
    return shape.gpu_container(pod)


def _ignored(pod: Field, owner: str) -> list[Ignored]:
    side = [
        container
        for container in pod.child("containers").elements()
        if not shape.asks_for_gpu(container)
    ]
    found = [
        Ignored("container", f"{owner} {container.child('name').text()}", _NO_RECTANGLE)
        for container in side
    ]
    found.extend(
        Ignored(
            "initContainer",
            f"{owner} {container.child('name').text()}",
            "init containers are not run",
        )
        for container in pod.child("initContainers").elements()
    )
    if pod.child("volumes").elements():
        found.append(Ignored("volumes", owner, "volumes are not mounted"))
    return found


def _labels(deployment: Field) -> dict[str, str]:
    """Return the labels of the pods, which the selector must pick."""
    labels = deployment.at("spec", "template", "metadata", "labels").text_map()
    selector = deployment.at("spec", "selector")
    if selector.is_absent:
        selector.refuse("is missing")
    wanted = selector.child("matchLabels")
    for key, value in wanted.items():
        if labels.get(key) != value.text():
            value.refuse("is not a label of the pod template with this value")
    expressions = selector.child("matchExpressions").elements()
    for expression in expressions:
        if not _matches(expression, labels):
            expression.child("key").refuse("is an expression that the pod template does not meet")
    if not wanted.text_map() and not expressions:
        selector.refuse("must select something")
    return labels


def _matches(expression: Field, labels: dict[str, str]) -> bool:
    """Tell whether `labels` meet one element of matchExpressions."""
    value = labels.get(expression.child("key").text())
    values = expression.child("values").texts()
    operator = expression.child("operator")
    meets = {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    if operator.text() not in meets:
        operator.refuse(f"must be one of {', '.join(meets)}")
    return meets[operator.text()]
