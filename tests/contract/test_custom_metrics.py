"""What the API server's aggregator, HPAs and users see of custom.metrics.k8s.io, over real TLS."""

import pytest
from tests.support.fake_api_server import FakeApiServer
from tests.support.front_proxy import (
    ABOUT,
    METRIC,
    NAME,
    RESNET,
    ROOT,
    Client,
    FrontProxy,
    answers_with,
    open_doors,
    value_path,
)

from gshare_autoscaler.answers import About, Answers, Target
from gshare_autoscaler.conditions import Reason, Trouble

SMALL = Target("team", "resnet-24-20")
OTHER = Target("other", "bert")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("front-proxy")
    with FakeApiServer() as fake:
        proxy = FrontProxy(folder)
        fake.put("configmaps", proxy.config_map(NAME))
        yield fake, folder, proxy


@pytest.fixture(scope="module")
def answers():
    return answers_with({RESNET: 3, SMALL: 0, OTHER: 7})


@pytest.fixture(scope="module")
def client(cluster, answers):
    fake, folder, proxy = cluster
    with open_doors(fake, folder, answers) as doors:
        yield Client(doors.ports["custom_metrics"], proxy.context())


def names_of(found):
    return [each["describedObject"]["name"] for each in found["items"]]


@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_discovery_names_the_metric_of_deployments(client, version):
    status, found = client.get(f"{ROOT}/{version}")

    assert status == 200
    assert (found["kind"], found["groupVersion"]) == (
        "APIResourceList",
        f"custom.metrics.k8s.io/{version}",
    )
    (resource,) = found["resources"]
    assert resource["name"] == "deployments.apps/gshare_desired_replicas"
    assert (resource["namespaced"], resource["verbs"]) == (True, ["get"])


def test_the_group_prefers_its_newest_version(client):
    status, found = client.get(ROOT)

    assert (status, found["kind"]) == (200, "APIGroup")
    assert found["preferredVersion"]["version"] == "v1beta2"
    assert {each["version"] for each in found["versions"]} == {"v1beta1", "v1beta2"}


def test_v1beta2_gives_the_one_value_of_a_deployment(client):
    status, found = client.get(value_path())

    assert status == 200
    assert found == {
        "kind": "MetricValueList",
        "apiVersion": "custom.metrics.k8s.io/v1beta2",
        "metadata": {},
        "items": [
            {
                "describedObject": {
                    "kind": "Deployment",
                    "namespace": "team",
                    "name": "resnet-12-40",
                    "apiVersion": "apps/v1",
                },
                "metric": {"name": METRIC, "selector": None},
                "timestamp": "2026-09-21T14:13:20Z",
                "windowSeconds": 0,
                "value": "3",
            }
        ],
    }


def test_v1beta1_names_metric_and_window_in_its_own_way(client):
    status, found = client.get(value_path(version="v1beta1"))

    (item,) = found["items"]
    assert (status, found["apiVersion"]) == (200, "custom.metrics.k8s.io/v1beta1")
    assert (item["metricName"], item["window"], item["selector"]) == (METRIC, 0, None)
    assert item["value"] == "3"


def test_no_replicas_are_a_value_as_well(client):
    _, found = client.get(value_path(SMALL.name))

    assert [each["value"] for each in found["items"]] == ["0"]


def test_deployments_may_be_named_without_their_group(client):
    status, found = client.get(value_path(resource="deployments"))

    assert (status, names_of(found)) == (200, ["resnet-12-40"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["resnet-12-40", "resnet-24-20"]),
        ("?labelSelector=tier%3Dgold", ["resnet-12-40", "resnet-24-20"]),
        ("?labelSelector=tier%20in%20(silver)", []),
        ("?labelSelector=!tier", []),
        ("?metricLabelSelector=deployment%3Dresnet-24-20", ["resnet-24-20"]),
        ("?labelSelector=tier&metricLabelSelector=function!%3Dresnet", []),
    ],
    ids=["none", "label", "set of labels", "absent label", "metric's label", "both"],
)
def test_a_namespace_is_listed_by_selectors(client, query, expected):
    status, found = client.get(value_path("*") + query)

    assert (status, names_of(found)) == (200, expected)


def test_the_selector_of_a_metric_comes_back_with_it(client):
    _, found = client.get(value_path() + "?metricLabelSelector=function%3Dresnet")

    assert found["items"][0]["metric"]["selector"] == {
        "matchExpressions": [{"key": "function", "operator": "In", "values": ["resnet"]}]
    }


def test_a_selector_that_means_nothing_is_refused(client):
    status, found = client.get(value_path("*") + "?labelSelector=a%20b")

    assert (status, found["reason"]) == (400, "BadRequest")
    assert found["message"] == (
        "labelSelector: selector: 'a b': must be such as a=b, a in (b,c), a or !a"
    )


@pytest.mark.parametrize(
    "path",
    [
        value_path(metric="requests_per_second"),
        value_path("vgg"),
        value_path(namespace="nowhere"),
        value_path(resource="pods"),
        value_path(version="v1"),
        value_path() + "?metricLabelSelector=function%3Dbert",
        f"{ROOT}/v1beta2/nodes/node-1/{METRIC}",
        f"{ROOT}/v1beta2/namespaces/team/metrics/{METRIC}",
        f"{ROOT}/v1beta3",
        "/openapi/v2",
        "/apis",
    ],
    ids=[
        "metric",
        "Deployment",
        "namespace",
        "resource",
        "version",
        "metric of another function",
        "metric of nodes",
        "metric of a namespace",
        "version of discovery",
        "OpenAPI",
        "aggregated discovery",
    ],
)
def test_what_is_not_there_is_not_found(client, path):
    status, found = client.get(path)

    assert status == 404
    assert (found["kind"], found["apiVersion"], found["status"]) == ("Status", "v1", "Failure")
    assert (found["code"], found["reason"]) == (404, "NotFound")
    assert found["message"]


def test_the_message_for_an_unknown_deployment_says_what_it_lacks(client):
    _, found = client.get(value_path("vgg"))

    assert found["message"] == (
        "the server could not find the metric gshare_desired_replicas for deployments.apps vgg:"
        " namespace team has no such Deployment with the label gshare.io/function"
    )


def test_nothing_can_be_written(client):
    status, found = client.get(value_path(), method="POST")

    assert (status, found["reason"]) == (405, "MethodNotAllowed")


def test_a_number_is_withheld_with_the_reason_once_it_no_longer_stands(cluster):
    fake, folder, proxy = cluster
    answers = answers_with(hold_s=0.0)
    answers.withheld(RESNET, ABOUT, Trouble(Reason.PROMETHEUS_AWAY, "http://p: refused"))

    with open_doors(fake, folder, answers) as doors:
        client = Client(doors.ports["custom_metrics"], proxy.context())
        status, found = client.get(value_path())
        listed = client.get(value_path("*"))

    assert (status, found["reason"]) == (503, "ServiceUnavailable")
    assert found["message"].endswith("resnet-12-40: PrometheusAway: http://p: refused")
    assert (listed[0], listed[1]["items"]) == (200, [])


@pytest.mark.parametrize("path", [value_path(), value_path("*")], ids=["one", "list"])
def test_an_autoscaler_that_has_only_begun_calls_nothing_missing(cluster, path):
    fake, folder, proxy = cluster

    with open_doors(fake, folder, Answers(60.0)) as doors:
        client = Client(doors.ports["custom_metrics"], proxy.context())
        status, found = client.get(path)

    assert (status, found["reason"]) == (503, "ServiceUnavailable")


def test_a_decision_that_comes_is_answered_at_once(cluster):
    fake, folder, proxy = cluster
    answers = answers_with()

    with open_doors(fake, folder, answers) as doors:
        client = Client(doors.ports["custom_metrics"], proxy.context())
        before = client.get(value_path())[1]["items"][0]["value"]
        answers.decided(RESNET, About("resnet"), 12)
        after = client.get(value_path())[1]["items"][0]["value"]

    assert (before, after) == ("3", "12")
