"""How a node agent runs: one frozen value, read from flags and environment by `__main__` alone."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gshare import names
from gshare.runtime import stores

WINDOW_MS: Final = 40


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What all programs of a node's agent must agree on."""

    state: Path = Path("/run/gshare")
    """The node's state, on a memory file system, at the same path for agent and runtime."""
    native: str | None = None
    """The folder of compiled parts; None means those of this installation."""
    simulate: str | None = None
    """`v100` or `v100:2`: that many simulated GPUs in place of the real ones."""
    time_scale: int = 1
    """How many times slower than real simulated GPUs are; 1 is real time."""
    model_store: bool = True
    """Whether GPUs keep announced models once for all pods; off where cuda-bindings is missing."""

    @property
    def has_store(self) -> bool:
        """Tell whether this node's GPUs have model stores."""
        return self.model_store and stores.is_installed()

    @property
    def window_us(self) -> int:
        """Return the token window: 40 ms (DESIGN: short enough for latency), times the scale."""
        return WINDOW_MS * 1000 * self.time_scale


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """How the registrar runs."""

    node: NodeSettings
    kubelet: Path = Path("/var/lib/kubelet/device-plugins")
    """The kubelet's folder of plugin sockets."""
    units_per_gpu: int = 1600
    """Devices of each resource a GPU: the sums of what rectangles side by side and one after
    another ask, for 16 functions of 100 %; 16,000 a node cost the kubelet 25 ms a container."""


@dataclass(frozen=True, slots=True)
class StoreTerms:
    """What the model store of each GPU gets of the node."""

    context_bytes: int = stores.CONTEXT_BYTES
    """What its context takes of the GPU's memory; others have none of that. Measure it where GPU or
    driver differ from a V100's: `nvidia-smi` shows it for a store that keeps nothing."""
    host_bytes: int = stores.HOST_BYTES
    """Weights that it keeps in the host's memory at most, for when they come back to the GPU."""
    shared_from: tuple[str, ...] = ()
    """Namespaces that may store and drop what all namespaces see (keys under `shared/`)."""


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """How the device plugin runs."""

    node: NodeSettings
    node_name: str
    """The Node object that is ours."""
    pod_resources: Path = Path("/var/lib/kubelet/pod-resources/kubelet.sock")
    """The socket on which the kubelet says whose devices are whose."""
    cdi: Path = Path("/var/run/cdi")
    """Where the runtime reads CDI specs."""
    metrics_host: str = "0.0.0.0"  # noqa: S104 (a pod's own network)
    metrics_port: int = names.PORT_NODE_AGENT_METRICS
    """Where /metrics, /healthz and /readyz are served; 0 takes a free port."""
    hook: str = names.HOOK_PRELOAD
    """How containers whose pods do not say reach the hook: `preload`, or `shim` on nodes that run
    images which defeat a preload."""
    host_root: Path = Path("/")
    """Where the host's files lie for us; shims are made of the driver there."""
    store: StoreTerms = field(default_factory=StoreTerms)
    kubeconfig: Path | None = None
    """None means the pod's own service account, else the user's default kubeconfig."""
