"""What replicas of one GPU save by sharing a model's weights. Pure.

A replica that shares weights maps all of them and is charged for none: the model store keeps them
once. What it saves is what it maps less its part of that one copy, so that the savings of a model's
replicas add up to what they would hold more without the store. The store's own context is not in
it; `gpu_line` sets it off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gshare.units import memory_text

HEADINGS: Final = ("shared", "saved")
"""Of the columns that `cells` fills, where anything is shared."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one replica maps of memory that is another process's."""

    model: str | None
    """The name among all namespaces of the model that it announces, None without one."""
    shared_bytes: int | None
    """None where nobody tells."""


def saved_bytes(mapped: Mapping[str, Mapped], resident: Mapping[str, int]) -> dict[str, int | None]:
    """Return what each replica of a GPU saves, by its key; None where that cannot be known.

    `resident` are the bytes of the models that the GPU's store keeps, by name. Of a model that the
    store has let go, or that its restart forgot, the GPU still keeps what is mapped.
    """
    return {key: _saved(each, mapped.values(), resident) for key, each in mapped.items()}


def cells(shared_bytes: int | None, saved: int | None) -> tuple[str, str]:
    """Return what stands under HEADINGS; "-" where it is not known."""
    return _text(shared_bytes), _text(saved)


def _text(amount_bytes: int | None) -> str:
    return "-" if amount_bytes is None else memory_text(amount_bytes)


def _saved(replica: Mapped, beside: Iterable[Mapped], resident: Mapping[str, int]) -> int | None:
    if not replica.shared_bytes:
        return replica.shared_bytes
    if replica.model is None:  # memory of some other process, by CUDA IPC or its like
        return None
    sizes = [each.shared_bytes for each in beside if each.model == replica.model]
    users = [size for size in sizes if size]
    kept = resident.get(replica.model) or max(users)
    return max(0, replica.shared_bytes - -(-kept // len(users)))


def gpu_line(
    name: str, mapped: Iterable[Mapped], resident: Mapping[str, int], store_bytes: int
) -> str:
    """Return in one line what the store of the GPU called `name` saves, its context counted.

    Empty where no replica maps weights of a model: there is no store, or it keeps nothing.
    """
    sizes = [each.shared_bytes for each in mapped if each.model and each.shared_bytes]
    if not sizes or not resident:
        return ""
    kept, own = sum(resident.values()), memory_text(store_bytes)
    gain = sum(sizes) - kept - store_bytes
    verdict = "saves" if gain >= 0 else "takes more than it saves yet, by"
    replicas = "1 replica maps" if len(sizes) == 1 else f"{len(sizes)} replicas map"
    return (
        f"{name}: the model store keeps {memory_text(kept)} once and {own} for itself, "
        f"{replicas} {memory_text(sum(sizes))} of it: it {verdict} {memory_text(abs(gain))}"
    )
