"""Writes events that `kubectl describe` shows, without making anyone wait.

Events are advice: they are queued, written by one thread, counted together where they are equal,
and dropped, with a line in the log, where the API server does not take them.
"""

import datetime as dt
import logging
import queue
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Final, Literal

from .aggregation import Aggregator, is_written
from .api import ApiServer
from .backoff import Backoff, Pace
from .errors import ApiError
from .objects import Meta

LONGEST_NOTE_BYTES: Final = 1024
_QUEUED: Final = 1000
_TRIES: Final = 4
_PASSING: Final = frozenset({0, 429, 500, 502, 503, 504})
_API: Final = "/apis/events.k8s.io/v1/namespaces"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an event is about."""

    kind: Literal["Pod", "Node", "Deployment"]
    name: str
    namespace: str = ""
    uid: str = ""

    @classmethod
    def pod(cls, meta: Meta) -> "Regarding":
        """Return a pod."""
        return cls("Pod", meta.name, meta.namespace, meta.uid)

    @classmethod
    def node(cls, name: str) -> "Regarding":
        """Return a node; its UID in events is its name, as the kubelet writes it."""
        return cls("Node", name, uid=name)

    @property
    def event_namespace(self) -> str:
        """Return where its events stand."""
        return self.namespace or "default"


@dataclass(frozen=True, slots=True)
class _Said:
    regarding: Regarding
    type: str
    reason: str
    action: str
    note: str


class EventWriter:
    """Posts events in the name of one part of gshare."""

    def __init__(
        self, api: ApiServer, reporting_controller: str, instance: str, pace: Pace | None = None
    ) -> None:
        self._api = api
        self._controller = reporting_controller
        self._instance = instance
        self._backoff_pace = pace or Pace()
        self._queue: queue.Queue[_Said | None] = queue.Queue(_QUEUED)
        self._aggregator = Aggregator()  # the thread's alone
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def post(
        self,
        regarding: Regarding,
        event_type: Literal["Normal", "Warning"],
        reason: str,
        action: str,
        note: str,
    ) -> None:
        """Say `note` about an object: what was tried (`action`) and what came of it (`reason`)."""
        said = _Said(regarding, event_type, reason, action, shortened(note))
        try:
            self._queue.put_nowait(said)
        except queue.Full:
            _log.warning("event=event_dropped reason=%s note=%r", reason, note)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, for at most `timeout_s`, and end."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            self._stopping.set()
        self._thread.join(timeout_s)
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            said = self._queue.get()
            if said is None:
                return
            try:
                self._handle(said)
            except Exception:  # noqa: BLE001 (a service loop, logged)
                _log.exception("event=event_failed reason=%s", said.reason)

    def _handle(self, said: _Said) -> None:
        count = self._aggregator.count(said, time.monotonic())
        if is_written(count):
            self._persist(said, count)

    def _persist(self, said: _Said, count: int) -> None:
        """Write, and try again for a few seconds where the server is away."""
        backoff = Backoff(self._backoff_pace, secrets.SystemRandom().random)
        for left in reversed(range(_TRIES)):
            try:
                self._write(said, count)
            except ApiError as error:
                if error.status in _PASSING and left and not self._stopping.is_set():
                    self._stopping.wait(backoff.after(0.0, error.retry_after_s))
                    continue
                _log.warning("event=event_dropped reason=%s error=%r", said.reason, str(error))
            return

    def _write(self, said: _Said, count: int) -> None:
        path = f"{_API}/{said.regarding.event_namespace}/events"
        name = self._aggregator.name_of(said)
        if name and count > 1:
            try:
                self._api.patch(f"{path}/{name}", {"series": _series(count)})
            except ApiError as error:
                if error.status != 404:
                    raise
            else:
                return
        name = f"{said.regarding.name[:220]}.{secrets.token_hex(8)}"
        self._api.post(path, self._body(said, name, count))
        self._aggregator.written(said, name)

    def _body(self, said: _Said, name: str, count: int) -> dict[str, object]:
        about = said.regarding
        body: dict[str, object] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": about.event_namespace},
            "eventTime": _now(),
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "action": said.action,
            "reason": said.reason,
            "type": said.type,
            "note": said.note,
            "regarding": {
                "apiVersion": "apps/v1" if about.kind == "Deployment" else "v1",
                "kind": about.kind,
                "name": about.name,
                **({"namespace": about.namespace} if about.namespace else {}),
                **({"uid": about.uid} if about.uid else {}),
            },
        }
        return body | ({"series": _series(count)} if count > 1 else {})


def shortened(note: str) -> str:
    """Return `note` within what the API takes."""
    encoded = note.encode()
    if len(encoded) <= LONGEST_NOTE_BYTES:
        return note
    return encoded[: LONGEST_NOTE_BYTES - 3].decode(errors="ignore") + "..."


def _series(count: int) -> dict[str, object]:
    return {"count": count, "lastObservedTime": _now()}


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
