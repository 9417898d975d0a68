"""What the catalogue tells the server to do: values, performed in the order given."""

from dataclasses import dataclass
from typing import TypeAlias

from .protocol import Reply, Tier


@dataclass(frozen=True, slots=True)
class ContentId:
    """Weights within their scope: a namespace, or "" for what all namespaces see."""

    scope: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Send `reply` to a client; with the descriptors of `content` in `reply.tier`, if one is named.

    The server fills in what only it knows: mechanism, sizes of mapping and index, GPU.
    """

    client: int
    reply: Reply
    content: ContentId | None = None


@dataclass(frozen=True, slots=True)
class Verify:
    """Hash and read what was offered under `ticket`; answer with `verified` or `refused`."""

    ticket: int
    scope: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep the memfd offered under `ticket` as the host's copy of `content`."""

    ticket: int
    content: ContentId


@dataclass(frozen=True, slots=True)
class Discard:
    """Close what was offered under `ticket`; nothing keeps it."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy `content` to the GPU; answer with `copied` or `copy_failed`.

    From the memfd offered under `ticket`, or from the host's copy where there is none.
    """

    content: ContentId
    ticket: int | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """Give up one copy of `content`. Clients that map it keep it until they unmap it."""

    content: ContentId
    tier: Tier


Instruction: TypeAlias = Answer | Verify | Keep | Discard | Copy | Free
