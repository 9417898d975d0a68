"""Kills one part of the cluster or of gshare, and sees that it is back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.cluster.harness import Cluster, Node

from gshare import names

from .scene import Object, node_of, until

_RECONNECTING_S: Final = 3.0
_REGISTERING_S: Final = 0.5
_COMPONENT: Final = "app.kubernetes.io/name"
_PROCESSES: Final = {
    "extender": "gshare-extender",
    "scheduler": "kube-scheduler",
    "API server": "kube-apiserver",
    "etcd": "etcd",
    "kubelet": "kubelet-{}",
    "containerd": "containerd-{}",
}
# Containers of the node agent; the kubelet starts them again.
_CONTAINERS: Final = ("plugin", "registrar", "model-stores")
_KUBELET_SOCKET: Final = "var/lib/kubelet/device-plugins/kubelet.sock"
PARTS: Final = (*_CONTAINERS, "token daemon", *_PROCESSES)


@dataclass(frozen=True, slots=True)
class Part:
    """Something that can die: `kill` ends it at once; `revive` has it started, if nobody does."""

    name: str
    kill: Callable[[], None]
    revive: Callable[[], None]
    is_of_api: bool = False
    """Whether no object can be created while it is dead."""


def part(cluster: Cluster, node: Node, name: str) -> Part:
    """Return one that may die by its name in PARTS; of nodes' parts, that of `node`."""
    if name in _CONTAINERS:
        return Part(name, lambda: _kill_container(cluster, node, name), lambda: None)
    if name == "token daemon":
        return Part(name, lambda: _kill_token_daemons(cluster, node), lambda: None)
    process = cluster.processes[_PROCESSES[name].format(node.index)]
    if name == "containerd":
        return Part(name, process.kill, lambda: _start_containerd(node))
    if name == "kubelet":
        return Part(name, process.kill, lambda: _start_kubelet(node))
    return Part(name, process.kill, process.start, name in {"API server", "etcd"})


def _start_containerd(node: Node) -> None:
    """Start it, and wait until the kubelet has surely found it again.

    A pod that the kubelet tries before then it tries again after 10-15 s, whatever the pod asks.
    """
    node.containerd.start()
    node.wait_for_containerd()
    time.sleep(_RECONNECTING_S)


def _start_kubelet(node: Node) -> None:
    """Start it, and wait until it takes device plugins.

    Usually that is 0.2 s, but 6 s or more where it first looks for a container that is gone.
    """
    socket = node.machine.root / _KUBELET_SOCKET
    before = socket.stat().st_ctime_ns
    node.kubelet.start()
    until(lambda: socket.stat().st_ctime_ns != before, "the kubelet takes device plugins")
    time.sleep(_REGISTERING_S)


def agent_of(cluster: Cluster, node: Node) -> Object:
    """Return the node agent's pod on `node`."""
    path = f"/api/v1/namespaces/{names.NAMESPACE}/pods"
    for pod in cluster.api.items(path):
        labels = pod["metadata"].get("labels", {})
        if labels.get(_COMPONENT) == names.PART_NODE_AGENT and node_of(pod) == node.name:
            return pod
    raise LookupError(f"{node.name} has no node agent")


def _kill_container(cluster: Cluster, node: Node, name: str) -> None:
    container = _container(agent_of(cluster, node), name)
    node.ctr("tasks", "kill", "--signal", "SIGKILL", container)


def _kill_token_daemons(cluster: Cluster, node: Node) -> None:
    """Kill the token daemons of all GPUs of `node`; their supervisor starts them again."""
    tokens = processes_of(cluster, node, "daemons", "gshare-tokend")
    assert tokens, f"no token daemon on {node.name}"
    node.run_in(["kill", "-KILL", *tokens])


def processes_of(cluster: Cluster, node: Node, container: str, word: str) -> list[str]:
    """Return the ids of an agent's processes in one container whose commands hold `word`."""
    named = _container(agent_of(cluster, node), container)
    lines = node.ctr("tasks", "ps", named).splitlines()[1:]
    pids = [line.split()[0] for line in lines]
    return [pid for pid in pids if word in _command(node, pid)]


def _container(pod: Object, name: str) -> str:
    def found() -> str:
        for each in pod["status"]["containerStatuses"]:
            if each["name"] == name and "running" in each["state"]:
                return str(each["containerID"]).partition("//")[2]
        raise LookupError(f"{pod['metadata']['name']} runs no container {name}")

    return until(found, f"container {name} runs")


def _command(node: Node, pid: str) -> str:
    return node.run_in(["cat", f"/proc/{pid}/cmdline"]).replace("\0", " ")
