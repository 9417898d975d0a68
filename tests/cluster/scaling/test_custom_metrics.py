"""The custom metrics API behind a real API server: errors, who is refused, whose the group is."""

import json
import ssl
import urllib.error
import urllib.request

import pytest
from tests.cluster.harness.api import ApiStatusError
from tests.cluster.support import workloads
from tests.cluster.support.scene import Scene, until
from tests.cluster.support.stage import Stage
from tests.cluster.support.workloads import Ask, Object

from gshare import names

GROUP = "custom.metrics.k8s.io"
VERSIONS = ("v1beta1", "v1beta2")
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
TAKEN = f"{API_SERVICES}/v1beta1.{GROUP}"
ADAPTER = {"namespace": "monitoring", "name": "prometheus-adapter", "port": 443}
FUNCTION = "unmeasured"


def refusal(scene: Scene, version: str, name: str, metric: str) -> ApiStatusError:
    """Return what the API server says instead of a number."""
    path = f"/apis/{GROUP}/{version}/namespaces/{scene.namespace}/deployments.apps/{name}/{metric}"
    with pytest.raises(ApiStatusError) as raised:
        scene.api.get(path)
    return raised.value


def registered(scene: Scene) -> Object | None:
    """Return the APIService that the other adapter takes, or None."""
    try:
        return scene.api.get(TAKEN)
    except ApiStatusError as error:
        if error.status == 404:
            return None
        raise


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.usefixtures("stage")
def test_the_api_server_passes_on_why_there_is_no_number(scene: Scene, version: str) -> None:
    found = workloads.deployment(FUNCTION, Ask(10, 10), replicas=0)
    found["metadata"]["labels"] = {names.LABEL_FUNCTION: FUNCTION}
    scene.create(found)

    def is_known() -> bool:
        found = refusal(scene, version, FUNCTION, names.METRIC_DESIRED_REPLICAS)
        return found.status == 503 and "not known yet" not in found.message

    until(is_known, "the Deployment is known")
    absent = refusal(scene, version, "absent", names.METRIC_DESIRED_REPLICAS)
    other = refusal(scene, version, FUNCTION, "requests_per_second")

    assert (absent.status, other.status) == (404, 404)
    assert f"no such Deployment with the label {names.LABEL_FUNCTION}" in absent.message


def test_a_request_past_the_api_server_is_refused(stage: Stage) -> None:
    (pod,) = stage.autoscaler.pods()
    url = f"https://{pod['status']['podIP']}:{names.PORT_AUTOSCALER_API}/apis/{GROUP}/v1beta2"
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE

    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(url, context=anyone, timeout=10)

    assert raised.value.code == 401
    assert json.load(raised.value)["reason"] == "Unauthorized"


def test_another_adapters_group_is_left_alone_until_it_goes(scene: Scene, stage: Stage) -> None:
    body = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1beta1.{GROUP}"},
        "spec": {
            "group": GROUP,
            "version": "v1beta1",
            "service": ADAPTER,
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    scene.api.delete(TAKEN)
    taken = scene.api.post(API_SERVICES, body)

    try:
        stage.autoscaler.kill()
        until(lambda: "belongs to another" in stage.autoscaler.log(), "the autoscaler says whose")
        left = registered(scene)
    finally:
        scene.api.delete(TAKEN)
    until(lambda: registered(scene), "the group is taken once it is free")

    assert left is not None
    assert left["spec"] == taken["spec"]
