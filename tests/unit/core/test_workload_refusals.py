"""Every refusal names the file, the full path of the field, the value, and what would do."""

import pytest
from tests.support.manifests import ABSENT, changed, container, deployment, service, text

from gshare import names, workload
from gshare.errors import InputError

SPEC = ("spec", "template", "spec")
SERVER = (*SPEC, "containers", 0)
LIMITS = (*SERVER, "resources", "limits")
REQUESTS = (*SERVER, "resources", "requests")
ANNOTATIONS = ("spec", "template", "metadata", "annotations")
PROBE = (*SERVER, "readinessProbe")
SM, QUOTA = names.RESOURCE_SM, names.RESOURCE_QUOTA


def refusal(file: str) -> InputError:
    with pytest.raises(InputError) as caught:
        workload.parse("app.yaml", file)
    assert "\n" not in str(caught.value)
    return caught.value


def case(sentence, path, value, field, problem):
    return pytest.param(path, value, field, problem, id=sentence)


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        case("no SMs", (*LIMITS, SM), 0, f"limits[{SM}]", "from 1 to 100"),
        case("too many SMs", (*LIMITS, SM), 101, f"limits[{SM}]", "from 1 to 100"),
        case("part of a percent", (*LIMITS, SM), "12.5", f"limits[{SM}]", "not a fraction"),
        case("SMs as a list", (*LIMITS, SM), [12], f"limits[{SM}]", "whole percent"),
        case("no SM resource", (*LIMITS, SM), ABSENT, f"limits[{SM}]", "is missing"),
        case("no quota resource", (*LIMITS, QUOTA), ABSENT, f"limits[{QUOTA}]", "is missing"),
        case(
            "resources in requests alone",
            (*SERVER, "resources"),
            {"requests": {SM: 12, QUOTA: 40}},
            f"limits[{SM}]",
            "is missing",
        ),
        case(
            "request unlike the limit",
            (*REQUESTS, SM),
            10,
            f"requests[{SM}]",
            "must equal the limit, 12",
        ),
        case(
            "request that is no percent",
            (*REQUESTS, QUOTA),
            "x",
            f"requests[{QUOTA}]",
            "whole percent",
        ),
    ],
)
def test_wrong_resources_are_refused(path, value, field, problem):
    error = refusal(text(changed(deployment(), path, value)))

    resources = "Deployment/resnet spec.template.spec.containers[0].resources"
    assert error.source == "app.yaml"
    assert error.field == f"{resources}.{field}"
    assert problem in error.problem


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        pytest.param("quota-limit", "39", "at least the 40", id="limit below the request"),
        pytest.param("quota-limit", "101", "from 1 to 100", id="limit above the window"),
        pytest.param("quota-limit", "80%", "whole percent", id="limit with a percent sign"),
        pytest.param("quota-limit", 80, "put it in quotes", id="limit as a number"),
        pytest.param("gpu-mem", "lots", "amount of memory", id="memory that is no quantity"),
        pytest.param("gpu-mem", "0", "above 0", id="no memory"),
        pytest.param("model", "my model", "the key must have", id="a key that is none"),
        pytest.param("model", "bert=big", "size after bert= must be", id="weights of no size"),
        pytest.param("model", 7, "put it in quotes", id="a model as a number"),
        pytest.param("hook", "audit", "preload, shim", id="a hook that is none"),
        pytest.param("placement", "GPU-0", "remove it", id="placement by the user"),
    ],
)
def test_wrong_annotations_are_refused(annotation, value, problem):
    name = f"{names.DOMAIN}/{annotation}"

    error = refusal(text(changed(deployment(), (*ANNOTATIONS, name), value)))

    assert error.field == f"Deployment/resnet spec.template.metadata.annotations[{name}]"
    assert error.value == value
    assert problem in error.problem


def test_a_placement_on_the_deployment_itself_is_refused():
    path = ("metadata", "annotations", names.ANNOTATION_PLACEMENT)

    error = refusal(text(changed(deployment(), path, "GPU-0")))

    assert error.field == f"Deployment/resnet metadata.annotations[{names.ANNOTATION_PLACEMENT}]"


def test_memory_above_the_card_is_refused_where_the_card_is_known():
    function = workload.parse("app.yaml", text(deployment(gpu_mem="17Gi"))).functions[0]

    workload.check_card(function, 17 * 2**30)
    with pytest.raises(InputError) as caught:
        workload.check_card(function, 16 * 2**30)

    assert str(caught.value) == (
        "app.yaml: Deployment/resnet spec.template.metadata.annotations[gshare.io/gpu-mem]: "
        "'17Gi': is more than the 16Gi of the largest GPU here"
    )


def test_memory_that_is_not_given_exceeds_no_card():
    function = workload.parse("app.yaml", text(deployment())).functions[0]

    workload.check_card(function, 1)


@pytest.mark.parametrize(
    ("memory", "problem"),
    [
        (None, "'17Gi': is more than the 16Gi of the largest GPU here"),
        ("0.5Gi", "'17Gi': is with the 512Mi of gshare.io/gpu-mem more than the 16Gi"),
    ],
    ids=["weights alone", "weights and memory"],
)
def test_weights_above_the_card_are_refused_where_the_card_is_known(memory, problem):
    asked = deployment(model="bert=17Gi", **({"gpu_mem": memory} if memory else {}))
    function = workload.parse("app.yaml", text(asked)).functions[0]

    workload.check_card(function, 18 * 2**30)
    with pytest.raises(InputError) as caught:
        workload.check_card(function, 16 * 2**30)

    assert f"annotations[gshare.io/model]: {problem}" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        case("no kind", ("kind",), ABSENT, "document 1.kind", "is missing"),
        case("kind as a number", ("kind",), 3, "document 1.kind", "must be a text"),
        case("no metadata", ("metadata",), ABSENT, "document 1.metadata.name", "is missing"),
        case("metadata a list", ("metadata",), [], "document 1.metadata", "must be a mapping"),
        case("no name", ("metadata", "name"), ABSENT, "document 1.metadata.name", "is missing"),
        case("name in capitals", ("metadata", "name"), "X", "document 1.metadata.name", "lower"),
        case("endless name", ("metadata", "name"), "x" * 254, "document 1.metadata.name", "lower"),
        case("other version", ("apiVersion",), "v1", "document 1.apiVersion", "must be apps/v1"),
        case("no version", ("apiVersion",), ABSENT, "document 1.apiVersion", "is missing"),
    ],
)
def test_an_object_without_identity_is_refused(path, value, field, problem):
    error = refusal(text(changed(deployment(), path, value)))

    assert error.field == field
    assert problem in error.problem


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        case("fewer than no replicas", ("spec", "replicas"), -1, "spec.replicas", "0 or more"),
        case("replicas in quotes", ("spec", "replicas"), "2", "spec.replicas", "whole number"),
        case("part of a replica", ("spec", "replicas"), 1.5, "spec.replicas", "whole number"),
        case("replicas as a boolean", ("spec", "replicas"), True, "spec.replicas", "whole number"),  # noqa: FBT003 (a value in a file)
        case("no selector", ("spec", "selector"), ABSENT, "spec.selector", "is missing"),
        case("empty selector", ("spec", "selector"), {}, "spec.selector", "must select"),
        case("spec a text", ("spec",), "x", "spec", "must be a mapping"),
        case(
            "selector of other pods",
            ("spec", "selector", "matchLabels", "app"),
            "bert",
            "spec.selector.matchLabels.app",
            "is not a label of the pod template",
        ),
        case(
            "expression of other pods",
            ("spec", "selector", "matchExpressions"),
            [{"key": "app", "operator": "NotIn", "values": ["resnet"]}],
            "spec.selector.matchExpressions[0].key",
            "does not meet",
        ),
        case(
            "unknown operator",
            ("spec", "selector", "matchExpressions"),
            [{"key": "app", "operator": "Near"}],
            "spec.selector.matchExpressions[0].operator",
            "must be one of In",
        ),
        case("no containers", (*SPEC, "containers"), [], ".spec.containers", "a container"),
        case("containers a text", (*SPEC, "containers"), "x", ".containers", "must be a list"),
        case("container a text", SERVER, "x", "containers[0]", "must be a mapping"),
        case("unknown restart", (*SPEC, "restartPolicy"), "Maybe", "restartPolicy", "Always"),
        case(
            "grace below zero",
            (*SPEC, "terminationGracePeriodSeconds"),
            -1,
            "terminationGracePeriodSeconds",
            "0 or more",
        ),
        case("number as key", (*SPEC, 3), "x", "spec.template.spec", "texts as keys, not 3"),
        case(
            "GPU for an init container",
            (*SPEC, "initContainers"),
            [container("warm-up")],
            "initContainers[0].name",
            "is an init container",
        ),
    ],
)
def test_a_wrong_deployment_is_refused(path, value, field, problem):
    error = refusal(text(changed(deployment(), path, value)))

    assert error.field.startswith("Deployment/resnet spec")
    assert error.field.endswith(field)
    assert problem in error.problem


@pytest.mark.parametrize(
    ("key", "value", "field", "problem"),
    [
        case("no command", "command", ABSENT, "command", "the image is not run here"),
        case("empty command", "command", [], "command", "the image is not run here"),
        case("command as a text", "command", "serve", "command", "must be a list"),
        case("number in args", "args", [1], "args[0]", "put it in quotes"),
        case("NUL in args", "args", ["a\0b"], "args[0]", "NUL"),
        case("half a surrogate pair in args", "args", ["a\ud800"], "args[0]", "surrogate"),
        case("no name", "name", ABSENT, "name", "is missing"),
        case("empty name", "name", "", "name", "prints on one line"),
        case("name of two lines", "name", "a\nb", "name", "prints on one line"),
        case("env a mapping", "env", {"A": "1"}, "env", "must be a list"),
        case("env without a name", "env", [{"value": "1"}], "env[0].name", "is missing"),
        case("env with '='", "env", [{"name": "A=B"}], "env[0].name", "without '='"),
        case("env as a number", "env", [{"name": "A", "value": 1}], "env[0].value", "in quotes"),
        case(
            "env with two origins",
            "env",
            [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}],
            "env[0].valueFrom",
            "beside a value",
        ),
        case("ports as texts", "ports", ["80"], "ports[0]", "must be a mapping"),
        case("port in quotes", "ports", [{"containerPort": "80"}], "Port", "whole number"),
        case("port 0", "ports", [{"containerPort": 0}], "Port", "from 1 to 65535"),
        case("no port number", "ports", [{"name": "http"}], "Port", "is missing"),
        case(
            "unknown protocol",
            "ports",
            [{"containerPort": 1, "protocol": "X"}],
            "ports[0].protocol",
            "TCP",
        ),
        case("probe without action", "readinessProbe", {}, "readinessProbe", "exactly one of"),
        case(
            "probe with two actions",
            "readinessProbe",
            {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}},
            "readinessProbe",
            "exactly one of",
        ),
        case(
            "probe of an unknown port",
            "readinessProbe",
            {"tcpSocket": {"port": "http"}},
            "readinessProbe.tcpSocket.port",
            "no port of this container",
        ),
        case(
            "probe without a port",
            "readinessProbe",
            {"httpGet": {}},
            "readinessProbe.httpGet.port",
            "is missing",
        ),
        case(
            "probe without a command",
            "readinessProbe",
            {"exec": {"command": []}},
            "readinessProbe.exec.command",
            "must name a command",
        ),
        case(
            "probe that never comes",
            "readinessProbe",
            {"tcpSocket": {"port": 1}, "periodSeconds": 0},
            "readinessProbe.periodSeconds",
            "1 or more",
        ),
    ],
)
def test_a_wrong_container_is_refused(key, value, field, problem):
    error = refusal(text(changed(deployment(), (*SERVER, key), value)))

    assert error.field.startswith("Deployment/resnet spec.template.spec.containers[0].")
    assert error.field.endswith(field)
    assert problem in error.problem


def test_a_second_gpu_container_in_a_pod_is_refused():
    error = refusal(text(deployment("resnet", container("one"), container("two"))))

    assert error.field == "Deployment/resnet spec.template.spec.containers[1].name"
    assert error.value == "two"


@pytest.mark.parametrize(
    ("key", "value", "field", "problem"),
    [
        case("no ports", "ports", [], "ports", "must have a port"),
        case("port in quotes", "ports", [{"port": "80"}], "ports[0].port", "whole number"),
        case("no port number", "ports", [{}], "ports[0].port", "is missing"),
        case("selector a text", "selector", "app", "selector", "must be a mapping"),
        case("number in selector", "selector", {"app": 1}, "selector.app", "in quotes"),
        case(
            "target out of range",
            "ports",
            [{"port": 80, "targetPort": 65536}],
            "ports[0].targetPort",
            "from 1 to 65535",
        ),
    ],
)
def test_a_wrong_service_is_refused(key, value, field, problem):
    error = refusal(text(changed(service(), ("spec", key), value)))

    assert error.field == f"Service/resnet spec.{field}"
    assert problem in error.problem


@pytest.mark.parametrize(
    ("objects", "field"),
    [
        pytest.param([deployment(), deployment()], "Deployment/resnet", id="Deployments"),
        pytest.param([service(), service()], "Service/resnet", id="Services"),
    ],
)
def test_one_object_written_twice_is_refused(objects, field):
    error = refusal(text(*objects))

    assert error.field == f"{field} metadata.name"
    assert error.problem == "stands twice in namespace default, first in app.yaml"


def test_one_object_in_two_files_is_refused_with_the_name_of_the_first():
    parts = [workload.parse(source, text(deployment())) for source in ("a.yaml", "b.yaml")]

    with pytest.raises(InputError, match=r"b\.yaml: .*first in a\.yaml"):
        workload.combine(parts)


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        pytest.param("a: [1", "is not YAML", id="open bracket"),
        pytest.param("a: b: c", "is not YAML", id="colon too many"),
        pytest.param("\tkind: x", "is not YAML", id="tab"),
        pytest.param("a: \x00", "is not YAML", id="control character"),
        pytest.param("!!python/object:os.system {}", "is not YAML", id="tag of another language"),
        pytest.param("a: !!int ''", "is not YAML", id="number without digits"),
        pytest.param("a: " + "9" * 5000, "is not YAML", id="endless number"),
        pytest.param("[" * 5000, "is not YAML", id="endless nesting"),
        pytest.param("kind: A\nkind: B", "stands twice", id="key twice"),
        pytest.param("? [a]\n: b", "is not YAML", id="list as key"),
        pytest.param("", "holds no Kubernetes object", id="empty"),
        pytest.param("---\n---\n", "holds no Kubernetes object", id="empty documents"),
        pytest.param("just words", "must be a mapping", id="text"),
        pytest.param("- a\n- b", "must be a mapping", id="list"),
        pytest.param("42", "must be a mapping", id="number"),
        pytest.param("a: 0x" + "f" * 9000, "is missing", id="endless hexadecimal number"),
        pytest.param("kind: 0x" + "f" * 9000, "must be a text", id="endless number as kind"),
        pytest.param(f"kind: [{'x, ' * 99}]", "must be a text", id="long list as kind"),
        pytest.param(f"kind: !!binary {'eHh4' * 99}", "must be a text", id="bytes as kind"),
        pytest.param("{kind: List, items: {}}", "must be a list", id="items a mapping"),
        pytest.param("&a {kind: List, items: [*a]}", "List inside", id="List that holds itself"),
    ],
)
def test_a_file_that_holds_no_object_is_refused(file, problem):
    error = refusal(file)

    assert problem in error.problem
    assert len(str(error)) < 400


def test_a_file_that_is_not_yaml_is_refused_with_the_place():
    error = refusal("kind: A\nname: [1\nspec: x")

    assert error.field == "line 3, column 5"
    assert error.value == "spec: x"


def test_a_label_with_an_odd_key_keeps_the_refusal_on_one_line():
    labels = ("spec", "template", "metadata", "labels", "a\nb")

    error = refusal(text(changed(deployment(), labels, 1)))

    assert error.field.endswith(r"labels['a\nb']")
