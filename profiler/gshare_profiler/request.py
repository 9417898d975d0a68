"""The request that a trial sends: one inference of the function, as HTTP. Pure.

Written as one line, `POST /infer`, or as YAML with more to say:

    method: POST
    path: /v1/models/resnet:predict
    headers: {Content-Type: image/jpeg}
    bodyFile: cat.jpg          # or body: a text, or bodyBase64: bytes
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gshare.errors import InputError
from gshare.workload import documents
from gshare.workload.fields import Field

_METHOD: Final = re.compile(r"[A-Z]+")
_LINE: Final = re.compile(r"(?P<method>[A-Z]+) (?P<path>/\S*)")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEYS: Final = frozenset({"method", "path", "headers", "body", "bodyBase64", "bodyFile"})
_BODIES: Final = ("body", "bodyBase64", "bodyFile")

ReadFile = Callable[[str], bytes]
"""Returns what a file beside the description holds; OSError where it cannot be read."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. An answer from 200 to 299 is a good one."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        """Return it as people name it, such as "POST /infer"."""
        return f"{self.method} {self.path}"


def parse(source: str, field: str, text: str, read_file: ReadFile) -> Request:
    """Return the request that `text` describes; it stands at `field` of `source`.

    InputError, naming field and value, where anything in it is wrong.
    """
    line = _LINE.fullmatch(text.strip())
    if line is not None:
        return Request(line["method"], line["path"])
    found = documents.load(f"{source}: {field}" if field else source, text)
    if len(found) != 1 or not isinstance(found[0], dict):
        problem = "must be a line such as 'POST /infer', or a mapping with method and path"
        raise InputError(source, field or "request", text.strip()[:60], problem)
    return _read(Field(source, field or "request", found[0]), read_file)


def _read(spec: Field, read_file: ReadFile) -> Request:
    for key, value in spec.items():
        if key not in _KEYS:
            value.refuse(f"is not known: a request has {', '.join(sorted(_KEYS))}")
    method, path = spec.child("method").text("GET"), spec.child("path").text("/")
    if _METHOD.fullmatch(method) is None:
        spec.child("method").refuse("must be an HTTP method in capitals, such as POST")
    if not path.startswith("/") or any(letter.isspace() for letter in path):
        spec.child("path").refuse("must begin with '/' and hold no space")
    return Request(method, path, _headers(spec.child("headers")), _body(spec, read_file))


def _headers(spec: Field) -> tuple[tuple[str, str], ...]:
    headers = []
    for name, value in spec.items():
        if _HEADER.fullmatch(name) is None or not value.text().isprintable():
            value.refuse("must be a header's name and a text on one line")
        headers.append((name, value.text()))
    return tuple(headers)


def _body(spec: Field, read_file: ReadFile) -> bytes:
    given = [spec.child(key) for key in _BODIES if not spec.child(key).is_absent]
    if len(given) > 1:
        given[1].refuse(f"is a second body: one of {', '.join(_BODIES)} may stand")
    text, encoded, file = (spec.child(key) for key in _BODIES)
    if not encoded.is_absent:
        try:
            return base64.b64decode(encoded.text(), validate=True)
        except binascii.Error:
            encoded.refuse("is not base64")
    if file.is_absent:
        return text.text("").encode()
    try:
        return read_file(file.text())
    except OSError as error:
        file.refuse(f"cannot be read: {error.strerror}")
