"""Connections to the API server: made as a kubeconfig says, kept while they last, never trusted."""

import ssl

import pytest
import yaml
from tests.cluster.harness.certificates import Authority
from tests.support.scripted_server import ScriptedServer, reply

from gshare.errors import GshareError
from gshare.runtime.kube import ApiServer, ApiUnreachable

PODS = "/api/v1/pods"


def api_at(folder, server, **cluster):
    """Return the API server of a kubeconfig that says `server` and more of the cluster."""
    path = folder / "kubeconfig"
    content = {
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(content))
    return ApiServer.connect(path)


def served(*answers):
    return ScriptedServer(list(answers))


@pytest.fixture
def authority(tmp_path):
    found = Authority(tmp_path, "ca")
    found.create()
    return found


@pytest.fixture
def tls(authority):
    """Return how a server speaks TLS whose certificate is for kubernetes.local alone."""
    pair = authority.issue("server", "server", hosts=["kubernetes.local"])
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(pair.certificate, pair.key)
    return found


def test_a_connection_that_the_server_has_closed_is_replaced(tmp_path):
    with served(reply(b"1"), b"", reply(b"2")) as server:
        api = api_at(tmp_path, f"http://{server.address}")
        first = api.get(PODS)
        with pytest.raises(ApiUnreachable, match="the connection broke off"):
            api.get(PODS)

        assert (first, api.get(PODS)) == (b"1", b"2")
        assert server.connections == 2


def test_a_connection_that_the_server_will_close_is_not_kept(tmp_path):
    with served(reply(b"1", "Connection: close"), reply(b"2")) as server:
        api = api_at(tmp_path, f"http://{server.address}")

        assert [api.get(PODS), api.get(PODS)] == [b"1", b"2"]
        assert server.connections == 2


def test_a_connection_over_which_more_came_than_was_asked_is_not_kept(tmp_path):
    with served(reply(b"1") + reply(b"not asked for"), reply(b"2")) as server:
        api = api_at(tmp_path, f"http://{server.address}")

        assert [api.get(PODS), api.get(PODS)] == [b"1", b"2"]


def test_an_answer_in_chunks_is_one_answer(tmp_path):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"
    with served(chunked, reply(b"2")) as server:
        api = api_at(tmp_path, f"http://{server.address}")

        assert [api.get(PODS), api.get(PODS)] == [b"[1]", b"2"]
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "must be three words"),
        (b"HTTP/1.1 OK fine\r\n\r\n", "an answer that begins with 'HTTP/1.1 OK fine'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "Content-Length 'many'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "timed out"),
    ],
    ids=["another protocol", "no status", "no length", "half an answer"],
)
def test_an_answer_that_is_none_is_an_error_of_one_line(tmp_path, answer, text):
    with served(answer) as server:
        api = api_at(tmp_path, f"http://{server.address}")

        with pytest.raises(ApiUnreachable, match=text) as caught:
            api.get(PODS, timeout_s=0.3)

    assert str(caught.value).startswith("http://127.0.0.1:")
    assert "\n" not in str(caught.value)


def test_names_are_written_as_a_url_writes_them(tmp_path):
    with served(reply(), reply()) as server:
        api = api_at(tmp_path, f"http://{server.address}")
        api.get("/api/v1/namespaces/a b\r\nX: y/pods")
        api.get("/api/v1/nodes/n%2Fx/metrics", {"a": "b c"})

    assert server.asked == [
        "GET /api/v1/namespaces/a%20b%0D%0AX:%20y/pods HTTP/1.1",
        "GET /api/v1/nodes/n%2Fx/metrics?a=b+c HTTP/1.1",
    ]


def test_a_server_behind_a_path_is_asked_below_it(tmp_path):
    with served(reply()) as server:
        api_at(tmp_path, f"http://{server.address}/k8s/clusters/c-1/").get(PODS)

    assert server.asked == ["GET /k8s/clusters/c-1/api/v1/pods HTTP/1.1"]


def test_a_server_without_a_scheme_is_asked_in_plain(tmp_path):
    with served(reply(b"1")) as server:
        assert api_at(tmp_path, server.address).get(PODS) == b"1"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://[::1", "^kubeconfig .*: Invalid IPv6 URL$"),
        ("https://x:nonsense", "^API server 'https://x:nonsense': "),
    ],
    ids=["half an address", "no port"],
)
def test_a_server_whose_address_is_none_is_one_line(tmp_path, url, text):
    with pytest.raises(GshareError, match=text) as caught:
        api_at(tmp_path, url)

    assert "\n" not in str(caught.value)


def test_a_certificate_is_checked_for_the_name_that_the_kubeconfig_says(tmp_path, authority, tls):
    trusted = {"certificate-authority": str(authority.certificate)}
    with ScriptedServer([reply(b"1"), reply(b"2")], tls) as server:
        url = f"https://{server.address}"
        named = api_at(tmp_path, url, **trusted, **{"tls-server-name": "kubernetes.local"})
        wrong = api_at(tmp_path, url, **trusted)

        assert [named.get(PODS), named.get(PODS)] == [b"1", b"2"]
        with pytest.raises(ApiUnreachable, match=r"(?i)certificate"):
            wrong.get(PODS)
    assert server.connections == 2


def test_nobody_is_trusted_whose_authority_is_not_known(tmp_path, tls):
    with ScriptedServer([reply()], tls) as server:
        stranger = api_at(tmp_path, f"https://{server.address}")

        with pytest.raises(ApiUnreachable, match=r"(?i)certificate"):
            stranger.get(PODS)
    assert server.asked == []


def test_a_proxy_is_asked_for_a_tunnel(tmp_path, authority, tls):
    with ScriptedServer([reply(b"1"), reply(b"2")], tls) as proxy:
        api = api_at(
            tmp_path,
            "https://kubernetes.local:6443",
            **{
                "certificate-authority": str(authority.certificate),
                "proxy-url": f"http://{proxy.address}",
            },
        )

        assert [api.get(PODS), api.get(PODS)] == [b"1", b"2"]
    assert proxy.asked[0].startswith("CONNECT kubernetes.local:6443 ")
    assert proxy.asked[1:] == ["GET /api/v1/pods HTTP/1.1"] * 2


def test_a_proxy_before_a_plain_server_is_told_the_whole_url(tmp_path):
    with served(reply(b"1")) as proxy:
        server = "http://kubernetes.local:8080"
        api = api_at(tmp_path, server, **{"proxy-url": f"http://{proxy.address}"})

        assert api.get(PODS) == b"1"
    assert proxy.asked == [f"GET {server}/api/v1/pods HTTP/1.1"]
