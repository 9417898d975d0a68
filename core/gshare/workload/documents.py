"""Reads YAML the way Kubernetes does: several documents, no dates, no key twice in a mapping."""

import re
from typing import Final

import yaml

from gshare.errors import InputError

_LONGEST_PROBLEM: Final = 200
# PyYAML has a few ways to fail on odd scalars (such as `!!int ""` or 5,000 digits) that it does
# not wrap, and it recurses once a level.
_UNREADABLE: Final = (
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class _Loader(yaml.SafeLoader):
    """SafeLoader without what the YAML reader of Kubernetes does not know.

    Dates and numbers of base 60 ("12:30") stay texts, and a key that stands twice is an error.
    """

    # The type stubs call an anchor a dict; it is a text or None.
    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:  # type: ignore[override]
        node = super().compose_mapping_node(anchor)  # type: ignore[arg-type]
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(
                    None, None, f"the key {key.value!r} stands twice in a mapping", key.start_mark
                )
            seen.add((key.tag, str(key.value)))
        return node


_INTEGER: Final = "tag:yaml.org,2002:int"
_WITHOUT: Final = ("tag:yaml.org,2002:timestamp", _INTEGER)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _WITHOUT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _INTEGER,
    re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)\Z"),
    list("-+0123456789"),
)


def load(source: str, text: str) -> list[object]:
    """Return the documents of `text` that are not empty; InputError where it is not YAML."""
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except _UNREADABLE as error:
        place, problem = _describe(error)
        raise InputError(source, place, _excerpt(text, error), problem) from error
    return [document for document in documents if document is not None]


def _describe(error: Exception) -> tuple[str, str]:
    """Return where and what PyYAML complains of, on a part of one line each."""
    mark = getattr(error, "problem_mark", None)
    place = "document" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
    problem = " ".join((getattr(error, "problem", None) or str(error)).split())
    return place, f"is not YAML: {problem[:_LONGEST_PROBLEM]}"


def _excerpt(text: str, error: Exception) -> str:
    """Return the line at which the error lies, cut to what helps."""
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines() or [""]
    line = lines[min(mark.line, len(lines) - 1)] if mark is not None else lines[0]
    return line.strip()[:60]
