"""HTTP/1.1 messages as they come over one connection (RFC 9112), both requests and replies.

For the few places where messages come by the hundred each second and a general library would take
most of the time for what nobody asks: the extender's verbs, and the API server. What is no message
is an error, after which the connection is of no use.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

LONGEST_HEAD: Final = 64 * 1024
_PIECE: Final = 64 * 1024
_END: Final = b"\r\n\r\n"
_HEXADECIMAL: Final = b"0123456789abcdefABCDEF"
_EMPTY: Final = frozenset({"204", "304"})


class HttpError(Exception):
    """What came is no message of HTTP/1.1, or ended half way; one line says what is wrong."""


@dataclass(frozen=True, slots=True)
class Head:
    """The three words of the first line, and the headers by name in lower case.

    Of a request the words are method, target and version; of a reply version, status and reason.
    The values of a header that is there twice are joined by commas.
    """

    words: tuple[str, str, str]
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Read all lines before the empty one; HttpError where they are no head."""
        first, *lines = text.split("\r\n")
        words = first.split(" ", 2)
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise HttpError(f"header {line[:80]!r}: must be NAME: VALUE")
            key, value = name.lower(), value.strip()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        if len(words) == 2 and words[0].startswith("HTTP/"):
            words.append("")  # a reply may leave the reason out, and the space before it
        if len(words) != 3:
            raise HttpError(f"first line {first[:80]!r}: must be three words")
        return cls((words[0], words[1], words[2]), headers)

    @property
    def status(self) -> int:
        """Return a reply's status; 0 where that is no number of three digits."""
        text = self.words[1]
        return int(text) if len(text) == 3 and text.isdecimal() else 0

    @property
    def length(self) -> int | None:
        """Return the bytes of the body, None where that is not said; HttpError for no number."""
        text = self.headers.get("content-length")
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal()):
            raise HttpError(f"Content-Length {text[:80]!r}: must be a whole number")
        return int(text)

    @property
    def is_chunked(self) -> bool:
        """Tell whether the body comes in chunks; HttpError where it is coded in any other way."""
        coding = self.headers.get("transfer-encoding", "").lower()
        if coding not in {"", "chunked"}:
            raise HttpError(f"Transfer-Encoding {coding[:80]!r}: must be chunked, if any")
        return bool(coding)

    @property
    def keeps(self) -> bool:
        """Tell whether its sender means to go on with the connection."""
        tokens = self.headers.get("connection", "").lower().split(",")
        return "HTTP/1.1" in self.words and "close" not in map(str.strip, tokens)

    @property
    def is_last(self) -> bool:
        """Tell whether nothing can follow a reply, as it ends with the connection."""
        has_end = self.is_chunked or self.length is not None or self.words[1] in _EMPTY
        return not (self.keeps and has_end)


class Stream:
    """What comes over one connection, message after message.

    `receive` is `recv` of a socket. Its errors go through; HttpError where what comes is none.
    """

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._buffer = b""
        self._left = 0  # of the chunk that is being read

    @property
    def has_more(self) -> bool:
        """Tell whether something has come that was not asked for yet."""
        return bool(self._buffer)

    def head(self) -> Head | None:
        """Return the head of the next message; None where the peer has closed instead."""
        found = self._until(_END, LONGEST_HEAD)
        return None if found is None else Head.parse(found.decode("latin-1"))

    def body(self, head: Head) -> bytes:
        """Return the body of a reply, which is all that comes where its head does not say more."""
        if head.words[1] in _EMPTY:
            return b""
        if head.length is not None and not head.is_chunked:
            return self.exactly(head.length)
        return b"".join(iter(lambda: self.some(head), b""))

    def some(self, head: Head) -> bytes:
        """Return what there is of a body without a length, once there is some; b"" at its end."""
        return self._piece() if head.is_chunked else self._taken() or self._receive(_PIECE)

    def exactly(self, count: int) -> bytes:
        """Return so many bytes."""
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        if len(found) == count:
            return found
        pieces, missing = [found], count - len(found)
        while missing:
            pieces.append(self._received(missing))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def _piece(self) -> bytes:
        if not self._left:
            self._left = self._chunk()
            if not self._left:
                while self._line():
                    continue  # what may follow the last chunk is headers, and an empty line
                return b""
        if not self._buffer:
            self._buffer = self._received(_PIECE)
        found, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(found)
        if not self._left and self.exactly(2) != b"\r\n":
            raise HttpError("a chunk is longer than it says")
        return found

    def _chunk(self) -> int:
        """Return the bytes of the chunk that begins."""
        text = self._line().partition(b";")[0].strip()
        if not text or text.strip(_HEXADECIMAL):
            raise HttpError(f"chunk of {text[:80]!r} bytes: must be a number")
        return int(text, 16)

    def _line(self) -> bytes:
        found = self._until(b"\r\n", LONGEST_HEAD)
        if found is None:
            raise HttpError("the connection broke off")
        return found

    def _until(self, end: bytes, most: int) -> bytes | None:
        """Return what comes before `end`, which is taken too; None where nothing comes at all."""
        while (at := self._buffer.find(end)) < 0:
            if len(self._buffer) > most:
                raise HttpError(f"a head of more than {most} bytes")
            found = self._receive(_PIECE)
            if not found and not self._buffer:
                return None
            if not found:
                raise HttpError("the connection broke off")
            self._buffer += found
        found, self._buffer = self._buffer[:at], self._buffer[at + len(end) :]
        return found

    def _taken(self) -> bytes:
        found, self._buffer = self._buffer, b""
        return found

    def _received(self, most: int) -> bytes:
        found = self._receive(min(most, _PIECE))
        if not found:
            raise HttpError("the connection broke off")
        return found
