"""`gshare ps`, `map` and `explain` against a cluster: what is read, what is printed."""

import json
import os
import subprocess
import sys

import pytest
from tests.support.cluster_objects import GIB, gpu, node, pod
from tests.support.fake_api_server import FakeApiServer
from tests.support.fake_api_troubles import Answer

from gshare import annotations, names
from gshare.models import ModelShare
from gshare_cli import __main__ as command

AGENTS = f"/api/v1/namespaces/{names.NAMESPACE}/pods"


@pytest.fixture
def server():
    with FakeApiServer() as fake:
        fake.put("nodes", node("n1", gpu("GPU-1"), gpu("GPU-2")))
        fake.put("nodes", node("cpu-1"))
        fake.put("pods", pod("web-0", on="n1", gpu="GPU-1"))
        yield fake


@pytest.fixture
def run(server, tmp_path, monkeypatch, capsys):
    """Run `kubectl gshare`; return the exit code, standard output and standard error."""

    def run_(*arguments, main=command.main_of_kubectl, columns=200):
        options = ["--kubeconfig", str(server.kubeconfig(tmp_path))]
        monkeypatch.setattr(sys, "argv", ["gshare", *map(str, arguments), *options])
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run_


def test_ps_lists_the_pods_of_the_contexts_namespace(server, run):
    server.put("pods", pod("other-0", namespace="other", on="n1", gpu="GPU-1"))

    code, out, _ = run("ps")

    assert code == 0
    assert out.splitlines()[-1].split() == [
        *("web-0", "Running", "n1", "0", "12", "40", "100", "-", "-/1Gi")
    ]
    assert "other-0" not in out


def test_ps_lists_all_namespaces(server, run):
    server.put("pods", pod("other-0", namespace="other"))

    _, out, _ = run("ps", "-A")

    assert [line.split()[:3] for line in out.splitlines()[-2:]] == [
        ["other", "other-0", "Pending"],
        ["team", "web-0", "Running"],
    ]


def test_ps_tells_what_pods_got_by_their_nodes_agents(server, run):
    agent = pod("gshare-node-agent-x", namespace=names.NAMESPACE, limits={}, on="n1")
    server.put("pods", agent)
    path = f"{AGENTS}/gshare-node-agent-x:{names.PORT_NODE_AGENT_METRICS}/proxy/metrics"
    server.texts[path] = metrics(used_s=10.0, clock_s=100.0)
    server.later_texts[path] = metrics(used_s=10.4, clock_s=101.0)

    _, out, _ = run("ps")

    assert out.splitlines()[-1].split()[-2:] == ["40.0", "512Mi/1Gi"]


def test_ps_tells_what_pods_share_and_save(server, run):
    store = annotations.encode_resident({"GPU-1": {"team/vit": GIB}})
    given = {names.ANNOTATION_RESIDENT: store}
    gpu_with_store = gpu("GPU-1", store_bytes=300 * 2**20)
    server.put("nodes", node("n1", gpu_with_store, gpu("GPU-2"), annotations=given))
    for name in ("web-0", "web-1"):
        server.put("pods", pod(name, on="n1", gpu="GPU-1", model=ModelShare("vit", GIB)))
    agent = pod("gshare-node-agent-x", namespace=names.NAMESPACE, limits={}, on="n1")
    server.put("pods", agent)
    path = f"{AGENTS}/gshare-node-agent-x:{names.PORT_NODE_AGENT_METRICS}/proxy/metrics"
    for texts, clock_s in ((server.texts, 100.0), (server.later_texts, 101.0)):
        pages = [metrics(1, clock_s, name, shared_bytes=GIB) for name in ("web-0", "web-1")]
        texts[path] = "".join(pages[:1]) + pages[1].partition(names.METRIC_GPU_CLOCK_SECONDS)[0]

    _, out, _ = run("ps")
    *_, first, second, line = out.splitlines()
    assert first.split()[-3:] == second.split()[-3:] == ["512Mi/1Gi", "1Gi", "512Mi"]
    assert line == (
        "n1, GPU 0: the model store keeps 1Gi once and 300Mi for itself, 2 replicas map 2Gi of "
        "it: it saves 724Mi"
    )

    _, out, _ = run("ps", "--json")
    row = json.loads(out)[0]
    assert (row["model"], row["private_bytes"]) == ("team/vit", GIB // 2)
    assert (row["shared_bytes"], row["saved_bytes"]) == (GIB, GIB // 2)


def metrics(used_s, clock_s, name="web-0", shared_bytes=None):
    """Return an agent's page about a pod."""
    labels = f'namespace="team",pod="{name}",container="main",gpu="GPU-1",lease="a-1"'
    shared = f"{names.METRIC_LEASE_SHARED_BYTES}{{{labels}}} {shared_bytes}\n"
    return (
        f"{'' if shared_bytes is None else shared}"
        f"{names.METRIC_LEASE_GPU_SECONDS}{{{labels}}} {used_s}\n"
        f"{names.METRIC_LEASE_MEMORY_BYTES}{{{labels}}} {GIB // 2}\n"
        f'{names.METRIC_GPU_CLOCK_SECONDS}{{gpu="GPU-1",model="V100"}} {clock_s}\n'
    )


def test_ps_goes_without_what_agents_do_not_tell(server, run):
    agent = pod("gshare-node-agent-x", namespace=names.NAMESPACE, limits={}, on="n1")
    server.put("pods", agent)
    path = f"{AGENTS}/gshare-node-agent-x:{names.PORT_NODE_AGENT_METRICS}/proxy/metrics"
    server.refused[path] = Answer(403, "Forbidden")

    code, out, _ = run("ps")

    assert code == 0
    assert out.splitlines()[-1].split()[-2:] == ["-", "-/1Gi"]


def test_ps_cuts_no_name_on_a_narrow_terminal(server, run):
    name = "a-deployment-of-a-long-name-5948c57956-wtkmc"
    server.put("pods", pod(name, on="n1", gpu="GPU-1"))

    _, out, _ = run("ps", "-A", columns=40)

    assert name in out


def test_ps_prints_json(run):
    _, out, _ = run("ps", "--json")

    (row,) = json.loads(out)
    assert (row["pod"], row["node"], row["gpu"], row["gpu_uuid"]) == ("web-0", "n1", 0, "GPU-1")


def test_ps_says_what_is_wrong_with_a_pod(server, run):
    server.put("pods", pod("round-0", on="n1"))

    _, _, err = run("ps")

    assert "team/round-0: was bound without gshare's extender" in err


def test_ps_works_without_a_right_to_the_nodes(server, run):
    message = 'nodes is forbidden: User "x" cannot list resource "nodes" in API group ""'
    server.refused["/api/v1/nodes"] = Answer(403, "Forbidden", message)

    code, out, err = run("ps")

    assert code == 0
    assert out.splitlines()[-1].split()[:4] == ["web-0", "Running", "n1", "-"]
    assert 'cannot list resource "nodes"' in err


def test_ps_says_so_where_nothing_asks(run):
    code, out, _ = run("ps", "-n", "empty")

    assert (code, out) == (0, "no pod in the namespace empty asks for a rectangle of a GPU\n")


def test_map_draws_every_gpu_of_every_node(run):
    _, out, _ = run("map")

    assert "n1 GPU 0: V100 (simulated), 4.8 % of the rectangle in use" in out
    assert "n1 GPU 1: V100 (simulated), 0 % of the rectangle in use" in out
    assert "web-0" in out


def test_map_writes_a_page(run, tmp_path):
    page = tmp_path / "map.svg"

    code, out, _ = run("map", "--svg", page)

    assert (code, out) == (0, "")
    assert "n1 GPU 0" in page.read_text()


def test_map_prints_json(run):
    _, out, _ = run("map", "--json")

    first, _ = json.loads(out)
    assert [(box["label"], box["width"], box["height"]) for box in first["boxes"]] == [
        ("web-0", 40, 12)
    ]


def test_map_names_a_node_whose_inventory_cannot_be_read(server, run):
    server.put("nodes", node("n2", annotations={names.ANNOTATION_GPUS: "{"}))

    code, out, err = run("map")

    assert code == 0
    assert "n1 GPU 0" in out
    assert f"node n2: annotation {names.ANNOTATION_GPUS} is not JSON" in err


def test_explain_says_why_a_pod_waits_and_what_the_scheduler_said(server, run):
    server.put(
        "pods", pod("big-0", 100, 70, memory=1, annotations={names.ANNOTATION_GPU_MEM: "20Gi"})
    )
    server.put(
        "events",
        {
            "metadata": {"name": "e1", "namespace": "team"},
            "regarding": {"kind": "Pod", "name": "big-0", "uid": "uid-of-big-0"},
            "reason": "FailedScheduling",
            "note": "0/2 nodes are available",
            "eventTime": "2026-01-01T00:00:00.000000Z",
        },
    )

    _, out, _ = run("explain", "big-0")

    assert out.splitlines() == [
        (
            "team/big-0 is Pending without a node; it asks for 100 % of the SMs for 70 % of the "
            "time and 20Gi of memory"
        ),
        (
            "  n1: GPU 1, V100 (simulated), the nearest of 2: 4Gi of memory are missing: "
            "20Gi asked, 16Gi free"
        ),
        "  1 other node has no GPUs",
        "events",
        "  2026-01-01 00:00:00 FailedScheduling: 0/2 nodes are available",
    ]


@pytest.mark.parametrize(
    "way", [("web-0",), ("team/web-0",), ("pod/web-0",), ("web-0", "-n", "team")]
)
def test_explain_says_what_a_pod_holds(run, way):
    _, out, _ = run("explain", *way)

    assert out.splitlines()[0] == "team/web-0 is Running on n1 and holds a rectangle"
    assert "  GPU: 0, V100 (simulated), GPU-1" in out


def test_explain_prints_json(run):
    _, out, _ = run("explain", "web-0", "--json")

    assert json.loads(out)["headline"].startswith("team/web-0 is Running")


def test_explain_says_that_there_is_no_such_pod(run):
    code, out, err = run("explain", "none")

    assert (code, out) == (1, "")
    assert err == "gshare: there is no pod 'none' in the namespace 'team'\n"


def test_explain_works_without_a_right_to_the_nodes(server, run):
    server.refused["/api/v1/nodes"] = Answer(403, "Forbidden", "nodes is forbidden")

    code, out, _ = run("explain", "web-0")

    assert code == 0
    assert "  the GPUs are unknown: cluster fake: nodes is forbidden" in out


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            Answer(403, "Forbidden", 'pods is forbidden: User "x" cannot list resource "pods"'),
            'cannot list resource "pods"',
            id="forbidden",
        ),
        pytest.param(Answer(401, "Unauthorized", "Unauthorized"), "log in again", id="who are you"),
        pytest.param(Answer(500, "InternalError", "etcd is away"), "etcd is away", id="broken"),
    ],
)
def test_an_error_of_the_cluster_is_one_clear_line(server, run, answer, expected):
    server.refused["/api/v1/pods"] = answer

    code, out, err = run("map")

    assert (code, out) == (1, "")
    assert expected in err
    assert len(err.splitlines()) == 1


def test_a_cluster_that_is_away_is_one_clear_line(server, run):
    server.refuse_connections()

    code, _, err = run("ps")

    assert code == 1
    assert err == f"gshare: cluster fake does not answer: {server.url}: Connection refused\n"


def test_gshare_with_a_kubeconfig_looks_at_the_cluster(run):
    _, out, _ = run("map", main=command.main)

    assert "n1 GPU 0" in out


def test_local_and_cluster_exclude_each_other(run):
    code, _, err = run("ps", "--local", main=command.main)

    assert code == 2
    assert "--local" in err


def without_options(arguments, folder, **environment):
    """Run `gshare` as its own process with a home of its own."""
    env = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    env |= {"HOME": str(folder), names.ENV_STATE_DIR: str(folder / "state"), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "gshare_cli", *arguments],
        env=env | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_options_and_local_runs_gshare_looks_at_the_cluster(server, tmp_path):
    ended = without_options(["ps"], tmp_path, KUBECONFIG=str(server.kubeconfig(tmp_path)))

    assert "web-0" in ended.stdout


def test_without_a_cluster_gshare_looks_at_this_machine(tmp_path):
    ended = without_options(["ps"], tmp_path)

    assert (ended.stdout, ended.stderr) == ("nothing runs on this machine's GPUs\n", "")


def test_a_cluster_that_is_away_leaves_this_machine(server, tmp_path):
    path = server.kubeconfig(tmp_path)
    server.refuse_connections()

    ended = without_options(["map"], tmp_path, KUBECONFIG=str(path))

    assert ended.stdout == "nothing runs on this machine's GPUs\n"
    assert "does not answer" in ended.stderr


def test_explain_without_any_kubeconfig_says_what_to_do(tmp_path):
    ended = without_options(["explain", "web-0"], tmp_path)

    assert ended.returncode == 1
    assert "no cluster to ask" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
