"""What a model store keeps, who uses it and who waits. Pure: events in, instructions out.

    join, leave          a client came or went
    ask                  a request other than STORE
    offer                a STORE; then `verified` or `refused`, when the server has looked at it
    copied, copy_failed  what became of a Copy
    adopt                the node changed the terms

Idea: a key names a content, a content has copies, a copy has users (contents.py). Who asks for a
key is given a copy, or is told to load, or waits for whoever loads or for a copy under way
(serving.py). What waits is asked again whenever something happened to its key (waiting.py) and by
nothing else, so the code that serves a first request serves a late one. What may stay is one rule
(room.py), kept after every event.

Invariants, which `tests/property/test_catalogue.py` checks after every event:
  - a copy that somebody uses is never given up, and no reference outlives its client;
  - weights are seen in the scope that stored them only, and kept once in it;
  - whoever waits, waits for a living loader, for its offer, or for a copy under way;
  - each request but PROGRESS gets one final answer, unless a later one took it back;
  - copies beyond a budget are all in use.

Order that keeps them: what goes (Free) stands before what comes in its room (Keep, Copy), and a
copy before the answer that gives it away.

Example: A asks for "bert" with LOAD and is told LOAD; B asks, and waits. A offers 400 MiB; they
are verified, so `Copy`, and A waits too. `copied`: both are answered READY. A dies, B releases:
the copy stays until its room is wanted.
"""

import dataclasses

from . import offering, protocol, room, serving
from .books import Books, Counts, answer
from .contents import Content
from .instructions import Answer, ContentId, Copy, Instruction
from .protocol import Ask, Op, Reply, Request, Status, Tell, Tier
from .room import Wish
from .terms import Identity, Model, Terms
from .waiting import Waiter


class Catalogue:
    """Decides for one store. Every event returns what to do now, in order."""

    def __init__(self, terms: Terms, *, has_device: bool) -> None:
        self._books = Books(terms, has_device)

    @property
    def counts(self) -> Counts:
        """What happened since the store started."""
        return self._books.counts

    def join(self, client: int, identity: Identity) -> None:
        """Know a client by a number that no client had before."""
        self._books.clients[client] = identity

    def leave(self, client: int) -> list[Instruction]:
        """End a client: its references, its waiting, and its loads, but for what it has offered."""
        books = self._books
        del books.clients[client]
        books.waiting.forget(client)
        books.contents.release(client)
        offers = [each.waiter for each in books.offers.values()]
        offered = {each.model for each in offers if each.client == client}
        left = [each for each in books.waiting.loads_of(client) if each not in offered]
        return self._tidied(serving.end_loads(books, left))

    def ask(self, client: int, request: Request) -> list[Instruction]:
        """Take any request but STORE."""
        waiter = self._waiter(client, request)
        if request.op is Op.PROGRESS:
            return self._progress(waiter)
        self._books.waiting.forget(client)
        if request.op is not Op.LIST and not protocol.is_key(request.key):
            return [answer(waiter, Status.INVALID, offering.no_key_text(request.key))]
        answers = {
            Op.GET: self._get,
            Op.ABANDON: self._abandon,
            Op.RELEASE: self._release,
            Op.DROP: self._write,
            Op.PIN: self._write,
            Op.LIST: self._list,
        }
        return self._tidied(answers[request.op](waiter))

    def offer(self, client: int, request: Request, ticket: int) -> list[Instruction]:
        """Take a STORE, whose memfd the server holds under `ticket`."""
        self._books.waiting.forget(client)
        return self._tidied(offering.offer(self._books, self._waiter(client, request), ticket))

    def verified(self, ticket: int, digest: bytes, device_bytes: int) -> list[Instruction]:
        """Take what was offered: whole, of this digest, and so large on a GPU."""
        return self._tidied(offering.verified(self._books, ticket, digest, device_bytes))

    def refused(self, ticket: int, status: Status, text: str) -> list[Instruction]:
        """Turn down what was offered."""
        return self._tidied(offering.refused(self._books, ticket, status, text))

    def copied(self, content: ContentId) -> list[Instruction]:
        """Serve those who wait for the copy on the GPU."""
        found = self._copying(content)
        found.copies[Tier.DEVICE].is_ready = True
        source = self._books.end_source(content)
        return self._tidied([*source, *serving.wake(self._books, found.models, content)])

    def copy_failed(
        self, content: ContentId, text: str, *, out_of_memory: bool
    ) -> list[Instruction]:
        """Make room and copy again, where memory was short; else say so to those who wait."""
        found = self._copying(content)
        if not out_of_memory:
            return self._tidied(serving.copy_failed(self._books, found, Status.ERROR, text))
        victims = self._next_victim(found)
        if not victims:
            return self._tidied(serving.copy_failed(self._books, found, Status.FULL, text))
        again = Copy(content, self._books.sources.get(content))
        return [*self._books.free(victims, Tier.DEVICE), again]

    def adopt(self, terms: Terms) -> list[Instruction]:
        """Follow new terms at once: what no longer fits and nobody uses goes."""
        self._books.terms = terms
        return self._books.tidy()

    def _tidied(self, todo: list[Instruction]) -> list[Instruction]:
        """Let nothing stay that may not: the end of every event that changes who uses what."""
        return [*todo, *self._books.tidy()]

    def resident(self) -> dict[str, int]:
        """Return the bytes on the GPU by model, as `gshare.io/resident` names models."""
        return {
            model.text: content.device_bytes
            for model, content in self._books.contents.models
            if content.ready(Tier.DEVICE)
        }

    def used_bytes(self, tier: Tier) -> int:
        """Return what the copies of a tier take."""
        return self._books.contents.used_bytes(tier)

    def _waiter(self, client: int, request: Request) -> Waiter:
        namespace = self._books.clients[client].namespace
        return Waiter(client, Model.seen_from(namespace, request.key), request)

    def _progress(self, waiter: Waiter) -> list[Instruction]:
        waiting, request = self._books.waiting, waiter.request
        if waiting.loader(waiter.model) != waiter.client:
            return []
        return [
            Answer(
                each.client,
                Reply(
                    Status.PROGRESS,
                    each.request.serial,
                    each.request.key,
                    content_bytes=request.content_bytes,
                    total_bytes=request.total_bytes,
                ),
            )
            for each in waiting.on(waiter.model)
        ]

    def _get(self, waiter: Waiter) -> list[Instruction]:
        return serving.get(self._books, waiter)

    def _abandon(self, waiter: Waiter) -> list[Instruction]:
        offers = [each.waiter for each in self._books.offers.values()]
        is_offered = any((each.client, each.model) == waiter.place for each in offers)
        ended = _ok(waiter)
        if is_offered or self._books.waiting.loader(waiter.model) != waiter.client:
            return ended
        return [*ended, *serving.end_loads(self._books, [waiter.model])]

    def _release(self, waiter: Waiter) -> list[Instruction]:
        self._books.contents.release(waiter.client, waiter.model, waiter.request.digest)
        return _ok(waiter)

    def _write(self, waiter: Waiter) -> list[Instruction]:
        """Drop or pin a key."""
        books, model = self._books, waiter.model
        if not books.terms.may_write(books.clients[waiter.client], model):
            return [answer(waiter, Status.DENIED, serving.denied_text(books, waiter))]
        if books.contents.of(model) is None:
            return [answer(waiter, Status.ABSENT)]
        woken: list[Instruction] = []
        if waiter.request.op is Op.DROP:
            books.contents.unbind(model)
            woken = serving.wake(books, [model])
        else:
            books.contents.pin(model, is_pinned=Ask.PIN in waiter.request.flags)
        return [*woken, answer(waiter, Status.OK)]

    def _list(self, waiter: Waiter) -> list[Instruction]:
        books = self._books
        scopes = {"", books.clients[waiter.client].namespace}
        kept = [(model, each) for model, each in books.contents.models if model.scope in scopes]
        names = {model for model, _ in kept}
        loading = [
            model for model in books.waiting.loading if model.scope in scopes and model not in names
        ]
        replies = [
            *(self._entry(model, each) for model, each in kept),
            *(Reply(Status.READY, key=each.key, flags=Tell.LOADING) for each in loading),
            Reply(Status.END),
        ]
        serial = waiter.request.serial
        return [Answer(waiter.client, dataclasses.replace(each, serial=serial)) for each in replies]

    def _entry(self, model: Model, content: Content) -> Reply:
        return Reply(
            Status.READY,
            key=model.key,
            digest=content.identity.digest,
            flags=serving.told(self._books, model, content),
            tier=Tier.DEVICE if Tier.DEVICE in content.copies else Tier.HOST,
            references=len(content.users),
            content_bytes=content.content_bytes,
            mapped_bytes=content.device_bytes,
        )

    def _copying(self, content: ContentId) -> Content:
        found = self._books.contents.find(content)
        if found is None or not found.is_busy:
            raise LookupError(f"content {content}: nobody asked for a copy")
        return found

    def _next_victim(self, content: Content) -> list[Content]:
        """Return the copy that goes first when the driver itself is out of memory, if any may."""
        books = self._books
        announced = (each for each in content.models if each in books.terms.announced)
        model = next(announced, Model(content.identity.scope, ""))
        wish = Wish(model, Tier.DEVICE, content.device_bytes)
        return room.evictable(books.contents, books.terms, wish)[:1]


def _ok(waiter: Waiter) -> list[Instruction]:
    """Return the answer to what always succeeds; none where the client wants none."""
    return [] if Ask.QUIET in waiter.request.flags else [answer(waiter, Status.OK)]
