"""Takes in what clients store: objections, quota, room, and where it is to lie. Pure.

Every function returns what to do now, in order.
"""

from typing import Final

from gshare import units

from . import protocol, room, safetensors, serving
from .books import Books, Offer, answer, as_get
from .contents import Content
from .instructions import ContentId, Copy, Discard, Instruction, Keep, Verify
from .protocol import Ask, Status, Tier
from .room import Wish
from .waiting import Waiter

MAX_OFFERS: Final = 64
"""Offers of one namespace that wait to be looked at, whether their clients are still there."""


class _FullError(Exception):
    """There is no room for an offer; the text says why in one line.

    `done` is what was given up for it before that was known.
    """

    def __init__(self, text: str, done: list[Instruction]) -> None:
        super().__init__(text)
        self.done = done


def offer(books: Books, waiter: Waiter, ticket: int) -> list[Instruction]:
    """Have an offer verified, unless it can be turned down at once."""
    identity = books.clients[waiter.client]
    status, text = _objection(books, waiter)
    books.offers[ticket] = Offer(ticket, identity, waiter)
    if status is Status.FULL:
        return _turn_away(books, ticket, text)
    if status is not Status.OK:
        return refused(books, ticket, status, text)
    return [Verify(ticket, identity.namespace)]


def verified(books: Books, ticket: int, digest: bytes, device_bytes: int) -> list[Instruction]:
    """Take what was offered: whole, of this digest, and so large on a GPU."""
    given = books.offers[ticket]
    model, wanted = given.waiter.model, given.waiter.request.digest
    if wanted not in {None, digest}:
        return refused(books, ticket, Status.INVALID, _wrong_digest(given, digest))
    identity = ContentId(model.scope, digest)
    content = books.contents.find(identity)
    try:
        if content is None:
            size = given.waiter.request.content_bytes
            content = Content(identity, given.stored_by.namespace, size, device_bytes)
            todo = _admit(books, given, content)
        else:
            todo = _add_to(books, given, content)
    except _FullError as full:
        return [*full.done, *_turn_away(books, ticket, str(full))]
    del books.offers[ticket]
    return [*todo, *_name(books, given, content)]


def refused(books: Books, ticket: int, status: Status, text: str) -> list[Instruction]:
    """Turn an offer down; whoever waited for it loads in its turn."""
    waiter = books.offers.pop(ticket).waiter
    todo: list[Instruction] = [Discard(ticket)]
    if waiter.client in books.clients:
        todo.append(answer(waiter, status, text))
    if books.waiting.loader(waiter.model) == waiter.client:
        todo += serving.end_loads(books, [waiter.model])
    return todo


def _objection(books: Books, waiter: Waiter) -> tuple[Status, str]:
    """Return why an offer cannot be taken whatever it holds; OK where it can."""
    request, model = waiter.request, waiter.model
    namespace = books.clients[waiter.client].namespace
    if not protocol.is_key(request.key):
        return Status.INVALID, no_key_text(request.key)
    if not books.terms.may_write(books.clients[waiter.client], model):
        return Status.DENIED, serving.denied_text(books, waiter)
    if request.tier is Tier.DEVICE and not books.has_device:
        return Status.ERROR, serving.NO_GPU
    problem = _crowd(books, waiter, namespace)
    return (Status.ERROR, problem) if problem else _size_objection(books, waiter)


def _crowd(books: Books, waiter: Waiter, namespace: str) -> str:
    """Return what there is too much of; "" where there is not."""
    model, contents = waiter.model, books.contents
    if any(each.waiter.client == waiter.client for each in books.offers.values()):
        return f"model {model.text}: one STORE at a time on one connection"
    if _offers_of(books, namespace) >= MAX_OFFERS:
        return f"model {model.text}: {MAX_OFFERS} offers of the namespace wait already"
    if contents.of(model) is None and contents.keys_of(model.scope) >= serving.MAX_KEYS:
        return f"model {model.text}: {serving.MAX_KEYS} keys are there; drop one"
    return ""


def _offers_of(books: Books, namespace: str) -> int:
    return sum(each.stored_by.namespace == namespace for each in books.offers.values())


def _size_objection(books: Books, waiter: Waiter) -> tuple[Status, str]:
    """Refuse what no eviction could make room for, before it is read: reading takes long."""
    size, quota = waiter.request.content_bytes, books.terms.quota_bytes
    if quota is not None and size > quota:
        namespace = books.clients[waiter.client].namespace
        return Status.FULL, _quota_text(books, waiter, namespace)
    tiers = {serving.wanted_tier(books, waiter)}
    if waiter.request.tier is Tier.ANY:
        tiers.add(Tier.HOST)
    if all(_least_bytes(size, tier) > room.budget_bytes(books.terms, tier) for tier in tiers):
        wish = Wish(waiter.model, max(tiers, key=lambda tier: -tier), size)
        return Status.FULL, serving.full_text(books, wish)
    return Status.OK, ""


def _least_bytes(content_bytes: int, tier: Tier) -> int:
    """Return what content takes of a tier at least: a GPU gets its tensors without the header."""
    if tier is Tier.HOST:
        return content_bytes
    return max(0, content_bytes - safetensors.MAX_HEADER_BYTES)


def _admit(books: Books, given: Offer, content: Content) -> list[Instruction]:
    """Make room for new weights and give them their copies. Raises _FullError."""
    todo = _keep_quota(books, given, content)
    tier = serving.wanted_tier(books, given.waiter)
    wish = Wish(given.waiter.model, tier, content.size_bytes(tier))
    victims = room.make(books.contents, books.terms, wish)
    if victims is None and given.waiter.request.tier is Tier.ANY and tier is Tier.DEVICE:
        tier = Tier.HOST
        victims = room.make(
            books.contents, books.terms, Wish(wish.model, tier, content.content_bytes)
        )
    if victims is None:
        raise _FullError(serving.full_text(books, wish), todo)
    todo += books.free(victims, tier)
    if tier is Tier.HOST:
        return [*todo, _keep(books, given, content)]
    return [*todo, *_copy(books, given, content)]


def _add_to(books: Books, given: Offer, content: Content) -> list[Instruction]:
    """Take what is there already; it may lack the copy that is wanted. Raises _FullError."""
    tier = serving.wanted_tier(books, given.waiter)
    if tier is Tier.DEVICE or tier in content.copies:
        return [Discard(given.ticket)]
    wish = Wish(given.waiter.model, tier, content.content_bytes)
    victims = room.make(books.contents, books.terms, wish)
    if victims is None:
        raise _FullError(serving.full_text(books, wish), [])
    return [*books.free(victims, tier), _keep(books, given, content)]


def _copy(books: Books, given: Offer, content: Content) -> list[Instruction]:
    """Have weights copied to the GPU; what they come from stays in host memory if it is free."""
    todo: list[Instruction] = []
    spared = room.spare(books.contents, books.terms, content.content_bytes)
    ticket: int | None = given.ticket
    if spared is None:
        books.sources[content.identity] = given.ticket
    else:
        todo = [*books.free(spared, Tier.HOST), _keep(books, given, content)]
        ticket = None
    books.contents.add_copy(content, Tier.DEVICE, is_ready=False)
    return [*todo, Copy(content.identity, ticket)]


def _keep(books: Books, given: Offer, content: Content) -> Instruction:
    books.contents.add_copy(content, Tier.HOST, is_ready=True)
    return Keep(given.ticket, content.identity)


def _name(books: Books, given: Offer, content: Content) -> list[Instruction]:
    """Let the key name what was stored, and serve all who waited for it."""
    waiter = given.waiter
    books.contents.bind(waiter.model, content)
    if Ask.PIN in waiter.request.flags:
        books.contents.pin(waiter.model, is_pinned=True)
    books.counts.stored += 1
    books.waiting.end(waiter.model)
    todo: list[Instruction] = []
    if waiter.client in books.clients:
        todo += serving.get(books, as_get(waiter, content.identity.digest))
    return [*todo, *serving.wake(books, [waiter.model])]


def _turn_away(books: Books, ticket: int, text: str) -> list[Instruction]:
    """Answer FULL to whoever stores and to all who wait for it: they would load it in vain."""
    waiter = books.offers.pop(ticket).waiter
    books.counts.full += 1
    todo: list[Instruction] = [Discard(ticket)]
    if waiter.client in books.clients:
        todo.append(answer(waiter, Status.FULL, text))
    if books.waiting.loader(waiter.model) != waiter.client:
        return todo
    books.waiting.end(waiter.model)
    for other in books.waiting.take([waiter.model]):
        if books.contents.of(other.model) is None:
            todo.append(answer(other, Status.FULL, text))
        else:
            todo += serving.get(books, other)
    return todo


def _keep_quota(books: Books, given: Offer, content: Content) -> list[Instruction]:
    """Make room within a namespace's quota. Raises _FullError."""
    quota = books.terms.quota_bytes
    if quota is None:
        return []
    room_bytes = quota - content.content_bytes
    victims = room.quota(books.contents, content.owner, room_bytes)
    if victims is None:
        raise _FullError(_quota_text(books, given.waiter, content.owner), [])
    return books.free_all(victims)


def no_key_text(key: str) -> str:
    """Say in one line why `key` names no model."""
    return f"key {key!r}: must be 1-200 of A-Z a-z 0-9 . _ / : @ - and begin with a letter or digit"


def _quota_text(books: Books, waiter: Waiter, namespace: str) -> str:
    kept = books.contents.owned_bytes(namespace)
    return (
        f"model {waiter.model.text}: {units.memory_text(waiter.request.content_bytes)} are beyond "
        f"the quota of namespace {namespace}: {units.memory_text(kept)} of "
        f"{units.memory_text(books.terms.quota_bytes or 0)} are kept"
    )


def _wrong_digest(given: Offer, digest: bytes) -> str:
    wanted = (given.waiter.request.digest or b"").hex()
    return f"model {given.waiter.model.text}: digest {digest.hex()} where {wanted} was announced"
