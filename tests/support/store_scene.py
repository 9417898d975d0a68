"""Plays the server and the clients of a catalogue, and checks what it says after every event."""

import itertools
from collections import defaultdict
from dataclasses import dataclass, field

from gshare_modelstore.catalogue import Catalogue
from gshare_modelstore.instructions import (
    Answer,
    ContentId,
    Copy,
    Discard,
    Free,
    Instruction,
    Keep,
    Verify,
)
from gshare_modelstore.protocol import Ask, Op, Reply, Request, Status, Tier
from gshare_modelstore.terms import Identity, Model, Terms


def digest(name: str) -> bytes:
    """Return a digest that stands for weights of that name."""
    return name.encode().ljust(32, b"#")


@dataclass(slots=True)
class Offered:
    """A memfd that the server holds: what is in it, and how large it is."""

    content: bytes
    size_bytes: int


@dataclass(slots=True)
class Scene:
    """A catalogue with the server around it. Nothing happens by itself: see `verify`, `finish`."""

    terms: Terms
    has_device: bool = True
    replies: dict[int, list[Reply]] = field(default_factory=lambda: defaultdict(list))
    """All that each client was answered."""
    tickets: dict[int, Offered] = field(default_factory=dict)
    verifying: list[int] = field(default_factory=list)
    copying: list[Copy] = field(default_factory=list)
    host: dict[ContentId, int] = field(default_factory=dict)
    device: dict[ContentId, int] = field(default_factory=dict)
    held: dict[int, set[tuple[ContentId, Tier, str]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    clients: dict[int, Identity] = field(default_factory=dict)
    open: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Serials of each client that are not answered yet."""
    sizes: dict[bytes, int] = field(default_factory=dict)
    catalogue: Catalogue = field(init=False)
    serials: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        """Open the store."""
        self.catalogue = Catalogue(self.terms, has_device=self.has_device)

    def join(self, namespace: str = "team") -> int:
        """Connect a client and return its number."""
        client = next(self.serials)
        self.clients[client] = Identity(namespace)
        self.catalogue.join(client, self.clients[client])
        return client

    def leave(self, client: int) -> None:
        """End a client."""
        del self.clients[client]
        self.held.pop(client, None)
        self.open.pop(client, None)
        self.perform(self.catalogue.leave(client))

    def ask(self, client: int, op: Op, key: str = "", **fields) -> Reply | None:
        """Send a request and return its last reply, None while there is none."""
        serial = next(self.serials)
        request = Request(op, key, serial=serial, **fields)
        if op is Op.RELEASE:
            self._release(client, request)
        if op is not Op.PROGRESS:
            self.open[client].add(serial)
        self.perform(self.catalogue.ask(client, request))
        return self.last(client, serial)

    def get(self, client: int, key: str, tier: Tier = Tier.ANY, **fields) -> Reply | None:
        """Ask for weights, ready to load them."""
        return self.ask(client, Op.GET, key, tier=tier, flags=Ask.LOAD, **fields)

    def offer(self, client: int, key: str, weights: str, size_bytes: int = 10, **fields) -> int:
        """Hand over weights and return the request's serial."""
        serial, ticket = next(self.serials), next(self.serials)
        content = digest(weights)
        size = self.sizes.setdefault(content, size_bytes)
        self.tickets[ticket] = Offered(content, size)
        self.open[client].add(serial)
        request = Request(Op.STORE, key, serial=serial, content_bytes=size, **fields)
        self.perform(self.catalogue.offer(client, request, ticket))
        return serial

    def store(self, client: int, key: str, weights: str, size_bytes: int = 10, **fields) -> Reply:
        """Hand over weights, have them verified and copied, and return the answer."""
        serial = self.offer(client, key, weights, size_bytes, **fields)
        self.finish()
        reply = self.last(client, serial)
        assert reply is not None
        return reply

    def verify(self, index: int = 0) -> None:
        """Let the server find an offer whole."""
        ticket = self.verifying.pop(index)
        offered = self.tickets[ticket]
        contents = self.catalogue._books.contents
        before = {each.identity for each in contents.all}
        self.perform(self.catalogue.verified(ticket, offered.content, offered.size_bytes))
        for new in contents.all:
            if new.identity not in before and self.terms.quota_bytes is not None:
                assert contents.owned_bytes(new.owner) <= self.terms.quota_bytes

    def refuse(self, index: int = 0, status: Status = Status.INVALID) -> None:
        """Let the server find an offer wrong."""
        ticket = self.verifying.pop(index)
        self.perform(self.catalogue.refused(ticket, status, "no safetensors"))

    def copy(self, index: int = 0) -> None:
        """Let the server finish a copy to the GPU."""
        copy = self.copying.pop(index)
        self.device[copy.content] = self.sizes[copy.content.digest]
        self.perform(self.catalogue.copied(copy.content))

    def fail(self, index: int = 0, *, out_of_memory: bool = True) -> None:
        """Let a copy to the GPU fail."""
        copy = self.copying.pop(index)
        failed = self.catalogue.copy_failed(
            copy.content, "the driver says no", out_of_memory=out_of_memory
        )
        self.perform(failed)

    def finish(self) -> None:
        """Verify and copy whatever is under way."""
        while self.verifying or self.copying:
            if self.verifying:
                self.verify()
            else:
                self.copy()

    def adopt(self, terms: Terms) -> None:
        """Change the terms."""
        self.terms = terms
        self.perform(self.catalogue.adopt(terms))

    def last(self, client: int, serial: int) -> Reply | None:
        """Return the last reply to a request."""
        found = [each for each in self.replies[client] if each.serial == serial]
        return found[-1] if found else None

    def perform(self, todo: list[Instruction]) -> None:
        """Do what the catalogue says, and check that it may be done."""
        for each in todo:
            self._perform(each)
        self.check()

    def _perform(self, instruction: Instruction) -> None:
        match instruction:
            case Answer():
                self._answer(instruction)
            case Verify(ticket):
                self.verifying.append(ticket)
            case Keep(ticket, content):
                assert content not in self.host
                offered = self.tickets.pop(ticket)
                assert offered.content == content.digest
                self.host[content] = offered.size_bytes
            case Discard(ticket):
                del self.tickets[ticket]
            case Copy(content, ticket):
                assert content not in self.device
                assert content in self.host if ticket is None else ticket in self.tickets
                self.copying.append(instruction)
            case Free():
                self._free(instruction)

    def _free(self, free: Free) -> None:
        in_use = {(content, tier) for held in self.held.values() for content, tier, _ in held}
        assert (free.content, free.tier) not in in_use
        assert not any(copy.content == free.content for copy in self.copying)
        (self.device if free.tier is Tier.DEVICE else self.host).pop(free.content)

    def _answer(self, answer: Answer) -> None:
        reply, client = answer.reply, answer.client
        assert client in self.clients
        assert reply.serial in self.open[client]
        self.replies[client].append(reply)
        is_entry = reply.status is Status.READY and answer.content is None
        if reply.status is not Status.PROGRESS and not is_entry:
            self.open[client].discard(reply.serial)
        if is_entry:
            self._check_seen(client, reply.key)
        if answer.content is None:
            return
        self._check_given(client, answer.content, reply)
        self.held[client].add((answer.content, reply.tier, reply.key))

    def _check_given(self, client: int, content: ContentId, reply: Reply) -> None:
        kept = self.device if reply.tier is Tier.DEVICE else self.host
        assert content in kept
        assert content.digest == reply.digest
        assert content.scope == Model.seen_from(self.clients[client].namespace, reply.key).scope

    def _check_seen(self, client: int, key: str) -> None:
        """Check that what a list shows is something in a scope that the client sees."""
        model = Model.seen_from(self.clients[client].namespace, key)
        books = self.catalogue._books
        assert books.contents.of(model) or books.waiting.loader(model) is not None

    def _release(self, client: int, request: Request) -> None:
        wanted = request.digest
        self.held[client] = {
            each
            for each in self.held[client]
            if each[2] != request.key or (wanted is not None and each[0].digest != wanted)
        }

    def check(self) -> None:
        """Compare the books with what was done so far."""
        for tier, kept in ((Tier.DEVICE, self.device), (Tier.HOST, self.host)):
            coming = [each.content for each in self.copying if tier is Tier.DEVICE]
            sizes = sum(kept.values()) + sum(self.sizes[each.digest] for each in coming)
            assert self.catalogue.used_bytes(tier) == sizes
            self._check_budget(tier, sizes)
        self._check_references()
        self._check_waiting()

    def _check_budget(self, tier: Tier, used_bytes: int) -> None:
        is_device = tier is Tier.DEVICE
        budget = self.terms.device_bytes if is_device else self.terms.host_bytes
        if used_bytes <= budget:
            return
        in_use = {each for held in self.held.values() for each, where, _ in held if where is tier}
        busy = {each.content for each in self.copying}
        assert set(self.device if is_device else self.host) <= in_use | busy

    def _check_references(self) -> None:
        told = {
            (client, content.identity, tier, model.key)
            for content in self.catalogue._books.contents.all
            for tier, copy in content.copies.items()
            for client, models in copy.users.items()
            for model in models
        }
        held = {(client, *each) for client, all_of in self.held.items() for each in all_of}
        assert told == held

    def _check_waiting(self) -> None:
        """Whoever waits, waits for a loader, its offer, or a copy under way."""
        books = self.catalogue._books
        offered = {offer.waiter.model for offer in books.offers.values()}
        for waiter in books.waiting._waiters:
            loader = books.waiting.loader(waiter.model)
            if loader is not None and (loader in self.clients or waiter.model in offered):
                continue
            meant = ContentId(waiter.model.scope, waiter.request.digest or b"")
            wanted = (books.contents.of(waiter.model), books.contents.find(meant))
            assert any(each is not None and each.is_busy for each in wanted)
