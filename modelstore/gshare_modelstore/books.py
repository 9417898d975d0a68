"""All that a catalogue remembers, and the one rule about what may stay. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from . import room
from .contents import Content, Contents
from .instructions import Answer, ContentId, Discard, Free, Instruction
from .protocol import Reply, Request, Status, Tier
from .terms import Identity, Terms
from .waiting import Waiter, Waiting


@dataclass(frozen=True, slots=True)
class Offer:
    """A STORE under way; `stored_by` is kept here, since its client may go before the verdict."""

    ticket: int
    stored_by: Identity
    waiter: Waiter


@dataclass(slots=True)
class Counts:
    """What happened since the store started."""

    hits: int = 0
    loads: int = 0
    stored: int = 0
    promoted: int = 0
    demoted: int = 0
    evicted: int = 0
    full: int = 0


@dataclass(slots=True)
class Books:
    """The state of one store."""

    terms: Terms
    has_device: bool
    clients: dict[int, Identity] = field(default_factory=dict)
    contents: Contents = field(default_factory=Contents)
    waiting: Waiting = field(default_factory=Waiting)
    offers: dict[int, Offer] = field(default_factory=dict)
    sources: dict[ContentId, int] = field(default_factory=dict)
    """Tickets of the offers that are copied to the GPU and lie nowhere else."""
    counts: Counts = field(default_factory=Counts)

    def free(self, victims: Iterable[Content], tier: Tier) -> list[Instruction]:
        """Give up the copies of a tier that `victims` have."""
        todo: list[Instruction] = []
        for content in victims:
            self.contents.drop_copy(content, tier)
            if content.copies and tier is Tier.DEVICE:
                self.counts.demoted += 1
            elif not content.copies:
                self.counts.evicted += 1
            todo.append(Free(content.identity, tier))
        return todo

    def free_all(self, victims: Iterable[Content]) -> list[Instruction]:
        """Give up contents altogether."""
        todo: list[Instruction] = []
        for content in tuple(victims):
            for tier in tuple(content.copies):
                todo += self.free([content], tier)
        return todo

    def tidy(self) -> list[Instruction]:
        """Give up what no key names and nobody uses, and what is beyond a budget."""
        unseen = [each for each in self.contents.orphans if not (each.users or each.is_busy)]
        todo = self.free_all(unseen)
        for tier in (Tier.DEVICE, Tier.HOST):
            todo += self.free(room.fit(self.contents, self.terms, tier), tier)
        return todo

    def end_source(self, content: ContentId) -> list[Instruction]:
        """Give up what a copy to the GPU was made from, if nothing else keeps it."""
        ticket = self.sources.pop(content, None)
        return [] if ticket is None else [Discard(ticket)]


def answer(waiter: Waiter, status: Status, text: str = "") -> Answer:
    """Return an answer that carries no weights."""
    request = waiter.request
    return Answer(waiter.client, Reply(status, request.serial, request.key, text=text))


def as_get(waiter: Waiter, digest: bytes) -> Waiter:
    """Return the same request, to be answered with the weights of `digest` and no others."""
    request = waiter.request
    asked = Request(request.op, request.key, digest, tier=request.tier, serial=request.serial)
    return Waiter(waiter.client, waiter.model, asked)
