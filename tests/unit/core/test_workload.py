"""What is read from Deployments and Services."""

import pytest
from tests.support.manifests import changed, container, deployment, service, text

from gshare import names, workload
from gshare.models import ModelShare
from gshare.workload import (
    ContainerPort,
    Exec,
    HttpGet,
    Ignored,
    Probe,
    ServicePort,
    Shape,
    TcpSocket,
    Variable,
)

SPEC = ("spec", "template", "spec")


def function_of(document: dict) -> workload.Function:
    return workload.parse("app.yaml", text(document)).functions[0]


def ignored_by(document: dict) -> set[tuple[str, str]]:
    parsed = workload.parse("app.yaml", text(document))
    return {(entry.kind, entry.name) for entry in parsed.ignored}


def test_a_deployment_gets_the_defaults_of_kubernetes():
    function = function_of(changed(deployment(), ("spec", "replicas"), None))

    assert (function.name, function.namespace) == ("resnet", "default")
    assert function.replicas == 1
    assert function.termination_grace_seconds == 30
    assert function.container.restart_policy == "Always"
    assert function.container.readiness is None
    assert function.container.working_dir is None


def test_a_shape_has_both_percentages_and_the_annotations():
    function = function_of(deployment(quota_limit="80", gpu_mem="1500Mi"))

    assert function.shape == Shape(12, 40, 80, 1500 * 2**20)


def test_a_shape_has_the_model_that_is_announced():
    function = function_of(deployment(model="bert=1200Mi"))

    assert function.shape.model == ModelShare("bert", 1200 * 2**20)


def test_a_function_says_how_it_reaches_the_hook():
    assert function_of(deployment()).hook == names.HOOK_PRELOAD
    assert function_of(deployment(hook="shim")).hook == names.HOOK_SHIM


def test_a_quota_limit_may_equal_the_request():
    assert function_of(deployment(quota_limit="40")).shape.quota_limit_percent == 40


def test_a_shape_may_borrow_all_idle_time_and_has_default_memory_unless_said():
    assert function_of(deployment()).shape == Shape(12, 40, 100, None)


def test_requests_that_equal_the_limits_change_nothing():
    both = {names.RESOURCE_SM: 12, names.RESOURCE_QUOTA: "40"}
    document = deployment("resnet", container(resources={"limits": both, "requests": both}))

    assert function_of(document).shape == Shape(12, 40, 100, None)


def test_a_container_keeps_what_a_process_needs():
    document = deployment(
        "resnet",
        container(
            args=["--batch", "1"],
            env=[{"name": "A", "value": "1"}, {"name": "B"}],
            workingDir="/srv",
            ports=[{"containerPort": 8080, "name": "http"}, {"containerPort": 9}],
            image="registry/resnet:1",
        ),
    )

    function = function_of(document)

    assert function.container.command == ("serve",)
    assert function.container.args == ("--batch", "1")
    assert function.container.env == (Variable("A", "1"), Variable("B", ""))
    assert function.container.working_dir == "/srv"
    assert function.container.ports == (ContainerPort(8080, "http"), ContainerPort(9))
    assert function.image == "registry/resnet:1"


@pytest.mark.parametrize(
    ("labels", "family"),
    [
        pytest.param({"app": "resnet"}, "resnet-s12-q40", id="its name"),
        pytest.param({names.LABEL_FUNCTION: "resnet"}, "resnet", id="its label"),
    ],
)
def test_a_function_belongs_to_the_family_that_its_label_names(labels, family):
    document = deployment("resnet-s12-q40")
    document = changed(document, ("spec", "template", "metadata", "labels"), labels)
    document = changed(document, ("spec", "selector", "matchLabels"), labels)

    assert function_of(document).family == family


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            {"httpGet": {"port": "http"}}, Probe(HttpGet("/", 8080)), id="http with defaults"
        ),
        pytest.param(
            {
                "httpGet": {
                    "path": "/healthz",
                    "port": 8081,
                    "scheme": "HTTPS",
                    "host": "localhost",
                    "httpHeaders": [{"name": "X", "value": "1"}],
                },
                "initialDelaySeconds": 1,
                "periodSeconds": 2,
                "timeoutSeconds": 3,
                "successThreshold": 4,
                "failureThreshold": 5,
            },
            Probe(HttpGet("/healthz", 8081, "HTTPS", "localhost", (("X", "1"),)), 1, 2, 3, 4, 5),
            id="http with everything",
        ),
        pytest.param({"tcpSocket": {"port": 1}}, Probe(TcpSocket(1), 0, 10, 1, 1, 3), id="socket"),
        pytest.param({"exec": {"command": ["test"]}}, Probe(Exec(("test",))), id="command"),
    ],
)
def test_a_readiness_probe_is_read(probe, expected):
    ports = [{"containerPort": 9, "name": "metrics"}, {"containerPort": 8080, "name": "http"}]

    function = function_of(deployment("resnet", container(ports=ports, readinessProbe=probe)))

    assert function.container.readiness == expected


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param({"key": "app", "operator": "In", "values": ["resnet", "x"]}, id="in"),
        pytest.param({"key": "app", "operator": "NotIn", "values": ["x"]}, id="not in"),
        pytest.param({"key": "app", "operator": "Exists"}, id="exists"),
        pytest.param({"key": "tier", "operator": "DoesNotExist"}, id="does not exist"),
    ],
)
def test_a_selector_may_be_an_expression_that_the_template_meets(expression):
    selector = {"matchExpressions": [expression]}

    assert function_of(changed(deployment(), ("spec", "selector"), selector)).name == "resnet"


def test_what_has_no_effect_in_a_deployment_is_named():
    document = deployment(
        "resnet",
        container(
            envFrom=[{"configMapRef": {"name": "x"}}],
            livenessProbe={"tcpSocket": {"port": 1}},
            env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        ),
        {"name": "proxy", "image": "envoy"},
    )
    document = changed(document, (*SPEC, "initContainers"), [{"name": "warm-up"}])
    document = changed(document, (*SPEC, "volumes"), [{"name": "cache"}])

    assert ignored_by(document) == {
        ("container", "Deployment/resnet proxy"),
        ("initContainer", "Deployment/resnet warm-up"),
        ("volumes", "Deployment/resnet"),
        ("envFrom", "Deployment/resnet"),
        ("livenessProbe", "Deployment/resnet"),
        ("env", "Deployment/resnet KEY"),
    }
    assert function_of(document).container.env == ()


def test_a_deployment_that_asks_for_no_gpu_is_named_as_ignored():
    document = deployment("web", {"name": "web", "image": "nginx"})

    parsed = workload.parse("app.yaml", text(document))

    assert parsed.functions == ()
    assert [(entry.kind, entry.name) for entry in parsed.ignored] == [("Deployment", "web")]


def test_other_kinds_are_named_as_ignored():
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Config_1"}}

    parsed = workload.parse("app.yaml", text(other, deployment()))

    assert parsed.ignored == (
        Ignored("ConfigMap", "Config_1", "only Deployments and Services are run"),
    )
    assert len(parsed.functions) == 1


def test_documents_and_the_items_of_a_list_are_read_alike():
    listed = {"apiVersion": "v1", "kind": "List", "items": [deployment("a"), service("a")]}

    parsed = workload.parse("app.yaml", text(listed, None, deployment("b")))

    assert [function.name for function in parsed.functions] == ["a", "b"]
    assert [entry.name for entry in parsed.services] == ["a"]


def test_one_name_in_two_namespaces_is_two_deployments():
    other = changed(deployment(), ("metadata", "namespace"), "staging")

    parsed = workload.parse("app.yaml", text(deployment(), other))

    assert [function.namespace for function in parsed.functions] == ["default", "staging"]


def test_several_files_become_one_workload():
    parts = [workload.parse("a.yaml", text(deployment("a"))), workload.parse("b", text(service()))]

    combined = workload.combine(parts)

    assert [function.source for function in combined.functions] == ["a.yaml"]
    assert [entry.source for entry in combined.services] == ["b"]


def test_dates_and_times_stay_texts_as_in_kubernetes():
    file = text(deployment()).replace("- serve", "- 2026-11-24\n        - 12:30")

    parsed = workload.parse("app.yaml", file)

    assert parsed.functions[0].container.command == ("2026-11-24", "12:30")


@pytest.mark.parametrize(
    ("port", "expected", "target"),
    [
        pytest.param({"port": 80}, ServicePort(80, 80), 80, id="the same"),
        pytest.param({"port": 80, "targetPort": 8080}, ServicePort(80, 8080), 8080, id="a number"),
        pytest.param({"port": 80, "targetPort": "http"}, ServicePort(80, "http"), 9, id="a name"),
        pytest.param({"port": 80, "targetPort": ""}, ServicePort(80, 80), 80, id="an empty name"),
        pytest.param({"port": 80, "targetPort": "x"}, ServicePort(80, "x"), None, id="a stranger"),
    ],
)
def test_a_service_port_leads_to_a_container_port(port, expected, target):
    ports = [{"containerPort": 8, "name": "metrics"}, {"containerPort": 9, "name": "http"}]
    parsed = workload.parse(
        "app.yaml", text(deployment("resnet", container(ports=ports)), service(ports=[port]))
    )

    assert parsed.services[0].ports == (expected,)
    assert parsed.services[0].ports[0].target_on(parsed.functions[0].container) == target


def test_a_service_selects_by_namespace_and_by_all_labels():
    here, there = deployment("resnet"), changed(deployment(), ("metadata", "namespace"), "other")
    bert = deployment("bert")
    parsed = workload.parse("app.yaml", text(here, there, bert, service("resnet")))

    selected = [function for function in parsed.functions if parsed.services[0].selects(function)]

    assert selected == [parsed.functions[0]]


def test_a_service_without_a_selector_is_named_as_ignored():
    parsed = workload.parse("app.yaml", text(service(selector=None)))

    assert parsed.services == ()
    assert parsed.ignored == (Ignored("Service", "resnet", "has no selector"),)
