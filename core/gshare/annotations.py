"""What gshare's parts leave for each other on API objects.

A node's inventory, a pod's placement, and what of it a node has changed since. Each is JSON in one
annotation, written by one part and read by all. Reading is strict about what
decides (UUID, sizes) and ignores fields it does not know, so that a newer writer can add some.
Positions are not written: a layout follows from the set of functions on a GPU, and may change
whenever another function comes.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gshare import placement
from gshare.rectangles import Size, size_of

_USUAL_CLIENTS: Final = 48
MOST_GPUS: Final = 64
"""More than any server holds; the extender's index has room for so many of a node."""


@dataclass(frozen=True, slots=True)
class NodeGpu:
    """One GPU of a node's inventory. `note` says why it is not healthy."""

    uuid: str
    model: str
    sm_count: int
    memory_bytes: int
    max_clients: int = _USUAL_CLIENTS
    is_healthy: bool = True
    is_simulated: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a GPU without UUID, SMs or memory, with ValueError."""
        if not self.uuid or not self.uuid.isprintable():
            raise ValueError(f"uuid {self.uuid!r}: must be a name that prints on one line")
        for name in ("sm_count", "memory_bytes", "max_clients"):
            if getattr(self, name) < 1:
                raise ValueError(f"{self.uuid}: {name} {getattr(self, name)}: must be above 0")

    @property
    def gpu(self) -> placement.Gpu:
        """Return what placement needs to know of it."""
        return placement.Gpu(
            self.uuid, self.memory_bytes, self.sm_count, self.max_clients, self.is_healthy
        )


@dataclass(frozen=True, slots=True)
class PodPlacement:
    """Where a pod was put, as its annotation says: the GPU, the rectangle's sides, the memory."""

    gpu_uuid: str
    sm_percent: int
    quota_percent: int
    memory_bytes: int

    def __post_init__(self) -> None:
        """Refuse percentages outside 1-100, no GPU and no memory, with ValueError."""
        size_of(self.quota_percent, self.sm_percent)
        if not self.gpu_uuid or not self.gpu_uuid.isprintable():
            raise ValueError(f"gpu {self.gpu_uuid!r}: must be a UUID")
        if self.memory_bytes < 1:
            raise ValueError(f"memory {self.memory_bytes}: must be above 0")

    @property
    def size(self) -> Size:
        """Return the function rectangle."""
        return size_of(self.quota_percent, self.sm_percent)


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a pod's lease may change while it runs."""

    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int

    def __post_init__(self) -> None:
        """Refuse terms that no lease may have, with ValueError."""
        if not 1 <= self.quota_request_percent <= self.quota_limit_percent <= 100:
            raise ValueError(
                f"quota request {self.quota_request_percent}, limit {self.quota_limit_percent}: "
                "must be 1 <= request <= limit <= 100"
            )
        if self.memory_bytes < 1:
            raise ValueError(f"memory {self.memory_bytes}: must be above 0")


@dataclass(frozen=True, slots=True)
class Standing:
    """The terms of a pod that are in force, and the annotations that its node refused.

    `refused` has each as it stood, shortened (`terms.texts`); None where its removal was refused.
    """

    terms: Terms
    refused: Mapping[str, str | None] = field(default_factory=dict)


def encode_inventory(gpus: Sequence[NodeGpu]) -> str:
    """Return the value of a node's `gshare.io/gpus`."""
    return json.dumps([_gpu_entry(gpu) for gpu in gpus], separators=(",", ":"))


def decode_inventory(text: str) -> tuple[NodeGpu, ...]:
    """Return the GPUs that a node's `gshare.io/gpus` names; ValueError if it is not one."""
    entries = _parsed(text, list)
    gpus = tuple(_gpu(entry) for entry in entries)
    if len({gpu.uuid for gpu in gpus}) != len(gpus):
        raise ValueError("names a GPU twice")
    if len(gpus) > MOST_GPUS:
        raise ValueError(f"names {len(gpus)} GPUs: must be at most {MOST_GPUS}")
    return gpus


def encode_placement(placed: PodPlacement, mode: str = "") -> str:
    """Return the value of a pod's `gshare.io/placement`; `mode` is that of who placed it."""
    entry: dict[str, object] = {
        "gpu": placed.gpu_uuid,
        "sm": placed.sm_percent,
        "quota": placed.quota_percent,
        "memory": placed.memory_bytes,
    }
    entry |= {"mode": mode} if mode else {}
    return json.dumps(entry, separators=(",", ":"))


def decode_mode(text: str) -> str:
    """Return the mode that a pod's `gshare.io/placement` names, empty where it names none.

    It decides nothing about the pod: whoever foresees what the extender would do must know it.
    """
    try:
        return str(_parsed(text, dict).get("mode", ""))
    except ValueError:
        return ""


def decode_placement(text: str) -> PodPlacement:
    """Return the placement that a pod's `gshare.io/placement` says; ValueError if it is not one."""
    entry = _parsed(text, dict)
    return PodPlacement(
        sys.intern(_text(entry, "gpu")),
        _number(entry, "sm"),
        _number(entry, "quota"),
        _number(entry, "memory"),
    )


def encode_in_force(standings: Mapping[str, Standing]) -> str:
    """Return the value of a node's `gshare.io/in-force`, by pod UID."""
    entries = {uid: _standing_entry(standings[uid]) for uid in sorted(standings)}
    return json.dumps(entries, separators=(",", ":"))


def decode_in_force(text: str) -> dict[str, Standing]:
    """Return what a node's `gshare.io/in-force` says by pod UID; ValueError if it is not one."""
    return {uid: _standing(entry) for uid, entry in _parsed(text, dict).items()}


def decode_resident(text: str) -> dict[str, frozenset[str]]:
    """Return by GPU the models in its memory, as a node's `gshare.io/resident` says; ValueError."""
    found = _parsed(text, dict)
    for uuid, models in found.items():
        if not isinstance(models, list) or not all(isinstance(each, str) for each in models):
            raise ValueError(f"{uuid} {str(models)[:40]!r}: must be a list of names of models")
    return {uuid: frozenset(models) for uuid, models in found.items()}


def _standing_entry(standing: Standing) -> dict[str, object]:
    terms = standing.terms
    entry: dict[str, object] = {
        "quota": terms.quota_request_percent,
        "limit": terms.quota_limit_percent,
        "memory": terms.memory_bytes,
    }
    return entry | ({"refused": dict(standing.refused)} if standing.refused else {})


def _standing(entry: object) -> Standing:
    if not isinstance(entry, dict):
        raise ValueError(f"{str(entry)[:40]!r}: must be an object that describes terms")  # noqa: TRY004
    refused = entry.get("refused", {})
    if not isinstance(refused, dict):
        raise ValueError(f"refused {str(refused)[:40]!r}: must be an object")  # noqa: TRY004
    return Standing(
        Terms(_number(entry, "quota"), _number(entry, "limit"), _number(entry, "memory")),
        {key: None if text is None else str(text) for key, text in refused.items()},
    )


def _gpu_entry(gpu: NodeGpu) -> dict[str, object]:
    entry: dict[str, object] = {
        "uuid": gpu.uuid,
        "model": gpu.model,
        "sms": gpu.sm_count,
        "memory": gpu.memory_bytes,
        "clients": gpu.max_clients,
        "healthy": gpu.is_healthy,
    }
    if gpu.is_simulated:
        entry["simulated"] = True
    if gpu.note:
        entry["note"] = gpu.note
    return entry


def _gpu(entry: object) -> NodeGpu:
    if not isinstance(entry, dict):
        raise ValueError(f"{str(entry)[:40]!r}: must be an object that describes a GPU")  # noqa: TRY004
    return NodeGpu(
        uuid=sys.intern(_text(entry, "uuid")),
        model=sys.intern(_text(entry, "model")),
        sm_count=_number(entry, "sms"),
        memory_bytes=_number(entry, "memory"),
        max_clients=_number(entry, "clients"),
        is_healthy=entry.get("healthy") is not False,
        is_simulated=entry.get("simulated") is True,
        note=str(entry.get("note", "")),
    )


def _parsed(text: str, kind: type) -> Any:  # noqa: ANN401 (JSON comes in here)
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise ValueError(f"must be a JSON {'array' if kind is list else 'object'}")  # noqa: TRY004
    return value


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} {value!r}: must be a text")  # noqa: TRY004
    return value


def _number(entry: dict[str, Any], key: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{key} {value!r}: must be a whole number")  # noqa: TRY004
    return value
