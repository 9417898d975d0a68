"""The weights that a store keeps, by digest and by key, and who uses which copy. Pure.

A content is weights of one digest within one scope. Several keys may name it; it has a copy on the
GPU, in the host's memory, or both. A copy is used by the clients that were given it, each under the
keys by which it asked. A content whose last copy goes is gone, and its keys with it; one whose last
key goes is an orphan, and goes with its last user.
"""

from dataclasses import dataclass, field

from .instructions import ContentId
from .protocol import Tier
from .terms import Model


@dataclass(slots=True)
class Copy:
    """Weights in one tier: what they take there, and who uses them, by which keys."""

    size_bytes: int
    is_ready: bool
    """False while the server copies to the GPU."""
    last_use: int = 0
    users: dict[int, set[Model]] = field(default_factory=dict)


@dataclass(slots=True)
class Content:
    """Weights of one digest in one scope."""

    identity: ContentId
    owner: str
    """The namespace that stored it first, in whose quota it counts."""
    content_bytes: int
    device_bytes: int
    """What a copy on the GPU takes."""
    trouble: str = ""
    """Why the GPU does not take it, where that is for another reason than memory."""
    copies: dict[Tier, Copy] = field(default_factory=dict)
    models: set[Model] = field(default_factory=set)

    @property
    def users(self) -> set[int]:
        """The clients that hold a reference, on any copy."""
        return {client for copy in self.copies.values() for client in copy.users}

    @property
    def is_busy(self) -> bool:
        """Whether the server copies it right now."""
        return any(not copy.is_ready for copy in self.copies.values())

    @property
    def last_use(self) -> int:
        """When any copy was last used."""
        return max(copy.last_use for copy in self.copies.values())

    def ready(self, tier: Tier) -> Copy | None:
        """Return the copy that can be given away in `tier`."""
        copy = self.copies.get(tier)
        return copy if copy is not None and copy.is_ready else None

    def size_bytes(self, tier: Tier) -> int:
        """Return what a copy in `tier` takes."""
        return self.device_bytes if tier is Tier.DEVICE else self.content_bytes


class Contents:
    """All contents of a store. Each change keeps keys, digests and sums in agreement."""

    def __init__(self) -> None:
        self._by_id: dict[ContentId, Content] = {}
        self._by_model: dict[Model, Content] = {}
        self._pinned: set[Model] = set()
        self._orphans: set[ContentId] = set()
        self._held: dict[int, set[ContentId]] = {}
        self._used = {Tier.DEVICE: 0, Tier.HOST: 0}
        self._clock = 0

    @property
    def all(self) -> tuple[Content, ...]:
        """All contents, in the order in which they came."""
        return tuple(self._by_id.values())

    @property
    def models(self) -> tuple[tuple[Model, Content], ...]:
        """All keys and what they name, in the order in which they came."""
        return tuple(self._by_model.items())

    @property
    def orphans(self) -> tuple[Content, ...]:
        """The contents that no key names."""
        return tuple(self._by_id[each] for each in self._orphans)

    def of(self, model: Model) -> Content | None:
        """Return what a key names."""
        return self._by_model.get(model)

    def find(self, identity: ContentId) -> Content | None:
        """Return the content of a digest in a scope."""
        return self._by_id.get(identity)

    def keys_of(self, scope: str) -> int:
        """Return how many keys a scope has."""
        return sum(model.scope == scope for model in self._by_model)

    def owned_bytes(self, owner: str) -> int:
        """Return the bytes of weights that count in a namespace's quota."""
        return sum(each.content_bytes for each in self._by_id.values() if each.owner == owner)

    def used_bytes(self, tier: Tier) -> int:
        """Return what all copies of a tier take."""
        return self._used[tier]

    def add_copy(self, content: Content, tier: Tier, *, is_ready: bool) -> None:
        """Note a copy of a content, which may be new."""
        self._by_id[content.identity] = content
        if not content.models:
            self._orphans.add(content.identity)
        content.copies[tier] = Copy(content.size_bytes(tier), is_ready)
        self._used[tier] += content.size_bytes(tier)
        self._touch(content.copies[tier])

    def drop_copy(self, content: Content, tier: Tier) -> None:
        """Give up a copy; with the last one goes the content, and its keys."""
        self._used[tier] -= content.copies.pop(tier).size_bytes
        if content.copies:
            return
        for model in tuple(content.models):
            self.unbind(model)
        del self._by_id[content.identity]
        self._orphans.discard(content.identity)

    def bind(self, model: Model, content: Content) -> None:
        """Let a key name a content that has a copy, and nothing else."""
        if self._by_model.get(model) is content:
            return
        self.unbind(model)
        self._by_model[model] = content
        content.models.add(model)
        self._orphans.discard(content.identity)

    def unbind(self, model: Model) -> None:
        """Forget a key."""
        content = self._by_model.pop(model, None)
        self._pinned.discard(model)
        if content is None:
            return
        content.models.discard(model)
        if not content.models:
            self._orphans.add(content.identity)

    def pin(self, model: Model, *, is_pinned: bool) -> None:
        """Keep what a key names from being evicted for others, or no longer."""
        if is_pinned:
            self._pinned.add(model)
        else:
            self._pinned.discard(model)

    def is_pinned(self, content: Content) -> bool:
        """Tell whether any of its keys is pinned."""
        return not self._pinned.isdisjoint(content.models)

    def use(self, content: Content, tier: Tier, client: int, model: Model) -> None:
        """Note that a client was given a copy, by a key."""
        copy = content.copies[tier]
        copy.users.setdefault(client, set()).add(model)
        self._held.setdefault(client, set()).add(content.identity)
        self._touch(copy)

    def release(self, client: int, model: Model | None = None, digest: bytes | None = None) -> None:
        """Take back a client's references: all, those by a key, or those by it on a digest."""
        held = self._held.get(client, set())
        for identity in tuple(held):
            content = self._by_id[identity]
            if digest is None or identity.digest == digest:
                for copy in content.copies.values():
                    self._release(copy, client, model)
            if client not in content.users:
                held.discard(identity)
        if not held:
            self._held.pop(client, None)

    def _release(self, copy: Copy, client: int, model: Model | None) -> None:
        held = copy.users.get(client)
        if held is None:
            return
        held -= {model} if model is not None else set(held)
        if not held:
            del copy.users[client]
            self._touch(copy)

    def _touch(self, copy: Copy) -> None:
        self._clock += 1
        copy.last_use = self._clock
