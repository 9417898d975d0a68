"""The JSON of gshare's annotations: text in, values out, and back.

Reading is strict about what decides (UUID, sizes) and ignores fields it does not know, so that a
newer writer can add some.
"""

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gshare.models import MOST_BYTES, ModelShare

from .values import NodeGpu, PodPlacement, Standing, Terms

MOST_GPUS: Final = 64
"""More than any server holds; the extender's index has room for so many of a node."""


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
    entry |= _model_entry(placed)
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


def decode_placement(text: str, namespace: str) -> PodPlacement:
    """Return the placement that a pod's `gshare.io/placement` says; ValueError if it is not one.

    `namespace` is that of the pod.
    """
    entry = _parsed(text, dict)
    placed = PodPlacement(
        sys.intern(_text(entry, "gpu")),
        _number(entry, "sm"),
        _number(entry, "quota"),
        _number(entry, "memory"),
        _model(entry, namespace) if "model" in entry else None,
        entry.get("own_weights") is True,
    )
    if placed.model is not None and placed.memory_bytes <= placed.own_weights_bytes:
        own = f"{placed.own_weights_bytes} of its own weights"
        raise ValueError(f"memory {placed.memory_bytes}: must be above the {own}")
    return placed


def encode_in_force(standings: Mapping[str, Standing]) -> str:
    """Return the value of a node's `gshare.io/in-force`, by pod UID."""
    entries = {uid: _standing_entry(standings[uid]) for uid in sorted(standings)}
    return json.dumps(entries, separators=(",", ":"))


def decode_in_force(text: str) -> dict[str, Standing]:
    """Return what a node's `gshare.io/in-force` says by pod UID; ValueError if it is not one."""
    return {uid: _standing(entry) for uid, entry in _parsed(text, dict).items()}


def encode_resident(resident: Mapping[str, Mapping[str, int]]) -> str:
    """Return the value of a node's `gshare.io/resident`: bytes by GPU and name of the model."""
    entries = {uuid: dict(sorted(resident[uuid].items())) for uuid in sorted(resident)}
    return json.dumps(entries, separators=(",", ":"))


def decode_resident(text: str) -> dict[str, Mapping[str, int]]:
    """Return the bytes of the models that stores keep, by GPU and name (`models.scoped`).

    ValueError where a node's `gshare.io/resident` is not that.
    """
    found = _parsed(text, dict)
    for uuid, models in found.items():
        if not isinstance(models, dict):
            raise ValueError(f"{uuid} {str(models)[:40]!r}: must be an object of models and bytes")  # noqa: TRY004
        for name, size in models.items():
            is_whole = isinstance(size, int) and not isinstance(size, bool)
            if not is_whole or not 0 <= size <= MOST_BYTES:
                raise ValueError(f"{uuid} {name} {str(size)[:40]!r}: must be bytes, 0 to 512Ti")
    return {uuid: dict(models) for uuid, models in found.items()}


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


def _model_entry(placed: PodPlacement) -> dict[str, object]:
    if placed.model is None:
        return {}
    entry: dict[str, object] = {"model": placed.model.key}
    if placed.model.size_bytes is not None:
        entry["weights"] = placed.model.size_bytes
    return entry | ({"own_weights": True} if placed.has_own_weights else {})


def _model(entry: dict[str, Any], namespace: str) -> ModelShare:
    key = _text(entry, "model")
    size_bytes = _number(entry, "weights") if "weights" in entry else None
    try:
        return _shared(key, size_bytes, namespace)
    except ValueError as error:
        raise ValueError(f"model {key[:40]!r}: {error}") from error


@functools.lru_cache(4096)
def _shared(key: str, size_bytes: int | None, namespace: str) -> ModelShare:
    """Return one value for all replicas of a function: they are a hundred thousand, of hundreds."""
    return ModelShare(key, size_bytes, namespace)


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
    if gpu.store_bytes is not None:
        entry["store"] = gpu.store_bytes
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
        store_bytes=_number(entry, "store") if "store" in entry else None,
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
