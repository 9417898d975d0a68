"""What a test cluster is made of: versions, size, places, addresses."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .errors import ClusterError

REPOSITORY: Final = Path(__file__).resolve().parents[3]
STATE_DIR: Final = REPOSITORY / "build" / "cluster"

_MOST_NODES: Final = 9
_HIDDEN: Final = ("/etc", "/var/lib", "/var/log", "/run", "/var/run", "/dev", "/proc", "/sys")


@dataclass(frozen=True, slots=True)
class Settings:
    """A wish for a cluster."""

    state_dir: Path = STATE_DIR
    """Holds everything the cluster keeps; it is removed with the cluster."""
    nodes: int = 1
    """Number of real kubelets; each offers the whole machine's processors and memory.

    None is a control plane alone, for nodes that only its API knows.
    """
    gshare: bool = True
    """Whether the scheduler asks gshare's extender, which then runs beside it."""
    controllers: tuple[str, ...] = ("*",)
    """The controller-manager's --controllers; without node-lifecycle, nodes may lack a kubelet."""
    scheduler_config: Path | None = None
    """A KubeSchedulerConfiguration; None takes the one in the manifests."""
    extra_flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Further command-line flags by process name, such as `kube-apiserver`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 <= self.nodes <= _MOST_NODES:
            raise ClusterError(f"nodes is {self.nodes}; it must be 0 to {_MOST_NODES}")
        folder = str(self.state_dir.resolve())
        for hidden in _HIDDEN:
            if folder == hidden or folder.startswith(hidden + "/"):
                raise ClusterError(
                    f"state_dir {folder} is hidden in a node, which has its own "
                    f"{hidden}; choose another folder"
                )


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one cluster: all in 10.<number>.0.0/16, so clusters stand side by side."""

    number: int

    @property
    def bridge(self) -> str:
        """The host's network interface of this cluster; making it claims the number."""
        return f"gshare{self.number}"

    @property
    def all(self) -> str:
        """The range that holds everything of the cluster."""
        return f"10.{self.number}.0.0/16"

    @property
    def cgroup(self) -> str:
        """The control group below which all pods of this cluster are."""
        return f"gshare{self.number}"

    @property
    def host(self) -> str:
        """The host, as the cluster sees it."""
        return f"10.{self.number}.0.1"

    @property
    def control_plane(self) -> str:
        """The machine that runs etcd, API server, controller-manager, scheduler and extender."""
        return f"10.{self.number}.0.2"

    def node(self, index: int) -> str:
        """Return the address of node `index`, counted from 1."""
        return f"10.{self.number}.0.{10 + index}"

    def pods(self, index: int) -> str:
        """Return the subnet of the pods of node `index`."""
        return f"10.{self.number}.{index}.0/24"

    @property
    def services(self) -> str:
        """The range of Service addresses."""
        return f"10.{self.number}.240.0/20"

    @property
    def kubernetes_service(self) -> str:
        """The address at which pods find the API server."""
        return f"10.{self.number}.240.1"

    @property
    def api_server(self) -> str:
        """The API server's URL for everyone outside of pods."""
        return f"https://{self.control_plane}:6443"
