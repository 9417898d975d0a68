"""What a model store may do and for whom: values that the node and the settings give. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gshare import models
from gshare.models import ModelShare

from . import protocol


@dataclass(frozen=True, slots=True)
class Identity:
    """Who connects: told by the socket, never by the client."""

    namespace: str
    pod: str = ""
    function: str = ""

    @property
    def text(self) -> str:
        """Return the name that logs use."""
        return f"{self.namespace}/{self.pod or self.function or '-'}"


@dataclass(frozen=True, slots=True)
class Model:
    """A key within its scope: the namespace that stored it, or "" for what all namespaces see."""

    scope: str
    key: str

    @classmethod
    def seen_from(cls, namespace: str, key: str) -> "Model":
        """Return what `key` means to a client of `namespace`."""
        return cls("" if protocol.is_shared(key) else namespace, key)

    @property
    def text(self) -> str:
        """Return the one name that it has among all scopes, as `gshare.io/resident` writes it."""
        return models.scoped(self.scope, self.key)


@dataclass(frozen=True, slots=True)
class Terms:
    """How much may be kept, and for whom. All that the node may change while the store runs."""

    device_bytes: int = 0
    """Of the GPU's memory: all that leases and their contexts leave over."""
    host_bytes: int = 0
    """Of the host's memory, for memfds."""
    quota_bytes: int | None = None
    """Of weights, each namespace; None: as much as fits."""
    shared_from: frozenset[str] = frozenset()
    """Namespaces that may store, drop and pin keys under `shared/`."""
    announced: Mapping[Model, int] = field(default_factory=dict)
    """Bytes that present leases announce: room for a model that no other model may take."""

    def __post_init__(self) -> None:
        """Refuse amounts below zero."""
        if self.device_bytes < 0 or self.host_bytes < 0:
            raise ValueError(f"device {self.device_bytes}, host {self.host_bytes}: not below 0")

    def may_write(self, identity: Identity, model: Model) -> bool:
        """Tell whether a client may store, drop and pin `model`, which it sees."""
        return bool(model.scope) or identity.namespace in self.shared_from


def announced(shares: Iterable[tuple[Identity, ModelShare]]) -> dict[Model, int]:
    """Return the room that leases ask for: of one model announced twice, the larger size."""
    room: dict[Model, int] = {}
    for identity, share in shares:
        model = Model.seen_from(identity.namespace, share.key)
        room[model] = max(room.get(model, 0), models.whole_granules(share.size_bytes or 0))
    return room
