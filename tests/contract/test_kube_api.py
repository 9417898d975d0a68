"""Requests to the API server: what comes back, and how each failure reads."""

import json
import socket

import pytest
from tests.support.fake_api_server import FakeApiServer
from tests.support.fake_api_troubles import Answer

from gshare.errors import GshareError
from gshare.runtime.kube import ApiError, ApiServer, ApiUnreachable, Pod, list_all, read


@pytest.fixture
def server():
    with FakeApiServer() as fake:
        yield fake


@pytest.fixture
def api(server, tmp_path):
    return ApiServer.connect(server.kubeconfig(tmp_path))


def test_says_who_asks_and_knows_the_context(server, api):
    api.get("/api/v1/pods")

    assert server.asked[0].headers["Authorization"] == "Bearer secret"
    assert (api.context, api.namespace, api.host) == ("fake", "team", server.url)


def test_creates_changes_reads_and_deletes(server, api):
    api.post("/api/v1/namespaces/team/pods", {"metadata": {"name": "a"}})
    api.patch("/api/v1/namespaces/team/pods/a", {"metadata": {"labels": {"x": "y"}}})

    found = read(api, "/api/v1/namespaces/team/pods/a", Pod)
    api.delete("/api/v1/namespaces/team/pods/a")

    assert found.metadata.labels == {"x": "y"}
    assert server.asked[1].headers["Content-Type"] == "application/merge-patch+json"
    assert server.find("pods", "team", "a") is None


def test_passes_bytes_and_parameters_on_as_they_are(server, api):
    body = b'{"metadata": {"name": "a"}}'

    api.post("/api/v1/namespaces/team/pods", body, {"dryRun": "All"})

    assert server.asked[0].body == body
    assert server.asked[0].params == {"dryRun": "All"}


def test_keeps_its_connection(server, api):
    for _ in range(5):
        api.get("/api/v1/pods")

    assert len(server.connections()) == 1


def test_an_error_has_status_reason_and_the_servers_words(server, api):
    message = 'pods is forbidden: User "x" cannot list resource "pods"'
    server.refused["/api/v1/pods"] = Answer(403, "Forbidden", message)

    with pytest.raises(ApiError, match=r"^GET /api/v1/pods: 403 pods is forbidden") as caught:
        list_all(api, "/api/v1/pods", Pod)

    assert (caught.value.status, caught.value.reason) == (403, "Forbidden")


def test_an_error_says_how_long_to_wait(server, api):
    server.refused["/api/v1/pods"] = Answer(429, "TooManyRequests", retry_after="7")

    with pytest.raises(ApiError) as caught:
        api.get("/api/v1/pods")

    assert caught.value.retry_after_s == 7


def test_nothing_is_asked_twice(server, api):
    server.refused["/api/v1/pods"] = Answer(503)

    with pytest.raises(ApiError):
        api.get("/api/v1/pods")

    assert len(server.asked) == 1


def test_a_refused_connection_is_one_clear_line(server, api):
    server.refuse_connections()

    with pytest.raises(ApiUnreachable, match=r"^http://127.0.0.1:\d+: Connection refused$"):
        api.get("/api/v1/pods")


def test_a_server_that_never_answers_is_given_up_in_time(tmp_path, server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = server.kubeconfig(tmp_path)
        port = silent.getsockname()[1]
        path.write_text(path.read_text().replace(server.url, f"http://127.0.0.1:{port}"))

        with pytest.raises(ApiUnreachable, match="timed out"):
            ApiServer.connect(path).get("/api/v1/pods", timeout_s=0.2)


def test_an_answer_that_is_no_list_is_an_error(server, api):
    server.texts["/api/v1/pods"] = "<html>log in first</html>"

    with pytest.raises(ApiError, match="not what the API serves"):
        list_all(api, "/api/v1/pods", Pod)


def test_a_missing_kubeconfig_is_named(tmp_path):
    with pytest.raises(GshareError, match="there is no such file"):
        ApiServer.connect(tmp_path / "none")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("- a\n- b\n", id="a list"),
        pytest.param("a: [", id="no YAML"),
        pytest.param("apiVersion: v1\nkind: Config\n", id="nothing in it"),
        pytest.param("\x00", id="a NUL"),
    ],
)
def test_a_kubeconfig_that_is_none_is_one_line(tmp_path, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text)

    with pytest.raises(GshareError, match=f"^kubeconfig {path}: ") as caught:
        ApiServer.connect(path)

    assert "\n" not in str(caught.value)


def test_an_unknown_context_is_named(server, tmp_path):
    with pytest.raises(GshareError, match="other"):
        ApiServer.connect(server.kubeconfig(tmp_path), "other")


def test_a_context_without_namespace_means_default(server, tmp_path):
    path = server.kubeconfig(tmp_path)
    known = json.loads(path.read_text())
    del known["contexts"][0]["context"]["namespace"]
    path.write_text(json.dumps(known))

    assert ApiServer.connect(path).namespace == "default"
