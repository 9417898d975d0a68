"""How an autoscaler runs: one frozen value, read from flags by `__main__` alone."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gshare import names
from gshare.runtime.address import Address
from gshare.scaling import ControllerSettings

from .doors import DoorSettings

_WINDOW: Final = re.compile(r"[1-9][0-9]*(ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """How Prometheus is asked, or what answers in its place (Thanos, Mimir, VictoriaMetrics)."""

    url: str = "http://prometheus-server.monitoring"
    """Of the API, without /api/v1."""
    token_file: Path | None = None
    """A bearer token; read for each request, since such files rotate."""
    ca_file: Path | None = None
    """Whom to trust for https; None: what the machine trusts."""
    timeout_s: float = 5.0
    """For one query; below the interval of the rounds, or a round waits for the last."""
    stale_s: float = 60.0
    """How old a value may be. Clocks that differ by more count as stale data too."""
    window: str = "30s"
    """$window of the queries. Four scrapes or more: one may fail, and a rate needs two of them."""

    def __post_init__(self) -> None:
        """Refuse a URL or a window that cannot be asked with, with ValueError."""
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{self.url!r}: must begin with http:// or https://")
        if _WINDOW.fullmatch(self.window) is None:
            raise ValueError(f"{self.window!r}: must be a time such as 30s or 1m")


@dataclass(frozen=True, slots=True)
class AutoscalerSettings:
    """Defaults suit HPA's own interval of 15 s and Prometheus's usual ones of 15 to 30 s."""

    metrics: Address = field(default=Address("0.0.0.0", names.PORT_AUTOSCALER_METRICS))  # noqa: S104 (for Prometheus)
    """Where /metrics, /healthz, /readyz and /v1/functions are."""
    doors: DoorSettings = field(default_factory=DoorSettings)
    """Who is answered, and where."""
    kubeconfig: Path | None = None
    """None: the pod's service account, else the default kubeconfig."""
    prometheus: PrometheusSettings = field(default_factory=PrometheusSettings)
    interval_s: float = 5.0
    """From decision to decision: a third of HPA's interval, and one query a function."""
    hold_s: float = 300.0
    """How long the last good answer stands without a new one: as long as HPA's own memory."""
    scaling: ControllerSettings = field(default_factory=ControllerSettings)
    """How eager, where a function does not say it itself."""
    patience_s: float = 15.0
    """How long data may be missing before an event tells of it: a new function has none yet."""
    queries: int = 8
    """How many queries are under way at once."""
    costs_s: float = 15.0
    """From look to look at which replica should leave first; 0: never."""
    threads: int = 8
    """Of the public pages."""
