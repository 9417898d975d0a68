"""A control plane without kubelets, its fake nodes, and its scheduler started in either form.

Nodes are objects that only the API knows, Ready from the start; nothing renews their leases, as no
node-lifecycle controller runs. Pods are bound and stay Pending. The controller-manager is not
needed for that and is stopped, so that nothing but scheduling uses the processors.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import yaml
from tests.cluster.harness import Api, Cluster, Process, Settings, wait
from tests.cluster.harness.control_plane import EXTENDER, ControlPlane
from tests.cluster.harness.settings import REPOSITORY

from gshare.errors import GshareError
from gshare.runtime.kube import ApiServer

from . import objects
from .objects import Object

STATE_DIR: Final = REPOSITORY / "build" / "cluster-bench"
PODS: Final = f"/api/v1/namespaces/{objects.NAMESPACE}/pods"
_SCHEDULER: Final = "kube-scheduler"
_CONTROLLERS: Final = "kube-controller-manager"
_SERVERS: Final = ("etcd", "kube-apiserver")
_EXTENDER_ENTRY: Final = REPOSITORY / "manifests" / "scheduler" / "extender-entry.yaml"
_RIGHTS: Final = ("namespace.yaml", "extender-rbac.yaml")
_READY_S: Final = 120.0
_CREATORS: Final = 8
# Admission taints nodes that have no kubelet, and wants a ServiceAccount that a controller makes.
_ADMISSION: Final = "--disable-admission-plugins=TaintNodesByCondition,ServiceAccount"

Report = Callable[[str], object]


class TrialError(GshareError):
    """A trial cannot go on; the text says why."""


class Rig:
    """One cluster for all trials with one number of nodes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.api = ApiServer.connect(cluster.kubeconfig)
        plane = ControlPlane(Settings(cluster.state_dir, nodes=0, gshare=True), cluster.addresses)
        self._commands = plane.commands()
        self._scheduler_flags = cluster.settings.extra_flags[_SCHEDULER]

    @classmethod
    def up(cls, nodes: int, report: Report) -> "Rig":
        """Bring a control plane up with that many nodes; removes what a killed run left."""
        if (STATE_DIR / "cluster.json").exists():
            Cluster.attach(STATE_DIR).down()
        cluster = Cluster.up(_settings(), report)
        try:
            rig = cls(cluster)
            rig.prepare(nodes)
        except BaseException:
            cluster.down()
            raise
        return rig

    def prepare(self, nodes: int) -> None:
        """Give the extender its rights, leave the servers alone, and create the nodes."""
        for name in (_SCHEDULER, _CONTROLLERS):
            self._cluster.processes[name].stop()
        files = [f"--filename={REPOSITORY / 'manifests' / 'base' / file}" for file in _RIGHTS]
        self._cluster.kubectl("apply", "--server-side", *files)
        self.create("/api/v1/nodes", [objects.node(number) for number in range(nodes)])

    def create(self, path: str, bodies: Sequence[Object]) -> None:
        """Create objects, several at once."""
        with ThreadPoolExecutor(_CREATORS) as pool:
            for _ in pool.map(lambda body: self.api.post(path, body), bodies):
                pass

    def start_extender(self) -> None:
        """Start the extender and return when it knows all pods and nodes."""
        extender = self._process(EXTENDER, self._commands[EXTENDER])
        extender.start()
        wait(lambda: self._is_ready(extender), _READY_S, "the extender is ready")

    def start_scheduler(self, *, has_extender: bool) -> None:
        """Start the scheduler; it begins with pods when it knows all nodes."""
        command = self._commands[_SCHEDULER]
        known = _config_of(command)
        extender = yaml.safe_load(_EXTENDER_ENTRY.read_text())["extenders"][0]
        settings = objects.scheduler_settings(
            yaml.safe_load(known.read_text()), extender if has_extender else None
        )
        own = self._cluster.state_dir / "kube-scheduler.yaml"
        own.write_text(yaml.safe_dump(settings))
        words = [f"--config={own}" if word == f"--config={known}" else word for word in command]
        self._process(_SCHEDULER, [*words, *self._scheduler_flags]).start()

    def clear(self) -> None:
        """Stop scheduler and extender, and remove all pods."""
        for name in (_SCHEDULER, EXTENDER):
            self._process(name, self._commands[name]).stop()
        self.api.delete(PODS, params={"gracePeriodSeconds": 0})
        wait(lambda: not self._cluster.api.items(PODS), _READY_S, "all pods are gone")

    def scheduler_metrics(self) -> str:
        """Return what the scheduler tells Prometheus."""
        return self._scheduler.text("/metrics")

    def extender_metrics(self) -> str:
        """Return what the extender tells Prometheus."""
        return self._text(10481, "/metrics")

    def pids(self) -> Mapping[str, int]:
        """Return the process ids of those that run, by name."""
        servers = {name: self._cluster.processes[name] for name in _SERVERS}
        ours = {name: self._process(name, self._commands[name]) for name in (_SCHEDULER, EXTENDER)}
        return {name: one.pid for name, one in (servers | ours).items() if one.is_running}

    def last_words(self) -> str:
        """Return the end of the scheduler's log."""
        return self._process(_SCHEDULER, self._commands[_SCHEDULER]).last_words(5)

    def _is_ready(self, extender: Process) -> bool:
        if not extender.is_running:
            raise TrialError(f"the extender has ended: {extender.last_words(5)}")
        return bool(self._text(10481, "/readyz"))

    def down(self) -> None:
        """End everything and remove every trace."""
        self._cluster.down()

    @property
    def _scheduler(self) -> Api:
        return self._api_at("https", 10259)

    def _text(self, port: int, path: str) -> str:
        return self._api_at("http", port).text(path)

    def _api_at(self, scheme: str, port: int) -> Api:
        plane = self._cluster.control_plane
        server = f"{scheme}://{self._cluster.addresses.control_plane}:{port}"
        return Api(server, plane.authority.certificate, plane.admin)

    def _process(self, name: str, command: Sequence[str]) -> Process:
        return self._cluster.machine.process(name, command, self._cluster.log_dir)


def _settings() -> Settings:
    """Return the wish for a control plane whose scheduler shows its metrics to who trusts us."""
    pair = STATE_DIR / "pki" / "kube-apiserver"
    serving = (f"--tls-cert-file={pair}.crt", f"--tls-private-key-file={pair}.key")
    return Settings(
        STATE_DIR,
        nodes=0,
        gshare=False,
        extra_flags={"kube-apiserver": (_ADMISSION,), _SCHEDULER: serving},
    )


def _config_of(command: Sequence[str]) -> Path:
    flag = "--config="
    return Path(next(word for word in command if word.startswith(flag)).removeprefix(flag))
