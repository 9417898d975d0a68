"""The test cluster is a real one: its parts can be killed, and nothing stays when it ends."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.harness import Cluster, ClusterError, Settings, wait
from tests.cluster.harness.api import Object
from tests.cluster.harness.process import ENV_CLUSTER
from tests.cluster.harness.settings import REPOSITORY
from tests.cluster.harness.small_images import BUSYBOX_IMAGE

from gshare.runtime import processes as host_processes

PODS = "/api/v1/namespaces/default/pods"
PATIENCE_S = 60
PARTS = [
    ["etcd"],
    ["kube-apiserver"],
    ["kube-controller-manager"],
    ["kube-scheduler"],
    ["kubelet-1"],
    ["containerd-1"],
    ["kube-proxy-1"],
    ["etcd", "kube-apiserver", "kube-scheduler", "containerd-1", "kubelet-1"],
]
SERVE = "mkdir -p /www && echo served > /www/index.html && exec httpd -f -h /www -p 80"


@pytest.fixture
def pods(cluster: Cluster) -> Iterator[list[str]]:
    """Yield a list; pods whose names are put there are removed."""
    names: list[str] = []
    yield names
    for name in names:
        cluster.api.delete(f"{PODS}/{name}?gracePeriodSeconds=0")


def test_pods_of_all_nodes_reach_each_other(cluster: Cluster, pods: list[str]):
    ends = [_start(cluster, pods, f"end-{node.index}", node.name) for node in cluster.nodes]
    addresses = [end["status"]["podIP"] for end in ends]

    for end in ends:
        for address in addresses:
            said = _exec(cluster, end, "wget", "-q", "-O-", f"http://{address}/")
            assert said == "served\n"


def test_pods_reach_services_and_the_api_server(cluster: Cluster, pods: list[str]):
    inside = _start(cluster, pods, "inside", cluster.nodes[-1].name)
    services = "/api/v1/namespaces/default/services"
    ports = [{"port": 8080, "targetPort": 80}]
    spec = {"selector": {"name": "inside"}, "ports": ports}
    made = cluster.api.post(services, {"metadata": {"name": "inside"}, "spec": spec})
    try:
        url = f"http://{made['spec']['clusterIP']}:8080/"

        found = wait(lambda: _exec(cluster, inside, "wget", "-q", "-O-", url), 20, "it serves")
    finally:
        cluster.api.delete(f"{services}/inside")

    assert found == "served\n"
    _exec(cluster, inside, "sh", "-c", "nc -w 5 $KUBERNETES_SERVICE_HOST 443 </dev/null")


@pytest.mark.parametrize("killed", PARTS, ids=" ".join)
def test_pods_outlive_the_cluster_s_parts(cluster: Cluster, pods: list[str], killed: list[str]):
    before = _start(cluster, pods, "before", cluster.nodes[0].name)

    for name in killed:
        cluster.processes[name].kill()
    for name in killed:
        cluster.processes[name].start()

    cluster.wait_until_ready()
    _start(cluster, pods, "after")
    after = cluster.api.get(f"{PODS}/before")
    assert _container(after) == _container(before)
    assert _container(after)["restartCount"] == 0


def test_nothing_is_left_after_down(tmp_path: Path):
    state_dir = tmp_path / "cluster"
    host = _host()

    cluster = Cluster.up(Settings(state_dir=state_dir, gshare=False))
    try:
        _start(cluster, [], "left", cluster.nodes[0].name)
    finally:
        cluster.down()

    _assert_gone(cluster, host)


@pytest.mark.parametrize("killed_after", ["starting a cluster", "the cluster is ready"])
def test_nothing_is_left_of_a_killed_run(tmp_path: Path, killed_after: str):
    state_dir = tmp_path / "cluster"
    host = _host()
    command = [sys.executable, "-m", "tests.cluster.harness", "up", "--no-gshare"]
    with subprocess.Popen(
        [*command, "--state-dir", str(state_dir)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert any(killed_after in line for line in run.stdout)
        run.send_signal(signal.SIGKILL)

    cluster = Cluster.attach(state_dir)
    cluster.down()

    _assert_gone(cluster, host)


def test_a_folder_has_one_cluster(cluster: Cluster):
    with pytest.raises(ClusterError, match="a cluster runs in"):
        Cluster.up(Settings(state_dir=cluster.state_dir))


def _start(cluster: Cluster, started: list[str], name: str, node: str | None = None) -> Object:
    """Return a pod that serves a page, when it runs."""
    server = {"name": "server", "image": BUSYBOX_IMAGE, "command": ["sh", "-c", SERVE]}
    spec = {"containers": [server], "terminationGracePeriodSeconds": 0}
    if node is not None:
        spec["nodeName"] = node
    metadata = {"name": name, "labels": {"name": name}}
    wait(lambda: cluster.api.get("/api/v1/namespaces/default/serviceaccounts/default"), 20, "born")
    cluster.api.post(PODS, {"metadata": metadata, "spec": spec})
    started.append(name)

    def runs() -> Object | None:
        found = cluster.api.get(f"{PODS}/{name}")
        return found if found["status"].get("phase") == "Running" else None

    return wait(runs, PATIENCE_S, f"pod {name} runs")


def _exec(cluster: Cluster, pod: Object, *command: str) -> str:
    return cluster.kubectl("exec", pod["metadata"]["name"], "--", *command)


def _container(pod: Object) -> Object:
    (found,) = pod["status"]["containerStatuses"]
    return {key: found[key] for key in ("containerID", "restartCount")}


def _host() -> dict[str, object]:
    """Return what a cluster could leave on the host."""
    rules = subprocess.run(["iptables-save"], capture_output=True, check=True, text=True).stdout
    return {
        "rules": [line for line in rules.splitlines() if line.startswith("-A")],
        "folders": {
            folder: sorted(path.name for path in Path(folder).iterdir())
            for folder in ("/etc/cni", "/var/lib")
            if Path(folder).is_dir()
        },
        "memory": Path("/proc/sys/vm/overcommit_memory").read_text(),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }


def _assert_gone(cluster: Cluster, host: dict[str, object]) -> None:
    assert not cluster.state_dir.exists()
    assert list(host_processes.carrying(ENV_CLUSTER, str(cluster.state_dir))) == []
    assert not (Path("/sys/class/net") / cluster.addresses.bridge).exists()
    assert cluster.addresses.all.rsplit(".", 2)[0] + "." not in _routes()
    assert list(Path("/sys/fs/cgroup").glob(f"*/{cluster.addresses.cgroup}")) == []
    assert str(cluster.state_dir) not in Path("/proc/self/mountinfo").read_text()
    assert _host() == host


def _routes() -> str:
    return subprocess.run(["ip", "route"], capture_output=True, check=True, text=True).stdout
