"""What a FakeApiServer holds: objects, what became of them, and what was asked."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .fake_api_troubles import Answer, BindTrouble, Trouble

Object = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    at_s: float
    method: str
    path: str
    params: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str]

    @property
    def is_watch(self) -> bool:
        return self.params.get("watch") == "true"


@dataclass
class FakeApiState:
    """Holds objects and a history of what became of them; threads may use it at once."""

    asked: list[Asked] = field(default_factory=list)
    list_troubles: deque[Trouble | None] = field(default_factory=deque)
    watch_troubles: deque[Trouble | None] = field(default_factory=deque)
    """One each for the next requests of the kind; None for a good one."""
    bind_troubles: deque[BindTrouble | None] = field(default_factory=deque)
    guarded: set[str] = field(default_factory=set)
    """Names of pods whose disruption budget lets none of them go."""
    every_watch: Trouble | None = None
    every_list: Answer | None = None
    texts: dict[str, str] = field(default_factory=dict)
    """Fixed answers by path, such as a pod's metrics through the proxy."""
    later_texts: dict[str, str] = field(default_factory=dict)
    """What takes the place of such an answer once it was given."""
    refused: dict[str, Answer] = field(default_factory=dict)
    """Errors by path, for any method."""
    page: int = 500
    clock_ahead_s: float = 0.0
    """How far its clock is ahead of everybody else's."""

    def __post_init__(self) -> None:
        """Begin empty."""
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._history: list[tuple[int, str, str, Object]] = []
        self._version = 100
        self._oldest = 0
        self._changed = threading.Condition()
        self.is_ending = threading.Event()

    def put(self, plural: str, body: Object) -> Object:
        """Create or change an object of `plural`, such as "pods"."""
        meta = body.setdefault("metadata", {})
        key = plural, meta.get("namespace", ""), meta["name"]
        with self._changed:
            self._version += 1
            known = self._objects.get(key)
            meta.setdefault("uid", known["metadata"]["uid"] if known else f"uid-{self._version}")
            meta["resourceVersion"] = str(self._version)
            copy = json.loads(json.dumps(body))
            self._objects[key] = copy
            verb = "MODIFIED" if known else "ADDED"
            self._history.append((self._version, verb, plural, copy))
            self._changed.notify_all()
        return copy

    def drop(self, plural: str, name: str, namespace: str = "") -> None:
        """Delete an object."""
        with self._changed:
            self._version += 1
            gone = json.loads(json.dumps(self._objects.pop((plural, namespace, name))))
            gone["metadata"]["resourceVersion"] = str(self._version)
            self._history.append((self._version, "DELETED", plural, gone))
            self._changed.notify_all()

    def forget(self) -> None:
        """Forget the history, so that watches from before it get 410."""
        with self._changed:
            self._version += 1
            self._history.clear()
            self._oldest = self._version

    def writing(self) -> threading.Condition:
        """Return what is to be held from reading an object to writing it."""
        return self._changed

    def find(self, plural: str, namespace: str, name: str) -> Object | None:
        with self._changed:
            return self._objects.get((plural, namespace, name))

    def select(self, plural: str, namespace: str | None, params: Mapping[str, str]) -> list[Object]:
        with self._changed:
            return [
                each
                for (kind, where, _), each in sorted(self._objects.items())
                if kind == plural and namespace in {None, where} and _matches(each, params)
            ]

    @property
    def version(self) -> int:
        return self._version

    @property
    def oldest(self) -> int:
        return self._oldest

    def events_after(self, version: int, plural: str, timeout_s: float) -> list[tuple[int, bytes]]:
        """Return the watch lines after `version`; wait for one for up to `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_newer(version, plural), timeout_s)
            return [
                (at, json.dumps({"type": verb, "object": what}).encode() + b"\n")
                for at, verb, kind, what in self._history
                if at > version and kind == plural
            ]

    def _has_newer(self, version: int, plural: str) -> bool:
        for at, _, kind, _ in reversed(self._history):
            if at <= version:
                return False
            if kind == plural:
                return True
        return False

    def watches(self) -> list[Asked]:
        """Return the watches asked for."""
        return [each for each in self.asked if each.is_watch]

    def lists(self) -> list[Asked]:
        """Return the other GETs."""
        return [each for each in self.asked if each.method == "GET" and not each.is_watch]


def _matches(body: Object, params: Mapping[str, str]) -> bool:
    for term in filter(None, params.get("fieldSelector", "").split(",")):
        path, _, wanted = term.replace("==", "=").partition("=")
        value: Any = body
        for key in path.rstrip("!").split("."):
            value = value.get(key, "") if isinstance(value, dict) else ""
        if (value == wanted) == path.endswith("!"):
            return False
    labels = body["metadata"].get("labels", {})
    for term in filter(None, params.get("labelSelector", "").split(",")):
        key, equals, wanted = term.partition("=")
        if key not in labels or (equals and labels[key] != wanted):
            return False
    return True
