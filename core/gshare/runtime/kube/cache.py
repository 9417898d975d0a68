"""The objects that a list and its watch have shown, and what each step changed.

The rule: whoever applies the changes in order to an empty map holds what the API server held at
the version last seen. A name whose object was replaced while nobody looked (another UID) is
dropped and put; an object that is the same as before (same version) makes no change.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from .objects import Meta


class HasMeta(Protocol):
    """An object of the API."""

    @property
    def metadata(self) -> Meta:
        """Return who it is."""


T = TypeVar("T", bound=HasMeta)
Verb = Literal["put", "drop"]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One object that is new or different ("put") or gone ("drop", as it last was)."""

    verb: Verb
    item: T


class Cache(Generic[T]):
    """What is known; `keeps` says which objects matter, all others are as if not there."""

    def __init__(self, keeps: Callable[[T], bool] = lambda _: True) -> None:
        self._keeps = keeps
        self._items: dict[Key, T] = {}

    def items(self) -> tuple[T, ...]:
        """Return all objects."""
        return tuple(self._items.values())

    def find(self, namespace: str, name: str) -> T | None:
        """Return the object of that name, or None."""
        return self._items.get((namespace, name))

    def replace(self, listed: Iterable[T]) -> list[Change[T]]:
        """Take over a whole list; return the drops first, then the puts."""
        fresh = {_key(item): item for item in listed if self._keeps(item)}
        gone = [key for key in self._items if key not in fresh]
        changes = [Change("drop", self._items.pop(key)) for key in gone]
        for item in fresh.values():
            changes += self.put(item)
        return sorted(changes, key=lambda change: change.verb != "drop")

    def put(self, item: T) -> list[Change[T]]:
        """Take over one object that was added or modified."""
        if not self._keeps(item):
            return self.drop(item)
        key = _key(item)
        known = self._items.get(key)
        if known is not None and _is_same(known, item):
            return []
        self._items[key] = item
        is_replaced = known is not None and known.metadata.uid != item.metadata.uid
        drops = [Change("drop", known)] if known is not None and is_replaced else []
        return [*drops, Change("put", item)]

    def drop(self, item: T) -> list[Change[T]]:
        """Take away one object that was deleted; its last state is what the change shows."""
        known = self._items.pop(_key(item), None)
        if known is None:
            return []
        is_last = known.metadata.uid == item.metadata.uid
        return [Change("drop", item if is_last else known)]


def _key(item: HasMeta) -> Key:
    meta = item.metadata
    return meta.namespace, meta.name


def _is_same(known: HasMeta, item: HasMeta) -> bool:
    was, now = known.metadata, item.metadata
    return was.uid == now.uid and was.resource_version == now.resource_version != ""
