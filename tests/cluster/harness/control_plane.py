"""The processes of the control plane, as command lines and files; nothing is started here."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from gshare import names

from . import binaries
from .certificates import Authority, Pair, kubeconfig, signing_key
from .settings import REPOSITORY, Addresses, Settings

EXTENDER: Final = "gshare-extender"
EXTENDER_URL: Final = "http://127.0.0.1:10480"
EXTENDER_PROGRAM: Final = Path(sys.executable).parent / EXTENDER
_MANIFEST: Final = REPOSITORY / "manifests" / "scheduler"
_CONFIG_KIND: Final = "KubeSchedulerConfiguration"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Files and command lines of one cluster's control plane."""

    settings: Settings
    addresses: Addresses

    @property
    def pki(self) -> Path:
        """The folder of keys and certificates."""
        return self.settings.state_dir / "pki"

    @property
    def authority(self) -> Authority:
        """Signs for everyone but the front proxy."""
        return Authority(self.pki, "ca")

    @property
    def admin(self) -> Pair:
        """The certificate of the cluster's administrator."""
        return Pair(self.pki / "admin.crt", self.pki / "admin.key")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.settings.state_dir / "kubeconfig"

    def write_files(self) -> None:
        """Make all keys, certificates, kubeconfigs and configurations."""
        self.pki.mkdir(parents=True, exist_ok=True)
        self.authority.create()
        self._serving_files()
        self._client("admin", "gshare-test-admin", "system:masters", self.kubeconfig)
        controllers = "kube-controller-manager"
        self._client(controllers, f"system:{controllers}")
        self._client("kube-scheduler", "system:kube-scheduler")
        self._client("kube-proxy", "system:kube-proxy")
        # The name its ServiceAccount has, so that the RBAC of the manifests holds for it too.
        account = f"system:serviceaccount:{names.NAMESPACE}:{names.PART_EXTENDER}"
        self._client(EXTENDER, account, "system:serviceaccounts")
        self._scheduler_config.write_text(yaml.safe_dump(self._scheduler_settings()))

    def client(self, name: str, user: str, group: str, hosts: tuple[str, ...] = ()) -> Path:
        """Make a client's certificate and return its kubeconfig."""
        return self._client(name, user, group, hosts=hosts)

    def kubeconfig_of(self, name: str) -> Path:
        """Return the kubeconfig of a client by the name of its certificate."""
        return self.pki / f"{name}.kubeconfig"

    def commands(self) -> Mapping[str, tuple[str, ...]]:
        """Return each process's command line by name, in the order in which they start."""
        found = {
            "etcd": self._etcd(),
            "kube-apiserver": self._api_server(),
            "kube-controller-manager": self._controller_manager(),
        }
        if self.settings.gshare:
            found[EXTENDER] = self._extender()
        found["kube-scheduler"] = (
            self._kubernetes("kube-scheduler"),
            f"--config={self._scheduler_config}",
            f"--authentication-kubeconfig={self.kubeconfig_of('kube-scheduler')}",
            f"--authorization-kubeconfig={self.kubeconfig_of('kube-scheduler')}",
        )
        more = self.settings.extra_flags
        return {name: (*command, *more.get(name, ())) for name, command in found.items()}

    def _serving_files(self) -> None:
        front = Authority(self.pki, "front-proxy-ca")
        front.create()
        front.issue("front-proxy-client", "front-proxy-client")
        local = ("127.0.0.1", "localhost", self.addresses.control_plane)
        service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
        hosts = (*local, *service, self.addresses.kubernetes_service)
        self.authority.issue("kube-apiserver", "kube-apiserver", hosts=hosts)
        self.authority.issue("kubelet-client", "kube-apiserver", "system:masters")
        signing_key(self.pki, "service-accounts")

    def _client(
        self,
        name: str,
        user: str,
        group: str | None = None,
        path: Path | None = None,
        hosts: tuple[str, ...] = (),
    ) -> Path:
        pair = self.authority.issue(name, user, group, hosts)
        target = self.kubeconfig_of(name) if path is None else path
        return kubeconfig(target, self.addresses.api_server, self.authority.certificate, pair)

    @property
    def _scheduler_config(self) -> Path:
        return self.pki / "kube-scheduler.yaml"

    def _etcd(self) -> tuple[str, ...]:
        """Return etcd's command line; its data is in the machine's memory, where fsync is free."""
        return (
            "etcd",
            "--name=gshare",
            "--data-dir=/run/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=gshare=http://127.0.0.1:2380",
            "--log-level=warn",
            "--logger=zap",
        )

    def _api_server(self) -> tuple[str, ...]:
        pki = self.pki
        return (
            self._kubernetes("kube-apiserver"),
            f"--advertise-address={self.addresses.control_plane}",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--service-cluster-ip-range={self.addresses.services}",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={self.authority.certificate}",
            f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
            f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
            f"--kubelet-certificate-authority={self.authority.certificate}",
            f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'service-accounts.pub'}",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
            *self._aggregation(),
        )

    def _aggregation(self) -> tuple[str, ...]:
        """Return what lets aggregated APIs, such as custom metrics, be registered later."""
        pki = self.pki
        return (
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
            "--enable-aggregator-routing=true",
        )

    def _controller_manager(self) -> tuple[str, ...]:
        config = self.kubeconfig_of("kube-controller-manager")
        return (
            self._kubernetes("kube-controller-manager"),
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            f"--controllers={','.join(self.settings.controllers)}",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--root-ca-file={self.authority.certificate}",
            f"--service-account-private-key-file={self.pki / 'service-accounts.key'}",
            "--horizontal-pod-autoscaler-sync-period=2s",
            "--kube-api-qps=100",
            "--kube-api-burst=200",
        )

    def _extender(self) -> tuple[str, ...]:
        return (
            str(EXTENDER_PROGRAM),
            "--listen=127.0.0.1:10480",
            "--metrics=:10481",
            f"--kubeconfig={self.kubeconfig_of(EXTENDER)}",
        )

    def _kubernetes(self, program: str) -> str:
        return str(binaries.path_of(binaries.KUBERNETES, program))

    def _scheduler_settings(self) -> dict[str, Any]:
        """Return the scheduler's configuration: the manifests', bound to this cluster."""
        found = self._configured() or _default_configuration()
        found["clientConnection"] = {
            **found.get("clientConnection", {}),
            "kubeconfig": str(self.kubeconfig_of("kube-scheduler")),
        }
        # One scheduler alone; a restarted one starts work at once instead of waiting for a lease.
        found["leaderElection"] = {"leaderElect": False}
        if not self.settings.gshare:
            found.pop("extenders", None)
        return found

    def _configured(self) -> dict[str, Any] | None:
        given = self.settings.scheduler_config
        files = [given] if given is not None else sorted(_MANIFEST.glob("*.yaml"))
        for file in files:
            for document in yaml.safe_load_all(file.read_text()):
                if isinstance(document, dict) and document.get("kind") == _CONFIG_KIND:
                    return document
        return None


def _default_configuration() -> dict[str, Any]:
    resources = (names.RESOURCE_SM, names.RESOURCE_QUOTA)
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": _CONFIG_KIND,
        "percentageOfNodesToScore": 100,
        "extenders": [
            {
                "urlPrefix": EXTENDER_URL,
                "filterVerb": "filter",
                "prioritizeVerb": "prioritize",
                "preemptVerb": "preempt",
                "bindVerb": "bind",
                "weight": 100,
                "nodeCacheCapable": True,
                "httpTimeout": "10s",
                "managedResources": [
                    {"name": name, "ignoredByScheduler": True} for name in resources
                ],
            }
        ],
    }
