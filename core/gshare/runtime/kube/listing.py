"""Reads objects and whole lists of them; each object is decoded on its own."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from .api import ApiServer, Params
from .errors import ApiError
from .objects import Page

PAGE: Final = 500

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made(Generic[T_co]):
    """A kind of object of which less is kept than is read: decoded as `kind`, then made smaller."""

    kind: type[Any]
    make: Callable[[Any], T_co]


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A whole list as of one version."""

    items: list[T]
    resource_version: str


def read(api: ApiServer, path: str, kind: type[T]) -> T:
    """Return the object at `path`; ApiError, with status 404 if there is none."""
    return _decode(api.get(path), kind, path)


def list_all(
    api: ApiServer, path: str, kind: type[T] | Made[T], params: Params | None = None
) -> Listed[T]:
    """Return all objects under `path`; ApiError where the API server does not give them.

    The list is read in pages, and in one piece where it changed too much meanwhile for the next
    page. An object that does not have the form of `kind` is logged and left out.
    """
    asked = dict(params or {})
    page = _page(api, path, asked | {"limit": PAGE})
    items = _decoded(page, kind, path)
    while page.metadata.continue_:
        try:
            page = _page(api, path, asked | {"limit": PAGE, "continue": page.metadata.continue_})
            items += _decoded(page, kind, path)
        except ApiError as error:
            if not error.is_gone:
                raise
            page = _page(api, path, asked)
            items = _decoded(page, kind, path)
    return Listed(items, page.metadata.resource_version)


def decode_object(raw: bytes | msgspec.Raw, kind: type[T] | Made[T], path: str) -> T | None:
    """Return the object, or None, logged, where it does not have the form of `kind`."""
    try:
        if isinstance(kind, Made):
            return kind.make(msgspec.json.decode(raw, type=kind.kind))
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        _log.warning("event=object_skipped path=%s error=%r", path, str(error))
        return None


def _decoded(page: Page, kind: type[T] | Made[T], path: str) -> list[T]:
    decoded = (decode_object(raw, kind, path) for raw in page.items or [])
    return [item for item in decoded if item is not None]


def _page(api: ApiServer, path: str, params: Params) -> Page:
    return _decode(api.get(path, params), Page, path)


def _decode(content: bytes, kind: type[T], path: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ApiError(
            f"GET {path}: not what the API serves: {error}", 200, "Undecodable"
        ) from error
