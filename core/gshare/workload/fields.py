"""A value inside a user's file together with its path, so that each refusal can name both."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

from gshare.errors import InputError

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# No argument and no environment of a process can hold these.
_NOT_FOR_PROCESSES: Final = re.compile(r"[\0\ud800-\udfff]")
_LONGEST_TEXT: Final = 80
_WIDEST_BITS: Final = 128
_T = TypeVar("_T")
_Choice = TypeVar("_Choice", bound=str)


class _Description(str):
    """A text that stands for a value too large to print, and prints without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a document. `value` is what the YAML says; None where it is absent or null."""

    source: str
    path: str
    value: object

    @property
    def is_absent(self) -> bool:
        """Tell whether nothing stands here."""
        return self.value is None

    def refuse(self, problem: str) -> NoReturn:
        """Raise the InputError that says `problem` of this value."""
        raise InputError(self.source, self.path, _printable(self.value), problem)

    def child(self, key: str) -> "Field":
        """Return the field `key` of this mapping, absent where this or it is."""
        if self.value is None:
            return Field(self.source, self._path_to(key), None)
        return Field(self.source, self._path_to(key), self._mapping().get(key))

    def at(self, *keys: str) -> "Field":
        """Return the field that `keys` lead to, each a mapping or absent on the way."""
        field = self
        for key in keys:
            field = field.child(key)
        return field

    def items(self) -> Iterator[tuple[str, "Field"]]:
        """Yield the keys and fields of this mapping; nothing where it is absent."""
        if self.value is None:
            return
        for key, value in self._mapping().items():
            yield key, Field(self.source, self._path_to(key), value)

    def elements(self) -> list["Field"]:
        """Return the fields of this sequence; none where it is absent."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.refuse("must be a list")
        return [
            Field(self.source, f"{self.path}[{index}]", value)
            for index, value in enumerate(self.value)
        ]

    def text(self, default: str | None = None) -> str:
        """Return this text, or `default` where it is absent."""
        if self.value is None and default is not None:
            return default
        if self.value is None:
            self.refuse("is missing")
        if isinstance(self.value, dict | list):
            self.refuse("must be a text")
        if not isinstance(self.value, str):
            self.refuse("must be a text: put it in quotes")
        if _NOT_FOR_PROCESSES.search(self.value):
            self.refuse("must not contain a NUL character or half a surrogate pair")
        return self.value

    def name(self) -> str:
        """Return this text, which must be there and print on one line."""
        text = self.text()
        if not text or not text.isprintable():
            self.refuse("must be a name that prints on one line")
        return text

    def texts(self) -> tuple[str, ...]:
        """Return this list of texts; none where it is absent."""
        return tuple(element.text() for element in self.elements())

    def text_map(self) -> dict[str, str]:
        """Return this mapping from texts to texts; empty where it is absent."""
        return {key: field.text() for key, field in self.items()}

    def integer(self, default: int, lowest: int, highest: int = 2**31 - 1) -> int:
        """Return this whole number, or `default` where it is absent."""
        if self.value is None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.refuse("must be a whole number, not in quotes")
        if not lowest <= self.value <= highest:
            self.refuse(
                f"must be {lowest} or more"
                if highest == 2**31 - 1
                else f"must be from {lowest} to {highest}"
            )
        return self.value

    def one_of(self, allowed: tuple[_Choice, ...], default: _Choice) -> _Choice:
        """Return this text, which must be one of `allowed`, or `default` where it is absent."""
        text = self.text(default)
        for choice in allowed:
            if text == choice:
                return choice
        return self.refuse(f"must be one of {', '.join(allowed)}")

    def read(self, reader: Callable[[object], _T]) -> _T:
        """Return what `reader` makes of this value; its ValueError becomes the refusal."""
        try:
            return reader(self.value)
        except ValueError as error:
            self.refuse(str(error))

    def _mapping(self) -> dict[str, object]:
        if not isinstance(self.value, dict):
            self.refuse("must be a mapping")
        for key in self.value:
            if not isinstance(key, str):
                self.refuse(f"must have texts as keys, not {_printable(key)!r}")
        return self.value

    def _path_to(self, key: str) -> str:
        if _PLAIN_KEY.fullmatch(key) is None:
            return f"{self.path}[{key if key.isprintable() else repr(key)}]"
        separator = " " if " " not in self.path else "."
        return f"{self.path}{separator}{key}"


def _printable(value: object) -> object:
    """Return `value` if it prints on a part of one line, else a description of it."""
    if isinstance(value, dict):
        return _Description("a mapping")
    if isinstance(value, list):
        return _Description("a list")
    if value is None:
        return _Description("nothing")
    if isinstance(value, int) and value.bit_length() > _WIDEST_BITS:
        return _Description("a number of more than 128 bits")
    text = repr(value)
    if len(text) > _LONGEST_TEXT:
        return _Description(f"{text[:_LONGEST_TEXT]}...")
    return value
