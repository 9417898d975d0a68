"""A node of the cluster: a machine with containerd, a kubelet and kube-proxy."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from . import binaries, packages, small_images
from .machine import Machine
from .process import Process
from .settings import Addresses
from .waiting import wait

CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"
_PATIENCE_S: Final = 30.0
_IMPORT_PATIENCE_S: Final = 600.0

BINDS: Final = {
    "/var/lib/kubelet": "kubelet",
    "/var/log/pods": "pod-logs",
}

# What a kubelet insists on, or else sets for the whole host: the node gets its own copies.
_SYSCTLS: Final = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}

_CONTAINERD: Final = """\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause}"

[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE no score can be lowered, and runc would fail for every sandbox.
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{cni_bin}"]
  conf_dir = "{cni_conf}"
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One node; `index` counts from 1."""

    index: int
    machine: Machine
    addresses: Addresses
    kubeconfig: Path
    proxy_kubeconfig: Path
    log_dir: Path

    @property
    def name(self) -> str:
        """The name of its Node object."""
        return self.machine.name

    @property
    def address(self) -> str:
        """Its InternalIP, which the host reaches too."""
        return self.addresses.node(self.index)

    @property
    def gshare_dir(self) -> Path:
        """The node's /run/gshare, as a path on the host."""
        return self.machine.root / "run" / "gshare"

    @property
    def cdi_dir(self) -> Path:
        """The node's /run/cdi, as a path on the host."""
        return self.machine.root / "run" / "cdi"

    @property
    def cgroup(self) -> str:
        """The control group that its pods are in."""
        return f"{self.addresses.cgroup}/{self.name}"

    @property
    def containerd(self) -> Process:
        """The container runtime."""
        program = binaries.path_of(binaries.CONTAINERD, "containerd")
        return self._process("containerd", [str(program), "--config", str(self._file("toml"))])

    @property
    def kubelet(self) -> Process:
        """The kubelet."""
        # Like a unit that comes after containerd's: without a runtime a kubelet ends at once.
        ready = shlex.join([*self._ctr, "version"])
        command = [
            "sh",
            "-c",
            f'until {ready} >/dev/null 2>&1; do sleep 0.1; done; exec "$0" "$@"',
            str(binaries.path_of(binaries.KUBERNETES, "kubelet")),
            f"--config={self._file('yaml')}",
            f"--kubeconfig={self.kubeconfig}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
        ]
        return self._process("kubelet", command)

    @property
    def kube_proxy(self) -> Process:
        """What makes Services work, that of the API server too."""
        command = [
            str(binaries.path_of(binaries.KUBERNETES, "kube-proxy")),
            f"--kubeconfig={self.proxy_kubeconfig}",
            f"--hostname-override={self.name}",
            f"--cluster-cidr={self.addresses.all}",
            "--proxy-mode=iptables",
            # The host's connection tracking stays as it is.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ]
        return self._process("kube-proxy", command)

    @property
    def processes(self) -> tuple[Process, ...]:
        """All of them, in the order in which they start."""
        return self.containerd, self.kubelet, self.kube_proxy

    def run_in(self, command: Sequence[str | Path], timeout_s: float = 120) -> str:
        """Run a command on the node, as its root, and return what it prints."""
        return self.machine.run(command, timeout_s=timeout_s)

    def ctr(self, *words: str, timeout_s: float = 120) -> str:
        """Run containerd's own command line, in the name space of Kubernetes' containers."""
        return self.machine.run([*self._ctr, *words], timeout_s=timeout_s)

    def import_image(self, archive: Path) -> None:
        """Give the node an image from a docker-archive or OCI archive."""
        self.ctr("images", "import", str(archive), timeout_s=_IMPORT_PATIENCE_S)

    def wait_for_containerd(self) -> None:
        """Return when the runtime answers."""
        wait(lambda: self.ctr("version"), _PATIENCE_S, f"containerd on {self.name} answers")

    def write_files(self, authority: Path, serving: tuple[Path, Path]) -> None:
        """Write the configurations of containerd, kubelet and network."""
        self._cni_dir.mkdir(parents=True, exist_ok=True)
        self._file("toml").write_text(
            _CONTAINERD.format(
                pause=small_images.PAUSE,
                cni_bin=packages.CNI_DIR,
                cni_conf=self._cni_dir,
            )
        )
        self._file("yaml").write_text(yaml.safe_dump(self._kubelet_config(authority, serving)))
        network = json.dumps(_network(self.addresses.pods(self.index)))
        (self._cni_dir / "10-gshare.conflist").write_text(network)

    def _process(self, name: str, command: Sequence[str]) -> Process:
        return self.machine.process(name, command, self.log_dir)

    def _file(self, suffix: str) -> Path:
        return self.machine.folder / f"config.{suffix}"

    @property
    def _ctr(self) -> tuple[str, ...]:
        program = str(binaries.path_of(binaries.CONTAINERD, "ctr"))
        return (program, "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io")

    @property
    def _cni_dir(self) -> Path:
        return self.machine.folder / "cni"

    def _kubelet_config(self, authority: Path, serving: tuple[Path, Path]) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(authority)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(serving[0]),
            "tlsPrivateKeyFile": str(serving[1]),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "oomScoreAdj": 0,
            # Disk and memory are the host's, and how full they are is no matter of the cluster's.
            "evictionHard": {
                "memory.available": "50Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
            "maxPods": 250,
            "resolvConf": "",
        }


def setup_lines() -> list[str]:
    """Return the shell lines that make a machine ready to be a node."""
    lines = [
        # In memory, images are quick to import and gone at once with the node.
        "mkdir -p /var/lib/containerd && mount -t tmpfs tmpfs /var/lib/containerd",
        "mkdir -p /run/.machine/sysctl",
    ]
    for number, (key, value) in enumerate(_SYSCTLS.items()):
        own = f"/run/.machine/sysctl/{number}"
        lines.append(f"echo {value} > {own} && mount --bind {own} /proc/sys/{key}")
    return lines


def _network(subnet: str) -> dict[str, object]:
    return {
        "cniVersion": "1.0.0",
        "name": "gshare",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": subnet}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni/networks",
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
