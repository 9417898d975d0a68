"""How an extender runs: one frozen value, read from flags by `__main__` alone."""

from dataclasses import dataclass, field
from pathlib import Path

from gshare import modes, policies
from gshare.runtime.address import Address


@dataclass(frozen=True, slots=True)
class ExtenderSettings:
    """Defaults suit a KubeSchedulerConfiguration with `httpTimeout: 10s`."""

    listen: Address = field(default=Address("127.0.0.1", 10480))
    """Where the scheduler asks: loopback, since whoever asks can bind pods."""
    metrics: Address = field(default=Address("0.0.0.0", 10481))  # noqa: S104 (for Prometheus)
    """Where /metrics, /healthz, /readyz and /v1/cluster are."""
    kubeconfig: Path | None = None
    """None: the pod's service account, else the default kubeconfig."""
    mode: str = modes.RECT.name
    """How a GPU is shared: `rect`, in which every admitted set gets its quota, or `sliced`."""
    policy: str = policies.BINPACK
    """Which GPU is preferred where a pod's annotation says nothing: a key of policies.POLICIES."""
    filter_nodes: int = 16
    """How many nodes filter offers. More leave other plugins more choice, and cost time."""
    threads: int = 16
    """Connections served at once: binds that wait for the API server, other verbs beside them."""
    idle_timeout_s: int = 120
    """Above the 90 s for which Go keeps an idle connection."""
    reservation_s: float = 30.0
    """How long a filtered pod's place is held: volumes are bound before the pod is."""
    bind_s: float = 8.0
    """Own deadline of a bind, below httpTimeout, so that the scheduler hears what came of it."""
    uncertain_s: float = 60.0
    """How long a place is held whose bind was sent and not seen yet; longer than any request."""
    nomination_s: float = 60.0
    """How long a place is held for the pod for which others were evicted, once they have left."""
    tick_s: float = 0.5
    """How often reservations expire and problems are looked at."""
    touch_interval_s: float = 1.0
    """Shortest time between two touches of one node."""
