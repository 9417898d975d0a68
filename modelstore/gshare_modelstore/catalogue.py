"""What a model store keeps, who uses it and who waits. Pure: events in, instructions out.

    join, leave          a client came or went
    ask                  a request other than STORE
    offer                a STORE; then `verified` or `refused`, when the server has looked at it
    copied, copy_failed  what became of a Copy
    adopt                the node changed the terms

Interface first; the theory follows with the code.
"""

from .instructions import ContentId, Instruction
from .protocol import Request, Status
from .terms import Identity, Terms


class Catalogue:
    """Decides for one store. Every event returns what to do now, in order."""

    def __init__(self, terms: Terms, *, has_device: bool) -> None:
        raise NotImplementedError

    def join(self, client: int, identity: Identity) -> None:
        """Know a client by a number that no client had before."""
        raise NotImplementedError

    def leave(self, client: int) -> list[Instruction]:
        """End a client: its references, its waiting, its loads."""
        raise NotImplementedError

    def ask(self, client: int, request: Request) -> list[Instruction]:
        """Take any request but STORE."""
        raise NotImplementedError

    def offer(self, client: int, request: Request, ticket: int) -> list[Instruction]:
        """Take a STORE, whose memfd the server holds under `ticket`."""
        raise NotImplementedError

    def verified(self, ticket: int, digest: bytes, device_bytes: int) -> list[Instruction]:
        """Take what was offered: whole, of this digest, and so large on a GPU."""
        raise NotImplementedError

    def refused(self, ticket: int, status: Status, text: str) -> list[Instruction]:
        """Turn down what was offered."""
        raise NotImplementedError

    def copied(self, content: ContentId) -> list[Instruction]:
        """Serve those who wait for the copy on the GPU."""
        raise NotImplementedError

    def copy_failed(
        self, content: ContentId, text: str, *, out_of_memory: bool
    ) -> list[Instruction]:
        """Make room and copy again, where memory was short; else say so to those who wait."""
        raise NotImplementedError

    def adopt(self, terms: Terms) -> list[Instruction]:
        """Follow new terms at once: what no longer fits and nobody uses goes."""
        raise NotImplementedError

    def resident(self) -> dict[str, int]:
        """Return the bytes on the GPU by model, as `gshare.io/resident` names models."""
        raise NotImplementedError
