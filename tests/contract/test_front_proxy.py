"""Who is answered by the custom metrics API: the front proxy, as the cluster says who that is."""

import contextlib
import http.client
import socket
import ssl
import time

import pytest
from prometheus_client import CollectorRegistry
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.front_proxy import (
    LOOPBACK,
    NAME,
    Client,
    FrontProxy,
    anonymous,
    answers_with,
    open_doors,
    value_path,
)

from gshare.runtime.kube import ApiServer
from gshare_autoscaler.doors import Doors, DoorSettings

SILENT = 64


@pytest.fixture
def fake():
    with FakeApiServer() as found:
        yield found


@pytest.fixture
def proxy(tmp_path):
    return FrontProxy(tmp_path)


@pytest.fixture
def port(fake, proxy, tmp_path):
    fake.put("configmaps", proxy.config_map(NAME))
    with open_doors(fake, tmp_path, answers_with()) as doors:
        yield doors.ports["custom_metrics"]


@pytest.mark.parametrize("path", [value_path(), "/apis/custom.metrics.k8s.io/v1beta2", "/metrics"])
def test_a_request_without_a_certificate_is_refused(port, path):
    status, found = Client(port, anonymous()).get(path)

    assert (status, found["reason"]) == (401, "Unauthorized")
    assert found["message"] == "only the API server's front proxy is answered: no certificate"


def test_a_certificate_with_another_name_is_refused(port, proxy):
    status, found = Client(port, proxy.context("someone")).get(value_path())

    assert (status, found["code"]) == (401, 401)
    assert found["message"].endswith("not 'someone'")


def test_a_certificate_of_another_authority_ends_the_handshake(port, tmp_path):
    stranger = FrontProxy(tmp_path, "stranger")

    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        Client(port, stranger.context()).get(value_path())


def test_without_allowed_names_any_certificate_of_the_authority_will_do(fake, proxy, tmp_path):
    fake.put("configmaps", proxy.config_map())

    with open_doors(fake, tmp_path, answers_with()) as doors:
        status, _ = Client(doors.ports["custom_metrics"], proxy.context("any")).get(value_path())

    assert status == 200


def test_a_new_list_of_names_holds_for_open_connections(fake, port, proxy):
    client = Client(port, proxy.context())
    assert client.get(value_path())[0] == 200

    fake.put("configmaps", proxy.config_map("aggregator"))

    wait_until(lambda: client.get(value_path())[0] == 401)


def test_a_new_authority_replaces_the_old_one_on_open_connections_too(fake, port, proxy, tmp_path):
    old = Client(port, proxy.context())
    assert old.get(value_path())[0] == 200
    successor = FrontProxy(tmp_path, "successor")
    new = successor.context()

    fake.put("configmaps", successor.config_map(NAME))

    def is_answered():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return Client(port, new).get(value_path())[0] == 200

    wait_until(is_answered)
    with pytest.raises((OSError, http.client.HTTPException)):
        old.get(value_path())


def test_spoilt_settings_leave_the_last_good_ones_in_force(fake, port, proxy):
    client = Client(port, proxy.context())
    spoilt = proxy.config_map(NAME)
    spoilt["data"]["requestheader-client-ca-file"] = "nothing"

    fake.put("configmaps", spoilt)
    time.sleep(0.2)

    assert client.get(value_path())[0] == 200


def test_nothing_is_served_before_the_front_proxy_is_known(fake, proxy, tmp_path):
    doors = Doors(
        DoorSettings(api=LOOPBACK, keda=None, upkeep_s=0.05),
        ApiServer.connect(fake.kubeconfig(tmp_path)),
        answers_with(),
        CollectorRegistry(),
    )
    doors.start()
    try:
        wait_until(lambda: "configmap" in doors.trouble)
        began_early = doors.is_serving
        fake.put("configmaps", proxy.config_map(NAME))
        wait_until(lambda: doors.is_serving)
        wait_until(lambda: not doors.trouble)
        status, _ = Client(doors.ports["custom_metrics"], proxy.context()).get(value_path())
    finally:
        doors.stop()

    assert not began_early
    assert status == 200


def test_clients_that_say_nothing_stop_no_other(port, proxy):
    """More of them than there are workers; a few have even begun a handshake."""
    with contextlib.ExitStack() as stack:
        for number in range(SILENT):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            if number < 4:
                silent.send(b"\x16\x03\x01")
        started_s = time.monotonic()
        status, _ = Client(port, proxy.context()).get(value_path())
        took_s = time.monotonic() - started_s

    assert status == 200
    assert took_s < 2


def test_plain_http_is_dropped_and_others_go_on(port, proxy):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            answer = plain.recv(100)

    assert not answer.startswith(b"HTTP")
    assert Client(port, proxy.context()).get(value_path())[0] == 200
