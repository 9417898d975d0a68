"""Who makes room for whom. Pure.

A copy may go when nobody uses it and the server does not copy its weights just now. A pinned one
goes only when the budget itself shrinks: a budget is a promise to the leases of the GPU, a pin the
wish of one namespace. Of those that may go, the least recently used goes first; but those that cost
least before the others: in the host's memory what lies on the GPU too, on the GPU what no present
lease announces.

A lease that announces a model has room for it on the GPU; others get only what is left beside all
such promises:

    kept and may not go + unfilled promises of other models + wanted <= budget

A model within its own promise need not leave others theirs: the scheduler has charged for it.
Example, in GiB: budget 10; A is announced with 6 and not there yet; B, whom nobody announces, wants
5. It is refused, as 6 + 5 > 10, though all 10 are free. Once A's lease has gone, B fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .contents import Content, Contents
from .protocol import Tier
from .terms import Model, Terms


@dataclass(frozen=True, slots=True)
class Wish:
    """Memory of a tier, wanted for a model."""

    model: Model
    tier: Tier
    size_bytes: int


def budget_bytes(terms: Terms, tier: Tier) -> int:
    """Return what a tier may hold."""
    return terms.device_bytes if tier is Tier.DEVICE else terms.host_bytes


def make(contents: Contents, terms: Terms, wish: Wish) -> Sequence[Content] | None:
    """Return whose copies must go for a wish; None where it does not fit even so."""
    room = budget_bytes(terms, wish.tier) - unfilled_bytes(contents, terms, wish)
    return _enough(contents, wish.tier, room - wish.size_bytes, evictable(contents, terms, wish))


def spare(contents: Contents, terms: Terms, size_bytes: int) -> Sequence[Content] | None:
    """Return whose copies go for a second copy in the host's memory: only ones that are such too.

    None where there is no room without losing weights.
    """
    order = [each for each in _in_order(contents, terms, Tier.HOST) if len(each.copies) > 1]
    return _enough(contents, Tier.HOST, terms.host_bytes - size_bytes, order)


def fit(contents: Contents, terms: Terms, tier: Tier) -> Sequence[Content]:
    """Return whose copies go because the budget asks for it, pinned ones last."""
    room = budget_bytes(terms, tier)
    if contents.used_bytes(tier) <= room:
        return ()
    order = sorted(_in_order(contents, terms, tier), key=contents.is_pinned)
    enough = _enough(contents, tier, room, order)
    return order if enough is None else enough


def quota(contents: Contents, owner: str, room_bytes: int) -> Sequence[Content] | None:
    """Return which of a namespace's contents go so that it has at most `room_bytes`; None: not.

    All their copies may go.
    """
    kept = contents.owned_bytes(owner)
    order = [
        each
        for each in contents.all
        if each.owner == owner and not (each.users or each.is_busy or contents.is_pinned(each))
    ]
    going: list[Content] = []
    for each in sorted(order, key=lambda content: content.last_use):
        if kept <= room_bytes:
            break
        going.append(each)
        kept -= each.content_bytes
    return going if kept <= room_bytes else None


def evictable(contents: Contents, terms: Terms, wish: Wish) -> list[Content]:
    """Return whose copies may go for a wish, first to go first."""
    within = _is_promised(terms, wish)
    return [
        each
        for each in _in_order(contents, terms, wish.tier)
        if not contents.is_pinned(each)
        and (within or wish.tier is Tier.HOST or not _is_announced(terms, each))
    ]


def unfilled_bytes(contents: Contents, terms: Terms, wish: Wish) -> int:
    """Return what of the GPU is promised to other models, not there yet, and closed to a wish."""
    if wish.tier is Tier.HOST or _is_promised(terms, wish):
        return 0
    return sum(
        max(0, promised - _kept_bytes(contents, model))
        for model, promised in terms.announced.items()
        if model != wish.model
    )


def _in_order(contents: Contents, terms: Terms, tier: Tier) -> list[Content]:
    """Return the contents whose copy of a tier may go, first to go first."""
    found = [each for each in contents.all if _may_go(each, tier)]
    return sorted(found, key=lambda each: (_cost(terms, each, tier), each.copies[tier].last_use))


def _cost(terms: Terms, content: Content, tier: Tier) -> bool:
    if tier is Tier.DEVICE:
        return _is_announced(terms, content)
    return Tier.DEVICE not in content.copies


def _may_go(content: Content, tier: Tier) -> bool:
    copy = content.copies.get(tier)
    return copy is not None and not copy.users and not content.is_busy


def _is_promised(terms: Terms, wish: Wish) -> bool:
    return wish.tier is Tier.DEVICE and wish.size_bytes <= terms.announced.get(wish.model, 0)


def _is_announced(terms: Terms, content: Content) -> bool:
    return any(model in terms.announced for model in content.models)


def _kept_bytes(contents: Contents, model: Model) -> int:
    content = contents.of(model)
    copy = content.copies.get(Tier.DEVICE) if content else None
    return copy.size_bytes if copy else 0


def _enough(
    contents: Contents, tier: Tier, room_bytes: int, order: Sequence[Content]
) -> Sequence[Content] | None:
    """Return as many of `order`, from its start, as leave at most `room_bytes` of a tier in use."""
    used = contents.used_bytes(tier)
    going: list[Content] = []
    for each in order:
        if used <= room_bytes:
            break
        going.append(each)
        used -= each.copies[tier].size_bytes
    return going if used <= room_bytes else None
