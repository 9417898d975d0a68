"""Copies parts of a user's file into objects that we write, holding nothing that JSON has not."""

import math
from typing import Any, Final

from gshare.workload.fields import Field

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, in the form of its JSON."""

MOST_VALUES: Final = 50_000
"""More than the 1.5 MiB of an object in etcd hold; aliases of YAML reach any number."""
DEEPEST: Final = 100


def plain(field: Field) -> Any:  # noqa: ANN401 (JSON goes out here)
    """Return a copy of the value of `field`, which shares nothing with it.

    InputError where a value has no form in JSON (bytes, sets, infinity), or where there are more
    than MOST_VALUES of them or they lie deeper than DEEPEST, as in a list that holds itself.
    """
    _check(field)
    return _copy(field.value)


def _check(whole: Field) -> None:
    waiting = [(whole, 0)]
    seen = 0
    while waiting:
        field, depth = waiting.pop()
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            whole.refuse(f"holds more than {MOST_VALUES} values, or {DEEPEST} inside each other")
        if isinstance(field.value, list):
            waiting.extend((element, depth + 1) for element in field.elements())
        elif isinstance(field.value, dict):
            waiting.extend((value, depth + 1) for _, value in field.items())
        elif not _is_plain(field.value):
            field.refuse("must be a text, a number, true or false")


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def _copy(value: object) -> object:
    if isinstance(value, list):
        return [_copy(element) for element in value]
    if isinstance(value, dict):
        return {key: _copy(element) for key, element in value.items()}
    return value
