"""A cluster as a whole: up, found again, used, down."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from gshare.runtime import processes as host_processes

from . import binaries, cgroups, control_plane, network, packages, record, small_images
from . import node as nodes
from .api import Api
from .commands import run
from .control_plane import ControlPlane
from .errors import ClusterError, UnavailableError
from .machine import Machine
from .node import Node
from .process import ENV_CLUSTER, Process
from .record import Record
from .settings import Addresses, Settings
from .waiting import wait

_API_PATIENCE_S: Final = 90.0
_NODE_PATIENCE_S: Final = 120.0
_END_ROUNDS: Final = 100
_POLL_S: Final = 0.05
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Report = Callable[[str], object]


class Cluster:
    """A running cluster. All state is in its state directory; any number may look at it."""

    def __init__(self, known: Record) -> None:
        self.settings = known.settings
        self.addresses = Addresses(known.number)
        self.control_plane = ControlPlane(self.settings, self.addresses)
        self.machine = Machine("control", self.state_dir / "control", self._environment())
        self.nodes = tuple(self._node(index) for index in range(1, self.settings.nodes + 1))
        self._api: Api | None = None

    @classmethod
    def up(cls, settings: Settings, report: Report = lambda _: None) -> "Cluster":
        """Bring a cluster up and return when its nodes are Ready; builds what is missing."""
        get_ready(report)
        if record.is_in(settings.state_dir):
            found = cls.attach(settings.state_dir)
            if found.is_running:
                raise ClusterError(f"a cluster runs in {settings.state_dir}; end it first")
            found.down()
        asked = settings.gshare and control_plane.EXTENDER_PROGRAM.exists()
        cluster = cls(_claim(replace(settings, gshare=asked)))
        try:
            cluster._start(report)
        except BaseException:
            if "GSHARE_KEEP_FAILED" not in os.environ:
                cluster.down()
            raise
        return cluster

    @classmethod
    def attach(cls, state_dir: Path) -> "Cluster":
        """Return the cluster whose state is in a folder, whoever started it."""
        return cls(record.load(state_dir))

    @property
    def state_dir(self) -> Path:
        """The folder that holds everything the cluster keeps."""
        return self.settings.state_dir

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.control_plane.kubeconfig

    @property
    def log_dir(self) -> Path:
        """The folder with every process's output."""
        return self.state_dir / "logs"

    @property
    def api(self) -> Api:
        """The API server, as the administrator."""
        if self._api is None:
            plane = self.control_plane
            server, authority = self.addresses.api_server, plane.authority.certificate
            self._api = Api(server, authority, plane.admin)
        return self._api

    @property
    def processes(self) -> Mapping[str, Process]:
        """Every process by name: `etcd`, `kube-apiserver`, ..., `kubelet-1`, `containerd-1`."""
        found = {
            name: self.machine.process(name, command, self.log_dir)
            for name, command in self.control_plane.commands().items()
        }
        for one in self.nodes:
            found |= {f"{process.name}-{one.index}": process for process in one.processes}
        return found

    @property
    def kubectl_program(self) -> Path:
        """The kubectl of the cluster's version."""
        return binaries.path_of(binaries.KUBERNETES, "kubectl")

    @property
    def is_running(self) -> bool:
        """Whether any of its machines is still there."""
        return any(machine.init.is_running for machine in self._machines())

    def kubectl(self, *words: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        """Run kubectl as the administrator and return what it prints."""
        command = [str(self.kubectl_program), f"--kubeconfig={self.kubeconfig}", *words]
        environment = {**self._environment(), "HOME": str(self.state_dir)}
        return run(command, stdin=stdin, environment=environment, timeout_s=timeout_s)

    def import_image(self, archive: Path) -> None:
        """Give all nodes an image."""
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(one.import_image, archive) for one in self.nodes]:
                done.result()

    def node(self, name: str) -> Node:
        """Return a node by its name."""
        for one in self.nodes:
            if one.name == name:
                return one
        raise ClusterError(f"there is no node {name}")

    def down(self) -> None:
        """End everything and remove every trace; also what a killed run left behind."""
        for first in [machine.init for machine in self._machines()]:
            if first.is_running:
                host_processes.send(first.pid, signal.SIGKILL)
        for machine in self._machines():
            machine.init.kill()
        self._end_strays()
        network.remove(self.addresses, self._owner)
        cgroups.remove(self.addresses.cgroup)
        shutil.rmtree(self.state_dir)

    def wait_until_ready(self) -> None:
        """Return when the API server answers and every node is Ready."""
        wait(self._api_is_ready, _API_PATIENCE_S, "the API server is ready")
        wait(self._supervised_nodes_are_ready, _NODE_PATIENCE_S, "all nodes are Ready")

    def _start(self, report: Report) -> None:
        started = time.monotonic()
        report(f"starting a cluster of {self.settings.nodes} node(s) in {self.state_dir}")
        self.control_plane.write_files()
        for one in self.nodes:
            self._write_node_files(one)
            cgroups.create(one.cgroup)
        self._start_machines()
        with ThreadPoolExecutor() as pool:
            runtimes = [pool.submit(self._start_runtime, one) for one in self.nodes]
            self._start_control_plane()
            for runtime in runtimes:
                runtime.result()
        for one in self.nodes:
            for process in one.processes:
                process.start()
        self.wait_until_ready()
        report(f"the cluster is ready after {time.monotonic() - started:.1f} s")

    def _start_machines(self) -> None:
        self.machine.start()
        network.connect(self.addresses, self.machine, self.addresses.control_plane, "control")
        for one in self.nodes:
            one.machine.start()
            network.connect(self.addresses, one.machine, one.address, one.name)
        wired = [(self.machine, 0), *((one.machine, one.index) for one in self.nodes)]
        network.route_pods(self.addresses, wired)

    def _start_control_plane(self) -> None:
        plane = {name: self.processes[name] for name in self.control_plane.commands()}
        for name in ("etcd", "kube-apiserver"):
            plane.pop(name).start()
        wait(self._api_is_ready, _API_PATIENCE_S, "the API server is ready")
        for process in plane.values():
            process.start()

    def _start_runtime(self, one: Node) -> None:
        one.containerd.start()
        one.wait_for_containerd()
        for archive in small_images.write_all(one.machine.folder / "images"):
            one.import_image(archive)

    def _api_is_ready(self) -> bool:
        return self.api.text("/readyz") == "ok"

    def _supervised_nodes_are_ready(self) -> bool:
        """Start what has ended on the nodes, as a supervisor would; tell whether they are ready.

        A kubelet that is up before its containerd ends by itself.
        """
        for process in (process for one in self.nodes for process in one.processes):
            process.start()
        return self._nodes_are_ready()

    def _nodes_are_ready(self) -> bool:
        """Tell whether each kubelet answers now, which a Node's status alone does not say."""
        ready = {
            found["metadata"]["name"]
            for found in self.api.items("/api/v1/nodes")
            for condition in found["status"].get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] == "True"
        }
        for one in self.nodes:
            if one.name not in ready:
                raise ClusterError(f"{one.name} is not Ready")
            self.api.text(f"/api/v1/nodes/{one.name}/proxy/healthz")
        return True

    def _end_strays(self) -> None:
        """Kill every process that carries our mark, until a look finds none."""
        for _ in range(_END_ROUNDS):
            found = set(host_processes.carrying(ENV_CLUSTER, self._owner)) - {os.getpid()}
            if not found:
                return
            for pid in found:
                host_processes.send(pid, signal.SIGKILL)
            time.sleep(_POLL_S)
        raise ClusterError(f"processes {sorted(found)} do not end")

    def _node(self, index: int) -> Node:
        name = f"node-{index}"
        folder = self.state_dir / name
        machine = Machine(name, folder, self._environment(), nodes.BINDS, nodes.setup_lines())
        own, proxy = map(self.control_plane.kubeconfig_of, (name, "kube-proxy"))
        return Node(index, machine, self.addresses, own, proxy, self.log_dir / name)

    def _write_node_files(self, one: Node) -> None:
        plane = self.control_plane
        hosts = (one.address, one.name)
        plane.client(one.name, f"system:node:{one.name}", "system:nodes", hosts)
        one.machine.folder.mkdir(parents=True, exist_ok=True)
        serving = (plane.pki / f"{one.name}.crt", plane.pki / f"{one.name}.key")
        one.write_files(plane.authority.certificate, serving)

    def _machines(self) -> list[Machine]:
        return [self.machine, *(one.machine for one in self.nodes)]

    @property
    def _owner(self) -> str:
        return str(self.state_dir)

    def _environment(self) -> dict[str, str]:
        folders = ":".join(map(str, binaries.folders()))
        return {"PATH": f"{folders}:{_PATH}", ENV_CLUSTER: self._owner, "HOME": "/root"}


def get_ready(report: Report) -> None:
    """Install and build what clusters need; UnavailableError if this machine cannot run one."""
    if os.geteuid() != 0:
        raise UnavailableError("a cluster needs root: namespaces, network and control groups")
    packages.install(report)
    binaries.build(report)


def _claim(settings: Settings) -> Record:
    """Make the state directory and the network bridge whose name is the cluster's number."""
    folder = settings.state_dir
    folder.mkdir(parents=True, exist_ok=True)
    for number in network.free_numbers():
        claim = Record(settings, number)
        claim.save()
        if network.make_bridge(Addresses(number), str(folder)):
            return claim
    shutil.rmtree(folder)
    raise ClusterError("no address range 10.200.0.0/16 to 10.249.0.0/16 is free on this host")
