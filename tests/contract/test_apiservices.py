"""How the autoscaler comes by the group custom.metrics.k8s.io, and leaves others' alone."""

import base64
import json
import socket
import ssl

import pytest
from prometheus_client import CollectorRegistry
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.fake_api_troubles import Answer
from tests.support.front_proxy import (
    LOOPBACK,
    NAME,
    Client,
    FrontProxy,
    answers_with,
    open_doors,
    value_path,
)

from gshare import names
from gshare.errors import GshareError
from gshare.runtime.address import Address
from gshare.runtime.kube import ApiServer
from gshare_autoscaler.doors import Doors, DoorSettings, settings

API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
SECRETS = f"/api/v1/namespaces/{names.NAMESPACE}/secrets"
BETA1, BETA2 = "v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"
SERVING = settings.SERVING_SECRET


@pytest.fixture
def proxy(tmp_path):
    return FrontProxy(tmp_path)


@pytest.fixture
def fake(proxy):
    with FakeApiServer() as found:
        found.put("configmaps", proxy.config_map(NAME))
        yield found


def another_adapters(name):
    """Return the APIService of prometheus-adapter."""
    service = {"namespace": "monitoring", "name": "prometheus-adapter"}
    return {"metadata": {"name": name}, "spec": {"service": service, "caBundle": "eA=="}}


def found_of(fake, name):
    return fake.find("apiservices", "", name)


def authority_of(fake, name):
    return base64.b64decode(found_of(fake, name)["spec"]["caBundle"]).decode()


def wait_registered(fake):
    wait_until(lambda: found_of(fake, BETA1) and found_of(fake, BETA2))


def registered(registry, version):
    return registry.get_sample_value(
        "gshare_autoscaler_apiservice_registered", {"version": version}
    )


def writes(fake, path=API_SERVICES):
    return [each for each in fake.asked if each.method != "GET" and each.path.startswith(path)]


def test_both_versions_are_registered_and_the_newer_is_preferred(fake, tmp_path):
    with open_doors(fake, tmp_path, answers_with()) as doors:
        wait_registered(fake)
        wait_until(lambda: not doors.trouble)

    specs = [found_of(fake, name)["spec"] for name in (BETA1, BETA2)]
    service = {"namespace": "gshare-system", "name": "gshare-autoscaler", "port": 443}
    assert [each["service"] for each in specs] == [service, service]
    assert specs[0]["versionPriority"] < specs[1]["versionPriority"]


def test_the_serving_certificate_is_the_one_that_the_apiservice_trusts(fake, proxy, tmp_path):
    """Checked as the aggregator checks it: by the Service's name, against caBundle."""
    host = "gshare-autoscaler.gshare-system.svc"
    with open_doors(fake, tmp_path, answers_with()) as doors:
        wait_registered(fake)
        context = proxy.context()
        context.load_verify_locations(cadata=authority_of(fake, BETA2))
        context.verify_mode = ssl.CERT_REQUIRED
        client = Client(doors.ports["custom_metrics"], context)
        client.connection.connect()
        seen = client.connection.sock.getpeercert()
        status, _ = client.get(value_path())

    assert status == 200
    assert ("DNS", host) in seen["subjectAltName"]


def test_the_apiservices_go_as_the_cluster_role_goes(fake, tmp_path):
    fake.put("clusterroles", {"metadata": {"name": "gshare-autoscaler", "uid": "role-1"}})

    with open_doors(fake, tmp_path, answers_with()):
        wait_registered(fake)

    (owner,) = found_of(fake, BETA2)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == (
        "ClusterRole",
        "gshare-autoscaler",
        "role-1",
    )


@pytest.mark.parametrize("taken", [BETA1, BETA2])
def test_another_adapters_group_is_left_alone_whole(fake, proxy, tmp_path, taken):
    registry = CollectorRegistry()
    fake.put("apiservices", another_adapters(taken))
    before = json.dumps(found_of(fake, taken))

    with open_doors(fake, tmp_path, answers_with(), registry=registry) as doors:
        wait_until(lambda: "apiservice" in doors.trouble)
        trouble, is_serving = doors.trouble, doors.is_serving
        status, _ = Client(doors.ports["custom_metrics"], proxy.context()).get(value_path())

    assert writes(fake) == []
    assert json.dumps(found_of(fake, taken)) == before
    assert (is_serving, status) == (True, 200)
    assert trouble == (
        f"custom metrics: apiservice {taken}: spec.service: monitoring/prometheus-adapter: belongs"
        " to another adapter and is left alone; use the gauge gshare_desired_replicas or KEDA"
        " instead, or delete that APIService"
    )
    assert [registered(registry, version) for version in ("v1beta1", "v1beta2")] == [0, 0]


def test_the_gauge_of_registration_tells_each_version_apart(fake, tmp_path):
    """Someone put an adapter in place of one of ours."""
    with open_doors(fake, tmp_path, answers_with()):
        wait_registered(fake)
    fake.put("apiservices", another_adapters(BETA1))
    registry = CollectorRegistry()

    with open_doors(fake, tmp_path, answers_with(), registry=registry) as doors:
        wait_until(lambda: "apiservice" in doors.trouble)

    assert [registered(registry, version) for version in ("v1beta1", "v1beta2")] == [0, 1]


def test_the_group_is_taken_soon_after_the_other_adapter_is_gone(fake, tmp_path):
    """Long before the next look that is due while nothing is wrong."""
    fake.put("apiservices", another_adapters(BETA1))
    usual = DoorSettings(api=LOOPBACK, keda=None)

    with open_doors(fake, tmp_path, answers_with(), usual) as doors:
        wait_until(lambda: "apiservice" in doors.trouble)
        fake.drop("apiservices", BETA1)
        wait_registered(fake)
        wait_until(lambda: not doors.trouble)

    assert found_of(fake, BETA1)["spec"]["service"]["name"] == "gshare-autoscaler"


def test_a_new_process_serves_with_the_same_keys_and_writes_nothing(fake, tmp_path):
    with open_doors(fake, tmp_path, answers_with()):
        wait_registered(fake)
    authority, made = authority_of(fake, BETA2), len(writes(fake, "/"))

    with open_doors(fake, tmp_path, answers_with()) as doors:
        wait_until(lambda: not doors.trouble)

    assert authority_of(fake, BETA2) == authority
    assert len(writes(fake, "/")) == made


def test_a_lost_secret_is_made_anew_under_the_authority_that_is_trusted(fake, tmp_path):
    with open_doors(fake, tmp_path, answers_with()) as doors:
        wait_registered(fake)
        wait_until(lambda: not doors.trouble)
        authority = authority_of(fake, BETA2)
        fake.drop("secrets", SERVING, names.NAMESPACE)
        wait_until(lambda: fake.find("secrets", names.NAMESPACE, SERVING))

    assert authority_of(fake, BETA2) == authority


def test_a_spoilt_secret_is_replaced_and_the_apiservices_follow(fake, proxy, tmp_path):
    spoilt = {
        "metadata": {"name": SERVING, "namespace": names.NAMESPACE},
        "data": {"tls.crt": "eA"},
    }
    fake.put("secrets", spoilt)

    with open_doors(fake, tmp_path, answers_with()) as doors:
        wait_registered(fake)
        context = proxy.context()
        context.load_verify_locations(cadata=authority_of(fake, BETA1))
        context.verify_mode = ssl.CERT_REQUIRED
        status, _ = Client(doors.ports["custom_metrics"], context).get(value_path())

    assert status == 200


def test_of_two_autoscalers_the_later_one_takes_over_the_keys_of_the_first(fake, tmp_path):
    with (
        open_doors(fake, tmp_path, answers_with()) as first,
        open_doors(fake, tmp_path, answers_with()) as second,
    ):
        wait_until(lambda: not first.trouble and not second.trouble)

    assert len([each for each in writes(fake, SECRETS) if each.method == "POST"]) == 1


def test_an_apiservice_that_may_not_be_written_is_told_and_others_are_answered(
    fake, proxy, tmp_path
):
    refusal = Answer(403, "Forbidden", "apiservices is forbidden: User cannot create")
    fake.refused[API_SERVICES] = refusal

    with open_doors(fake, tmp_path, answers_with()) as doors:
        wait_until(lambda: "forbidden" in doors.trouble)
        status, _ = Client(doors.ports["custom_metrics"], proxy.context()).get(value_path())

    assert status == 200


def test_keys_that_someone_else_keeps_changing_are_told(fake, tmp_path):
    fake.refused[SECRETS] = Answer(409, "AlreadyExists", "secrets already exists")
    doors = Doors(
        DoorSettings(api=LOOPBACK, keda=None, upkeep_s=0.05),
        ApiServer.connect(fake.kubeconfig(tmp_path)),
        answers_with(),
        CollectorRegistry(),
    )
    doors.start()
    try:
        wait_until(lambda: "secret" in doors.trouble)
        trouble, is_serving = doors.trouble, doors.is_serving
    finally:
        doors.stop()

    assert trouble == (
        "custom metrics: secret gshare-system/gshare-autoscaler-serving: someone else changes it"
    )
    assert not is_serving


def test_a_port_that_is_taken_ends_the_start_and_leaves_no_door_open(fake, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        doors = Doors(
            DoorSettings(api=address, keda=None),
            ApiServer.connect(fake.kubeconfig(tmp_path)),
            answers_with(),
            CollectorRegistry(),
        )

        with pytest.raises(GshareError, match=f"cannot listen on 127.0.0.1:{address.port}"):
            doors.start()

    assert fake.asked == []
