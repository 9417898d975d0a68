"""Answers who asks for weights: gives them, has them loaded or copied, or lets them wait. Pure.

Every function returns what to do now, in order.
"""

from collections.abc import Iterable
from typing import Final

from gshare import units

from . import room
from .books import Books, answer
from .contents import Content
from .instructions import Answer, ContentId, Copy, Instruction
from .protocol import Ask, Reply, Status, Tell, Tier
from .room import Wish
from .terms import Model
from .waiting import Waiter

MAX_KEYS: Final = 1024
"""Keys in one scope."""
MAX_LOADS: Final = 16
"""Models that one connection may be loading."""
NO_GPU: Final = "this model store has no GPU"
_PLACES: Final = {Tier.DEVICE: "on the GPU", Tier.HOST: "in host memory"}


def get(books: Books, waiter: Waiter) -> list[Instruction]:
    """Serve a request for weights, or let it wait."""
    if waiter.request.tier is Tier.DEVICE and not books.has_device:
        return [answer(waiter, Status.ERROR, NO_GPU)]
    content = _find(books, waiter)
    if content is None:
        return _absent(books, waiter)
    tier = wanted_tier(books, waiter)
    copy = content.copies.get(tier)
    if copy is None:
        return _promote(books, waiter, content) if tier is Tier.DEVICE else _absent(books, waiter)
    if not copy.is_ready:
        books.waiting.park(waiter)
        return []
    return [give(books, waiter, content, tier)]


def give(books: Books, waiter: Waiter, content: Content, tier: Tier) -> Answer:
    """Give a client a copy that is ready."""
    books.contents.use(content, tier, waiter.client, waiter.model)
    books.counts.hits += 1
    reply = Reply(
        Status.READY,
        waiter.request.serial,
        waiter.model.key,
        content.identity.digest,
        flags=told(books, waiter.model, content),
        tier=tier,
        content_bytes=content.content_bytes,
    )
    return Answer(waiter.client, reply, content.identity)


def wake(
    books: Books, models: Iterable[Model], content: ContentId | None = None
) -> list[Instruction]:
    """Ask again whatever waits for `models`, or for `content` by its digest."""
    todo: list[Instruction] = []
    for waiter in books.waiting.take(models, content):
        todo += get(books, waiter)
    return todo


def end_loads(books: Books, models: Iterable[Model]) -> list[Instruction]:
    """End loads that came to nothing; whoever waits loads in its turn."""
    ended = tuple(models)
    for model in ended:
        books.waiting.end(model)
    return wake(books, ended)


def copy_failed(books: Books, content: Content, status: Status, text: str) -> list[Instruction]:
    """Give up a copy to the GPU: whoever takes the host's gets that, the others hear why."""
    waiters = books.waiting.take(content.models, content.identity)
    todo = books.end_source(content.identity)
    books.contents.drop_copy(content, Tier.DEVICE)
    content.trouble = text if status is Status.ERROR else ""
    for waiter in waiters:
        if waiter.request.tier is Tier.ANY and content.ready(Tier.HOST):
            todo.append(give(books, waiter, content, Tier.HOST))
        else:
            books.counts.full += status is Status.FULL
            todo.append(answer(waiter, status, f"model {waiter.model.text}: {text}"))
    return todo


def wanted_tier(books: Books, waiter: Waiter) -> Tier:
    """Return the tier where a request's weights are to lie."""
    if waiter.request.tier is Tier.HOST or not books.has_device:
        return Tier.HOST
    return Tier.DEVICE


def told(books: Books, model: Model, content: Content) -> Tell:
    """Return what a reply tells of a model by flags."""
    flags = Tell.NONE
    for flag, is_so in (
        (Tell.PINNED, books.contents.is_pinned(content)),
        (Tell.SHARED, not model.scope),
        (Tell.IN_DEVICE, Tier.DEVICE in content.copies),
        (Tell.IN_HOST, Tier.HOST in content.copies),
    ):
        flags |= flag if is_so else Tell.NONE
    return flags


def full_text(books: Books, wish: Wish) -> str:
    """Say in one line why a wish does not fit."""
    budget = room.budget_bytes(books.terms, wish.tier)
    used = books.contents.used_bytes(wish.tier)
    promised = room.unfilled_bytes(books.contents, books.terms, wish)
    beside = f", {units.memory_text(promised)} promised to announced models" if promised else ""
    return (
        f"model {wish.model.text}: {units.memory_text(wish.size_bytes)} do not fit "
        f"{_PLACES[wish.tier]}: of {units.memory_text(budget)} for weights "
        f"{units.memory_text(max(0, budget - used))} are free{beside}, "
        "and what is in use or pinned stays"
    )


def _find(books: Books, waiter: Waiter) -> Content | None:
    """Return the weights that a request means.

    A digest that is kept serves whatever its key names: two versions of a function may run at once.
    It becomes what the key names where that is nothing.
    """
    model, digest = waiter.model, waiter.request.digest
    named = books.contents.of(model)
    if digest is None or (named is not None and named.identity.digest == digest):
        return named
    content = books.contents.find(ContentId(model.scope, digest))
    if content is not None and named is None and _may_bind(books, waiter):
        books.contents.bind(model, content)
    return content


def _may_bind(books: Books, waiter: Waiter) -> bool:
    return (
        books.terms.may_write(books.clients[waiter.client], waiter.model)
        and books.contents.keys_of(waiter.model.scope) < MAX_KEYS
    )


def _absent(books: Books, waiter: Waiter) -> list[Instruction]:
    """Have a model loaded that is not there, by this client or by the one that does already."""
    model, client = waiter.model, waiter.client
    if Ask.LOAD not in waiter.request.flags:
        return [answer(waiter, Status.ABSENT)]
    if books.waiting.loader(model) not in {None, client}:
        books.waiting.park(waiter)
        return []
    if not books.terms.may_write(books.clients[client], model):
        return [answer(waiter, Status.DENIED, denied_text(books, waiter))]
    if len({*books.waiting.loads_of(client), model}) > MAX_LOADS:
        text = f"model {model.text}: at most {MAX_LOADS} loads at once on one connection"
        return [answer(waiter, Status.ERROR, text)]
    books.waiting.begin(model, client)
    books.counts.loads += 1
    return [answer(waiter, Status.LOAD)]


def denied_text(books: Books, waiter: Waiter) -> str:
    """Say in one line why a client may not write a model."""
    namespace = books.clients[waiter.client].namespace
    return f"model {waiter.model.text}: namespace {namespace} may not store or drop shared models"


def _promote(books: Books, waiter: Waiter, content: Content) -> list[Instruction]:
    """Copy weights to the GPU that lie in the host's memory only, if there is room."""
    wish = Wish(waiter.model, Tier.DEVICE, content.device_bytes)
    victims = None if content.trouble else room.make(books.contents, books.terms, wish)
    if victims is None and waiter.request.tier is Tier.ANY:
        return [give(books, waiter, content, Tier.HOST)]
    if content.trouble:
        return [answer(waiter, Status.ERROR, f"model {waiter.model.text}: {content.trouble}")]
    if victims is None:
        books.counts.full += 1
        return [answer(waiter, Status.FULL, full_text(books, wish))]
    todo = books.free(victims, Tier.DEVICE)
    books.contents.add_copy(content, Tier.DEVICE, is_ready=False)
    books.counts.promoted += 1
    books.waiting.park(waiter)
    return [*todo, Copy(content.identity)]
