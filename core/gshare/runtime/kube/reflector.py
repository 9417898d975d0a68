"""Follows a list of the API server: first all of it, then each change, whatever happens on the way.

One thread lists and then watches from the version of the list. A watch that ends is opened again
at the last version seen, so that nothing is missed; where the server has forgotten that version
(410) the list is read anew and compared with what is known, so that what went away meanwhile is
told as dropped. Failures in a row wait longer each time. A connection whose peer is gone is found
by TCP's own keep-alive within half a minute (`configuration`). A peer that lives and says nothing
is given up after `silence_s`, which is longer than any watch: of a kind that nobody changes a
server sends no bookmarks either, so that a quiet cluster is silent until the watch ends.
"""

import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic

import msgspec

from .api import ApiServer, Watch
from .backoff import Backoff, Pace
from .cache import Cache, Change, T, Verb
from .errors import ApiError, ApiUnreachable
from .listing import Made, decode_object, list_all
from .objects import Bookmark, Status, WatchEvent

_JOIN_S = 2.0
# Answers after which the same watch is worth another try; all others call for a new list: 410,
# and also 504, which says that the version is one of the future (etcd came back from a copy).
_PASSING = frozenset({0, 429, 500, 502, 503})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Following:
    """How a list is followed."""

    label_selector: str = ""
    field_selector: str = ""
    pace: Pace = field(default_factory=Pace)
    silence_s: float = 330.0
    """Longest silence of a watch; longer than `longest_watch_s`, at which the server ends it."""
    shortest_watch_s: int = 240
    longest_watch_s: int = 300
    """A watch is asked to end after a random time between these, as others do, to spread load."""
    stale_after_s: float = 30.0
    """How long the server may be away before what is known counts as stale."""

    def params(self) -> dict[str, str | int]:
        """Return what goes into each request."""
        given = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {name: value for name, value in given.items() if value}


class Reflector(Generic[T]):
    """Follows the objects of type `kind` under `path`.

    `on_change(verb, item)` is called for each change and `on_sync()` after each complete list,
    both on the reflector's thread and in order; an error of theirs is logged and goes no further.
    """

    def __init__(  # noqa: PLR0913 (all but the first four by name)
        self,
        api: ApiServer,
        path: str,
        kind: type[T] | Made[T],
        on_change: Callable[[Verb, T], None],
        *,
        on_sync: Callable[[], None] = lambda: None,
        keeps: Callable[[T], bool] = lambda _: True,
        following: Following | None = None,
    ) -> None:
        self._api = api
        self._path = path
        self._kind = kind
        self._on_change = on_change
        self._on_sync = on_sync
        self._following = following or Following()
        self._backoff = Backoff(self._following.pace, random.random)
        self._lock = threading.Lock()  # over the next three
        self._cache = Cache[T](keeps)
        self._watch: Watch | None = None
        self._lost_at: float | None = time.monotonic()
        self._version = ""
        self._opened_at = math.inf
        self._trouble = "not listed yet"
        self._synced = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reflector {path}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End; no call is made any more once this has returned, or at most the one under way."""
        self._stopping.set()
        with self._lock:
            watch = self._watch
        if watch:
            watch.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    @property
    def is_synced(self) -> bool:
        """Tell whether a complete list was delivered once."""
        return self._synced.is_set()

    def wait_synced(self, timeout_s: float) -> bool:
        """Wait for that; tell whether it came in time."""
        return self._synced.wait(timeout_s)

    def is_stale(self, now_s: float) -> bool:
        """Tell whether the server has been away too long at `now_s` of the monotonic clock."""
        with self._lock:
            lost_at = self._lost_at
        return lost_at is not None and now_s - lost_at > self._following.stale_after_s

    @property
    def trouble(self) -> str:
        """Say what is wrong with the connection; empty while all is well."""
        return self._trouble

    def items(self) -> tuple[T, ...]:
        """Return all objects known."""
        with self._lock:
            return self._cache.items()

    def find(self, namespace: str, name: str) -> T | None:
        """Return the object of that name (no namespace: ""), or None."""
        with self._lock:
            return self._cache.find(namespace, name)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._opened_at = math.inf
            asked_s = None
            try:
                self._follow()
            except ApiError as error:
                asked_s = error.retry_after_s
                self._lose(error)
            except Exception:  # noqa: BLE001 (a service loop, logged)
                _log.exception("event=reflector_failed path=%s", self._path)
                self._version = ""
            self._stopping.wait(self._backoff.after(time.monotonic() - self._opened_at, asked_s))

    def _follow(self) -> None:
        """List if need be, then watch once, until the watch ends."""
        if not self._version:
            self._list()
        try:
            self._watch_once()
        except ApiError as error:
            if error.status not in _PASSING:
                self._version = ""
            raise

    def _list(self) -> None:
        listed = list_all(self._api, self._path, self._kind, self._following.params())
        if self._stopping.is_set():
            return
        with self._lock:
            changes = self._cache.replace(listed.items)
        self._tell(changes)
        self._version = listed.resource_version
        self._find_again()
        self._synced.set()
        self._call(self._on_sync)
        _log.info("event=listed path=%s items=%d", self._path, len(listed.items))

    def _watch_once(self) -> None:
        following = self._following
        params = following.params() | {
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": random.randint(following.shortest_watch_s, following.longest_watch_s),  # noqa: S311
        }
        with self._watching(self._api.watch(self._path, params, following.silence_s)) as watch:
            self._opened_at = time.monotonic()
            self._find_again()
            for line in watch:
                if self._stopping.is_set():
                    return
                self._take(line)

    @contextlib.contextmanager
    def _watching(self, watch: Watch) -> Iterator[Watch]:
        with self._lock:
            self._watch = watch
        if self._stopping.is_set():
            watch.close()
        try:
            yield watch
        finally:
            with self._lock:
                self._watch = None
            watch.close()

    def _take(self, line: bytes) -> None:
        event = decode_object(line, WatchEvent, self._path)
        if event is None:
            raise ApiUnreachable(f"watch of {self._path}: a line that is no event")
        if event.type == "ERROR":
            # Most say 410; the others too, so that no version that makes trouble is kept.
            self._version = ""
            status = decode_object(event.object, Status, self._path) or Status()
            raise ApiError(f"watch of {self._path}: {status.message}", status.code, status.reason)
        is_news = event.type != "BOOKMARK"
        item = decode_object(event.object, self._kind, self._path) if is_news else None
        if item is None:
            bookmark = msgspec.json.decode(event.object, type=Bookmark)
            version = bookmark.metadata.resource_version
        else:
            version = item.metadata.resource_version
            self._change(event.type, item)
        self._version = version or self._version

    def _change(self, event_type: str, item: T) -> None:
        with self._lock:
            is_gone = event_type == "DELETED"
            changes = self._cache.drop(item) if is_gone else self._cache.put(item)
        self._tell(changes)

    def _tell(self, changes: list[Change[T]]) -> None:
        for change in changes:
            if self._stopping.is_set():
                return
            self._call(self._on_change, change.verb, change.item)

    def _call(self, callback: Callable[..., None], *values: object) -> None:
        try:
            callback(*values)
        except Exception:  # noqa: BLE001 (a service loop, logged)
            _log.exception("event=callback_failed path=%s", self._path)

    def _lose(self, error: ApiError) -> None:
        with self._lock:
            self._lost_at = self._lost_at or time.monotonic()
        if not self._stopping.is_set() and self._trouble != str(error):
            self._trouble = str(error)
            _log.warning("event=lost path=%s error=%r", self._path, self._trouble)

    def _find_again(self) -> None:
        with self._lock:
            self._lost_at = None
        if self._trouble:
            self._trouble = ""
            _log.info("event=connected path=%s", self._path)
