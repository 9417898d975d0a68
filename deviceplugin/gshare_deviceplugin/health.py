"""Whether a GPU may be given to containers: from its faults, and from whether it answers. Pure.

A fault is an XID, the driver's number for what happened. Some are the fault of the program that
ran, and say nothing of the GPU. Any other takes the GPU out of the inventory, and so does silence.
After silence it is taken back as soon as it answers; after a fault, when it has answered, without
a new one, for a quiet time; and after a fault that only a reset cures, not before the reset: until
the driver says that nothing is left to do, or, where a driver tells no such thing, until the GPU
was away in between, as it is while it is reset.

Times are seconds since the epoch, so that what is known can be written down for the next start.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

# NVIDIA, "XID Errors": faults that an application can cause, and those whose action is a reset.
APPLICATION_XIDS: Final = frozenset({13, 31, 43, 45, 68, 109})
RESET_XIDS: Final = frozenset({46, 48, 62, 64, 79, 95, 110, 119, 120, 136, 140, 143})
_XID_TEXTS: Final = {
    48: "double-bit ECC error",
    62: "internal micro-controller halt",
    74: "NVLink error",
    79: "fell off the bus",
    94: "contained ECC error",
    95: "uncontained ECC error",
    119: "GSP time-out",
    120: "GSP error",
    140: "unrecovered ECC error",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What a GPU showed when it was asked."""

    problem: str = ""
    """Why it did not answer; empty where it did."""
    must_reset: bool | None = None
    """Whether the driver asks for a reset; None where the driver does not tell."""
    unusable: str = ""
    """What makes it useless to us, although it is well: MIG."""


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of one GPU."""

    fault: str = ""
    """What the driver reported last; empty while it is well."""
    since_s: float = 0.0
    """When that was, or when it was last silent since."""
    needs_reset: bool = False
    silence: str = ""
    """Why it does not answer; empty where it does."""
    unusable: str = ""

    @property
    def is_healthy(self) -> bool:
        """Tell whether containers may be put on it."""
        return not (self.fault or self.silence or self.unusable)

    @property
    def note(self) -> str:
        """Say on one line why it is not healthy; empty where it is."""
        reset = "needs a reset" if self.needs_reset else ""
        return "; ".join(filter(None, (self.fault, reset, self.silence, self.unusable)))


def after_xid(health: Health, xid: int, now_s: float) -> Health:
    """Return what is known after a fault was reported."""
    if xid in APPLICATION_XIDS:
        return health
    text = f" ({_XID_TEXTS[xid]})" if xid in _XID_TEXTS else ""
    needs_reset = health.needs_reset or xid in RESET_XIDS
    return replace(health, fault=f"XID {xid}{text}", since_s=now_s, needs_reset=needs_reset)


def after_look(health: Health, look: Look, now_s: float, quiet_s: float) -> Health:
    """Return what is known after the GPU was asked whether it is there."""
    if look.problem:  # as it is while it is reset
        return replace(health, silence=f"NVML: {look.problem}", since_s=now_s, needs_reset=False)
    known = replace(health, silence="", unusable=look.unusable)
    if look.must_reset:
        fault = health.fault or "the driver asks for a reset"
        return replace(known, fault=fault, since_s=now_s, needs_reset=True)
    needs_reset = health.needs_reset and look.must_reset is None
    if not health.fault or needs_reset or now_s - health.since_s < quiet_s:
        return replace(known, needs_reset=needs_reset)
    return Health(unusable=look.unusable)


def encode(known: Mapping[str, Health]) -> dict[str, object]:
    """Return what is worth keeping over a restart: faults, by UUID."""
    return {uuid: asdict(health) for uuid, health in known.items() if health.fault}


def decode(raw: object) -> dict[str, Health]:
    """Return what `encode` gave; nothing where it makes no sense."""
    if not isinstance(raw, Mapping):
        return {}
    try:
        return {str(uuid): Health(**entry) for uuid, entry in raw.items()}
    except TypeError:
        return {}
