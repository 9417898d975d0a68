"""What a FakeApiServer may be asked to do wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """Answers with an HTTP error instead."""

    status: int
    reason: str = ""
    message: str = "trouble"
    retry_after: str | None = None


@dataclass(frozen=True)
class ErrorEvent:
    """Opens the watch, then sends an ERROR event."""

    code: int
    message: str = "trouble"


@dataclass(frozen=True)
class Cut:
    """Opens the watch, then sends `text` without its end and drops the connection."""

    text: bytes = b'{"type":"ADDED","object":{"metadata":{"na'


@dataclass(frozen=True)
class Hang:
    """Opens the watch, then says nothing and never closes, as a half-open connection does."""


@dataclass(frozen=True)
class End:
    """Opens the watch and ends it at once, in order."""


@dataclass(frozen=True)
class Bookmarks:
    """Opens the watch and sends bookmarks of these versions, then goes on as usual."""

    versions: tuple[int, ...]


@dataclass(frozen=True)
class Raw:
    """Opens the watch and sends this line, then goes on as usual."""

    line: bytes


Trouble = Answer | ErrorEvent | Cut | Hang | End | Bookmarks | Raw


@dataclass(frozen=True)
class Lost:
    """Binds the pod, then drops the connection instead of answering."""


@dataclass(frozen=True)
class Late:
    """Binds the pod after this time, and lets the client wait for as long."""

    seconds: float


BindTrouble = Answer | Lost | Late
