"""Writes Kubernetes objects as YAML that every reader takes for what it was.

Readers differ in what a plain word means: PyYAML (YAML 1.1) reads `1e3` and `0o17` as texts, the
reader of kubectl (Go, YAML 1.2 in this) as numbers, and then a label or annotation is refused. So
a text stands in quotes unless it begins with a letter or a slash and is no word such as `yes`.
"""

import re
from collections.abc import Iterable
from typing import Final

import yaml

from .plain import Object

_PLAIN: Final = re.compile(r"[A-Za-z/][^\n]*")
# Booleans of YAML 1.1 that PyYAML's own writer leaves bare; Go's reader takes them.
_WORDS: Final = frozenset({"y", "Y", "n", "N"})


class _Writer(yaml.SafeDumper):
    """SafeDumper that quotes what could be a number elsewhere, and repeats instead of aliasing."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (PyYAML's form)
        return True


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        return writer.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    is_plain = _PLAIN.fullmatch(text) is not None and text not in _WORDS
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Writer.add_representer(str, _text)


def write(objects: Iterable[Object]) -> str:
    """Return `objects` as the documents of one YAML file, keys in the order given."""
    text: str = yaml.dump_all(
        list(objects), Dumper=_Writer, sort_keys=False, explicit_start=True, width=2**20
    )
    return text.removeprefix("---\n")
