"""Whatever stands in a user's file, it is rendered or refused in one line: nothing else happens."""

from collections.abc import Callable, Iterator

import pytest
from tests.support.manifests import ABSENT, changed, container, deployment, service, text
from tests.support.profiles import resnet

from gshare import names, rendering, workload
from gshare.errors import InputError
from gshare.rendering import Aim, Object
from gshare.scaling import Shape

ODD = (ABSENT, None, 0, -1, 1.5, True, "", "x", "a\nb", [], {}, ["x"], [{}], {"a": 1}, [[]])
PORTS = [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
CONTAINER = container(
    env=[{"name": "A", "value": "1"}],
    ports=PORTS,
    resources={"limits": {names.RESOURCE_SM: 12, names.RESOURCE_QUOTA: 40}, "requests": {"cpu": 1}},
)
DEPLOYMENT = deployment("resnet", CONTAINER, quota_limit="80", gpu_mem="2Gi")
DEPLOYMENT["metadata"] |= {
    "namespace": "prod",
    "labels": {names.LABEL_FUNCTION: "resnet"},
    "annotations": {names.ANNOTATION_SLO: "69ms"},
}
SERVICE = service("other", selector={"app": "other"})
SERVICE["metadata"]["namespace"] = "prod"
FASTPOD = {
    "kind": "FaSTPod",
    "metadata": {
        "name": "resnet",
        "namespace": "fn",
        "labels": {"com.openfaas.scale.min": "1", "com.openfaas.scale.max": "3", "app": "r"},
        "annotations": {
            "fastgshare/gpu_quota_request": "0.3",
            "fastgshare/gpu_quota_limit": "0.4",
            "fastgshare/gpu_sm_partition": "30",
            "fastgshare/gpu_mem": "4700000000",
            "hasfunc/sched_node": "kgpu3",
            "team": "vision",
        },
    },
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"faas_function": "r"}},
        "podSpec": {
            "nodeName": "kgpu3",
            "containers": [
                {
                    "name": "server",
                    "command": ["serve"],
                    "env": [{"name": names.ENV_MPS_PERCENTAGE, "value": "60"}],
                    "resources": {"limits": {"nvidia.com/gpu": 1}},
                }
            ],
        },
    },
}


def paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value inside `value`."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in entries:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*path, key))


def names_of(found: list[tuple[str | int, ...]]) -> list[str]:
    return [".".join(map(str, path)) for path in found]


def check(written: tuple[Object, ...]) -> None:
    """Check that YAML readers find the same objects, and gshare's parser its functions."""
    parsed = workload.parse("out.yaml", rendering.write(written))
    deployments = [each for each in written if each["kind"] == "Deployment"]
    assert len(parsed.functions) == len(deployments)


def rendered(file: str) -> tuple[Object, ...]:
    template = rendering.read_template("app.yaml", file)
    shapes = (Shape(12, 60), Shape(24, 100))
    return rendering.bundle(template, resnet(), Aim(shapes=shapes)).objects


WHOLE = {"deployment": DEPLOYMENT, "service": SERVICE}


def outcome(make: Callable[[], tuple[Object, ...]]) -> str:
    """Return what `make` wrote, or why it refused; any other error is a failure."""
    try:
        return rendering.write(make())
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("path", list(paths(WHOLE)), ids=names_of(list(paths(WHOLE))))
def test_any_value_anywhere_in_a_deployment_is_rendered_or_refused(path):
    for odd in ODD:
        file = text(*changed(WHOLE, path, odd).values())

        said = outcome(lambda file=file: rendered(file))

        assert said.startswith("app.yaml: ") is ("\n" not in said), odd


@pytest.mark.parametrize("path", list(paths(FASTPOD)), ids=names_of(list(paths(FASTPOD))))
def test_any_value_anywhere_in_a_fastpod_is_converted_or_refused(path):
    for odd in ODD:
        file = text(changed(FASTPOD, path, odd))

        said = outcome(lambda file=file: rendering.convert("app.yaml", file).objects)

        assert said.startswith("app.yaml: ") is ("\n" not in said), odd


def test_what_is_rendered_unchanged_is_read_back():
    check(rendered(text(DEPLOYMENT, SERVICE)))
    check(rendering.convert("app.yaml", text(FASTPOD)).objects)
