"""Label selectors as queries write them: `app=web,tier in (a, b),!canary`. Pure.

Source: kubernetes.io/docs/concepts/overview/working-with-objects/labels, and the grammar in
k8s.io/apimachinery/pkg/labels.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gshare.errors import GshareError
from gshare.selectors import Expression

_KEY: Final = r"(?P<key>(?:[A-Za-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
_VALUE: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_EQUALS: Final = re.compile(rf"\s*{_KEY}\s*(?P<sign>==|=|!=)\s*(?P<value>(?:{_VALUE})?)\s*")
_ORDER: Final = re.compile(rf"\s*{_KEY}\s*(?P<sign>[<>])\s*(?P<value>-?[0-9]+)\s*")
_SET: Final = re.compile(rf"\s*{_KEY}\s+(?P<word>in|notin)\s*\((?P<values>[^()]*)\)\s*")
_BARE: Final = re.compile(rf"\s*(?P<not>!?)\s*{_KEY}\s*")
# A comma that stands in no parentheses.
_COMMA: Final = re.compile(r",(?![^(]*\))")


class SelectorError(GshareError):
    """A selector that means nothing; the text says which part."""


class Term(Protocol):
    """One condition of a selector."""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether `labels` meet it."""


@dataclass(frozen=True, slots=True)
class Order:
    """A label that is a whole number above (operator Gt) or below (Lt) another."""

    key: str
    operator: str
    bound: int

    @property
    def values(self) -> tuple[str, ...]:
        """Return the bound, as the API writes it."""
        return (str(self.bound),)

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether `labels` meet it; no number meets neither."""
        try:
            value = int(labels[self.key])
        except (KeyError, ValueError):
            return False
        return value > self.bound if self.operator == "Gt" else value < self.bound


def parse(text: str) -> tuple[Expression | Order, ...]:
    """Return the conditions of `text`, all to be met; SelectorError where one means nothing."""
    if not text.strip():
        return ()
    return tuple(_term(part) for part in _COMMA.split(text))


def hold(terms: Sequence[Term], labels: Mapping[str, str]) -> bool:
    """Tell whether `labels` meet every one of `terms`."""
    return all(term.holds(labels) for term in terms)


def _term(part: str) -> Expression | Order:
    if found := _EQUALS.fullmatch(part):
        operator = "NotIn" if found["sign"] == "!=" else "In"
        return Expression(found["key"], operator, (found["value"],))
    if found := _ORDER.fullmatch(part):
        return Order(found["key"], "Gt" if found["sign"] == ">" else "Lt", int(found["value"]))
    if found := _SET.fullmatch(part):
        operator = "NotIn" if found["word"] == "notin" else "In"
        return Expression(found["key"], operator, _values(part, found["values"]))
    if found := _BARE.fullmatch(part):
        return Expression(found["key"], "DoesNotExist" if found["not"] else "Exists")
    raise SelectorError(f"selector: {part.strip()!r}: must be such as a=b, a in (b,c), a or !a")


def _values(part: str, text: str) -> tuple[str, ...]:
    values = tuple(each.strip() for each in text.split(","))
    for value in values:
        if value and not re.fullmatch(_VALUE, value):
            raise SelectorError(f"selector: {part.strip()!r}: {value!r}: must be a label's value")
    return values
