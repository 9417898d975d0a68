"""How the doors stand: one frozen value, which `__main__` makes of its flags."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gshare import names
from gshare.runtime.address import Address

GROUP: Final = "custom.metrics.k8s.io"
VERSIONS: Final = ("v1beta1", "v1beta2")
SERVING_SECRET: Final = f"{names.PART_AUTOSCALER}-serving"


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """The Service by which the API server finds this process."""

    namespace: str = names.NAMESPACE
    name: str = names.PART_AUTOSCALER
    port: int = 443
    """The Service's, not the process's."""

    def __str__(self) -> str:
        """Return NAMESPACE/NAME:PORT."""
        return f"{self.namespace}/{self.name}:{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the names that the serving certificate is for; the API server asks the first."""
        short = f"{self.name}.{self.namespace}.svc"
        return short, f"{short}.cluster.local", "localhost"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate that someone else renews, such as cert-manager; read anew as it changes."""

    certificate: Path
    key: Path
    authority: Path
    """Whose certificate the API server is to trust: the APIService's caBundle."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Which doors are open, and where."""

    api: Address | None = field(default=Address("0.0.0.0", names.PORT_AUTOSCALER_API))  # noqa: S104 (for the API server)
    """custom.metrics.k8s.io over TLS; None: not served, not registered."""
    keda: Address | None = field(default=Address("0.0.0.0", names.PORT_AUTOSCALER_KEDA))  # noqa: S104 (for KEDA)
    """KEDA's external scaler, gRPC without TLS; None: not served."""
    service: ServiceAddress = field(default_factory=ServiceAddress)
    """What the serving certificate and the APIServices name."""
    tls: TlsFiles | None = None
    """None: a certificate of our own, kept in the Secret `gshare-autoscaler-serving`."""
    registers: bool = True
    """Whether to create the APIServices where nobody else's stand."""
    threads: int = 8
    """Requests to the API answered at once: HPA's controller makes 5 by default, and more threads
    would wait for each other."""
    upkeep_s: float = 60.0
    """From look to look at the certificate and the APIServices, while nothing is wrong."""
