"""Whatever stands in a file, the answer is a Workload or an InputError on one line."""

from collections.abc import Iterator

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.manifests import Object, changed, container, deployment, service, text

from gshare import names, workload
from gshare.errors import InputError

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.binary(max_size=4),
    st.sampled_from(["", "$(A)", "12", "500m", "1Gi", "metadata.name", "List", "Deployment"]),
)
KEYS = st.sampled_from(
    ["kind", "metadata", "name", "spec", "template", "containers", "command", "env", "value"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(KEYS, st.integers(), st.text(max_size=3)), inner, max_size=3),
    ),
    max_leaves=8,
)
COMPLETE = [
    deployment(
        "resnet",
        container(
            args=["$(A)"],
            env=[
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            ports=[{"containerPort": 80, "name": "http", "protocol": "TCP"}],
            readinessProbe={"httpGet": {"port": "http", "httpHeaders": []}, "periodSeconds": 1},
            workingDir="/",
        ),
        {"name": "side"},
        quota_limit="80",
        gpu_mem="1Gi",
    ),
    service(ports=[{"port": 80, "targetPort": "http", "name": "web"}]),
]


def paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of everything inside `value`."""
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        yield (*path, key)
        yield from paths(child, (*path, key))


def answer(file: str) -> workload.Workload | str:
    try:
        return workload.parse("app.yaml", file)
    except InputError as error:
        return str(error)


def check(file: str) -> None:
    parsed = answer(file)
    if isinstance(parsed, str):
        assert len(parsed.splitlines()) == 1
        return
    for function in parsed.functions:
        assert 1 <= function.shape.sm_percent <= 100
        assert function.shape.quota_request_percent <= function.shape.quota_limit_percent <= 100
        launch = workload.launch_of(function, "resnet-0", {"PORT": "1"})
        assert launch.argv
        for word in (*launch.argv, *launch.env, *launch.env.values()):
            assert b"\0" not in word.encode()


@given(st.sampled_from(COMPLETE), st.data())
@settings(max_examples=300, deadline=None)
def test_one_value_of_any_kind_anywhere_gives_a_workload_or_a_refusal(document, data):
    """No wrong type at any place of a complete object ends in a traceback."""
    path = data.draw(st.sampled_from(list(paths(document))))

    check(text(changed(document, path, data.draw(VALUES))))


@given(st.lists(VALUES, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_documents_give_a_workload_or_a_refusal(documents):
    """Structures that were never meant for Kubernetes are refused like any other."""
    check(text(*documents))


@given(st.one_of(st.text(max_size=60), st.text("-:{}[]!&*|>'\"%@`#?,ab01 \n\t", max_size=60)))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_workload_or_a_refusal(file):
    """What is not YAML is refused as such."""
    check(file)


@given(st.integers(1, 100), st.integers(1, 100), st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_every_whole_percent_survives_the_way_through_a_file(sm, quota, replicas):
    """What is asked is what is read, as a number and as a text."""
    limits = {names.RESOURCE_SM: sm, names.RESOURCE_QUOTA: str(quota)}
    document: Object = deployment("resnet", container(resources={"limits": limits}))
    document["spec"]["replicas"] = replicas

    function = workload.parse("app.yaml", yaml.safe_dump(document)).functions[0]

    assert (function.shape.sm_percent, function.shape.quota_request_percent) == (sm, quota)
    assert function.replicas == replicas
