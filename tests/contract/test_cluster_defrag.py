"""`gshare defrag` against a FakeApiServer: what it plans, evicts, waits for and tells."""

import json
import sys
import threading
from contextlib import contextmanager

import pytest
from tests.support.cluster_objects import GIB, gpu, node, pod
from tests.support.fake_api_server import FakeApiServer
from tests.support.fake_api_troubles import Answer

from gshare import names
from gshare_cli import __main__ as command
from gshare_cli import defrag_run


@pytest.fixture
def server():
    """Return a cluster of three GPUs on three nodes; that of n3 is the cheapest to free."""
    with FakeApiServer() as fake:
        for name, quota in (("n1", 60), ("n2", 50), ("n3", 30)):
            fake.put("nodes", node(name, gpu(f"GPU-{name}")))
            hold(fake, f"web-{name}", name, quota)
        yield fake


@pytest.fixture
def run(server, tmp_path, monkeypatch, capsys):
    """Run `kubectl gshare defrag`; return the exit code, standard output and standard error."""
    monkeypatch.setattr(defrag_run, "LOOK_S", 0.02)

    def run_(*arguments):
        options = ["--kubeconfig", str(server.kubeconfig(tmp_path))]
        monkeypatch.setattr(sys, "argv", ["gshare", "defrag", *map(str, arguments), *options])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            command.main_of_kubectl()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run_


def hold(fake, name, on, quota, **changes):
    """Have a pod hold part of a node's GPU, as one of a controller."""
    body = pod(name, 100, quota, on=on, gpu=f"GPU-{on}")
    body["metadata"]["annotations"][names.ANNOTATION_GPU_MEM] = "1Gi"
    kind = changes.get("kind", "ReplicaSet")
    if kind:
        owner = changes.get("owner", "web")
        reference = {"kind": kind, "name": owner, "uid": f"uid-{owner}", "controller": True}
        body["metadata"]["ownerReferences"] = [reference]
    ready = "True" if changes.get("is_ready", True) else "False"
    body["status"]["conditions"] = [{"type": "Ready", "status": ready}]
    body["spec"] |= changes.get("more", {})
    return fake.put("pods", body)


@contextmanager
def controller(fake, *places, is_ready=True, beside=""):
    """Take away pods that are evicted, and put the next one on the next of `places` each time.

    With `beside`, another pod comes to that node at the first eviction.
    """
    stop, left = threading.Event(), list(places)

    def reconcile():
        for body in fake.select("pods", None, {}):
            if "deletionTimestamp" in body["metadata"]:
                meta = body["metadata"]
                if beside:
                    hold(fake, "newcomer", beside, 1, owner="other")
                fake.drop("pods", meta["name"], meta["namespace"])
                if left:
                    text = meta["annotations"][names.ANNOTATION_PLACEMENT]
                    quota = json.loads(text)["quota"]
                    hold(fake, f"next-{len(left)}", left.pop(0), quota, is_ready=is_ready)

    def work():
        while not stop.wait(0.01):
            reconcile()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def evicted(fake):
    return [each.path.split("/")[-2] for each in fake.asked if each.path.endswith("/eviction")]


def budget(fake, allowed, name="web"):
    spec = {"selector": {"matchLabels": {}}}
    status = {"disruptionsAllowed": allowed}
    meta = {"name": name, "namespace": "team"}
    fake.put("poddisruptionbudgets", {"metadata": meta, "spec": spec, "status": status})


def test_a_plan_names_pods_costs_and_where_room_is_and_does_nothing(server, run):
    code, out, _ = run("--plan")

    assert code == 0
    assert "1. n3 GPU 0: 1 eviction, 30 % of a GPU, 1Gi, priority up to 0" in out
    (row,) = [line for line in out.splitlines() if "team/web-n3" in line]
    assert row.split()[:3] == ["team/web-n3", "ReplicaSet", "web"]
    assert row.endswith("n1 GPU 0")
    assert "1 eviction would free 1 GPU of 3 in use: 1.00 an eviction" in out
    assert "n2 GPU 0 stays: no other GPU in use has room for team/web-n2" in out
    assert {each.method for each in server.asked} == {"GET"}


def test_without_options_it_only_plans(server, run):
    assert run() == run("--plan")
    assert evicted(server) == []


def test_the_plan_as_json(run):
    code, out, _ = run("--plan", "--json")

    found = json.loads(out)
    assert code == 0
    assert (found["in_use"], found["freed"], found["evictions"]) == (3, 1, 1)
    (freed,) = found["gpus"]
    assert (freed["node"], freed["gpu_uuid"], freed["area_percent"]) == ("n3", "GPU-n3", 30.0)
    (move,) = freed["moves"]
    assert (move["pod"], move["owner"], move["memory_bytes"]) == (
        *("web-n3", "ReplicaSet web"),
        GIB,
    )
    assert (move["to_node"], move["to_gpu_uuid"]) == ("n1", "GPU-n1")
    assert [kept["node"] for kept in found["kept"]] == ["n2", "n1"]


@pytest.mark.parametrize("kind", ["", "DaemonSet", "Job", "Node"])
def test_pods_that_nobody_makes_again_elsewhere_are_not_named(server, run, kind):
    for name, quota in (("n1", 60), ("n2", 50), ("n3", 30)):
        server.drop("pods", f"web-{name}", "team")
        hold(server, f"web-{name}", name, quota, kind=kind)

    _, out, _ = run("--plan")

    assert "no GPU can be freed" in out
    assert "team/web-n3 has no controller that would make it again elsewhere" in out


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"nodeSelector": {"zone": "z"}}, id="selector"),
        pytest.param({"affinity": {"nodeAffinity": {}}}, id="affinity"),
        pytest.param({"topologySpreadConstraints": [{"maxSkew": 1}]}, id="spread"),
    ],
)
def test_a_pod_that_is_bound_to_nodes_stays_on_its_own(server, run, more):
    for name, quota in (("n1", 60), ("n2", 50), ("n3", 30)):
        hold(server, f"web-{name}", name, quota, more=more)

    assert "no GPU can be freed" in run("--plan")[1]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}, id="taint"),
        pytest.param({"spec": {"unschedulable": True}}, id="cordon"),
        pytest.param(
            {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, id="not ready"
        ),
    ],
)
def test_no_pod_is_sent_to_a_node_that_takes_none(server, run, changes):
    for name in ("n1", "n2"):
        body = node(name, gpu(f"GPU-{name}"))
        body["spec"] |= changes.get("spec", {})
        body["status"] |= changes.get("status", {})
        server.put("nodes", body)

    found = json.loads(run("--plan", "--json")[1])

    assert all(each["node"] != "n3" for each in found["gpus"])


def test_a_budget_without_rest_keeps_pods(server, run):
    budget(server, 0)

    _, out, _ = run("--plan")

    assert "team/web-n3 is kept by its PodDisruptionBudget web" in out


def test_apply_evicts_waits_for_the_successor_and_sums_up(server, run):
    with controller(server, "n1"):
        code, out, err = run("--apply")

    assert code == 0
    assert evicted(server) == ["web-n3"]
    assert "evicts team/web-n3 from n3/GPU-n3" in err
    assert "team/next-1 is ready on n1/GPU-n1" in err
    assert "n3/GPU-n3 is free" in err
    assert "freed 1 of 1 GPU that the plan names; moved 1 pod" in out


def test_apply_tells_the_outcome_as_json(server, run):
    with controller(server, "n1"):
        _, out, _ = run("--apply", "--json")

    found = json.loads(out)
    assert (found["planned"], found["freed"], found["moved"]) == (1, 1, 1)
    assert found["gpus"][0]["moved"][0]["gpu_uuid"] == "GPU-n1"


@pytest.fixture
def pair(server):
    """Return the names of two pods on the one GPU that is to be freed, as they go."""
    for name in ("n1", "n2", "n3"):
        server.drop("pods", f"web-{name}", "team")
    for index in range(3):
        hold(server, f"stays-{index}", "n1", 20)
    hold(server, "first", "n3", 20)
    hold(server, "second", "n3", 10)
    return ["first", "second"]


def test_pods_of_one_gpu_go_one_after_another(server, run, pair):
    with controller(server, "n1", "n1"):
        code, _, err = run("--apply")

    steps = [line.split(" on ")[0].split(" from ")[0] for line in err.splitlines()]
    assert code == 0
    assert evicted(server) == pair
    assert steps == [
        "gshare: evicts team/first",
        "gshare: team/next-2 is ready",
        "gshare: evicts team/second",
        "gshare: team/next-1 is ready",
        "gshare: n3/GPU-n3 is free",
    ]


def test_a_refused_eviction_stops_the_set_and_not_the_next_one(server, run):
    """The budget allowed one when the plan was made, and the API server knows better."""
    for name in ("n4", "n5"):
        server.put("nodes", node(name, gpu(f"GPU-{name}")))
    hold(server, "other", "n4", 35)
    hold(server, "large", "n5", 65)
    server.guarded.add("web-n3")

    with controller(server, "n5"):
        code, out, err = run("--apply")

    assert code == 1
    assert "n3/GPU-n3 is not freed (refused): team/web-n3: the API server refuses" in err
    assert "disruption budget" in err
    assert evicted(server) == ["web-n3", "other"]
    assert "freed 1 of 2 GPUs that the plan names; moved 1 pod" in out


def test_a_successor_that_comes_back_stops_the_set(server, run):
    with controller(server, "n3"):
        code, _, err = run("--apply")

    assert code == 1
    assert "not freed (changed): team/next-1 was placed there again for team/web-n3" in err


def test_a_successor_that_opens_an_unused_gpu_ends_it_all(server, run):
    server.put("nodes", node("n0", gpu("GPU-n0")))

    with controller(server, "n0"):
        code, _, err = run("--apply")

    assert code == 1
    assert "not freed (lost): team/next-1 opened n0/GPU-n0, which was not in use" in err


@pytest.mark.parametrize(
    ("places", "text"),
    [
        pytest.param([], "ReplicaSet web has no other pod placed within 0.2 s", id="none"),
        pytest.param(["n1"], "is on n1/GPU-n1 but not ready within 0.2 s", id="not ready"),
    ],
)
def test_a_successor_that_is_not_ready_in_time_ends_it_all(server, run, places, text):
    with controller(server, *places, is_ready=False):
        code, out, err = run("--apply", "--timeout", 0.2)

    assert code == 1
    assert text in err
    assert "freed 0 of 1 GPU" in out


@pytest.mark.usefixtures("pair")
def test_a_pod_that_came_meanwhile_stops_the_set(server, run):
    with controller(server, "n1", beside="n3"):
        code, out, err = run("--apply")

    assert code == 1
    assert evicted(server) == ["first"]
    assert "not freed (changed): team/newcomer has come to it meanwhile" in err
    assert "moved 1 pod" in out


def test_a_server_that_fails_half_way_is_told_with_what_was_done(server, run):
    path = "/api/v1/namespaces/team/pods/web-n3/eviction"
    server.refused[path] = Answer(500, "InternalError", "etcd is away")

    code, out, err = run("--apply")

    assert code == 1
    assert "etcd is away" in err
    assert "freed 0 of 1 GPU" in out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--plan", "--apply"), "--plan: 'given': goes without --apply"),
        (("--gpus", "0"), "--gpus: 0: must be at least 1"),
        (("--timeout", "0"), "--timeout: 0.0: must be seconds above 0"),
    ],
)
def test_options_that_contradict_are_refused(run, options, text):
    code, _, err = run(*options)

    assert code == 2
    assert text in err
