"""Reads what the node writes in a GPU's folder: which leases there are, who they are, the budget.

Level-triggered: `read` looks at all of it, whatever the last look was. A file that is missing or
cannot be understood counts as the least that it could say, with one line in the log.
"""

import fcntl
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from gshare import models, names
from gshare.errors import GshareError
from gshare.models import ModelShare

from .terms import Identity, Terms, announced

_LOCK: Final = "store.lock"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the node wants of the store: its leases by id, and its terms."""

    leases: Mapping[str, Identity]
    terms: Terms
    is_partial: bool = False
    """Whether a lease is named whose identity cannot be read yet."""


@dataclass(slots=True)
class GpuFolder:
    """One GPU's folder."""

    path: Path
    quota_bytes: int | None = None
    _complaints: dict[str, str] = field(default_factory=dict)
    """What was said last of each file, so that each trouble is said once."""

    def read(self) -> Scene:
        """Return what stands in the folder now."""
        leases: dict[str, Identity] = {}
        shares: list[tuple[Identity, ModelShare]] = []
        named = self._named()
        for lease in named:
            found = self._lease(lease)
            if found is None:
                continue
            leases[lease], share = found
            if share is not None:
                shares.append((leases[lease], share))
        return Scene(leases, self._terms(shares), is_partial=len(leases) < len(named))

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Return what changes whenever the timetable or the budget does."""
        return tuple(
            _stamp(self.path / name) for name in (names.FILE_TIMETABLE, names.FILE_STORE_BUDGET)
        )

    def lease_path(self, lease: str) -> Path:
        """Return a lease's folder."""
        return self.path / names.FOLDER_LEASES / lease

    def _named(self) -> list[str]:
        """Return the leases that the timetable names; a name that leads elsewhere is none."""
        try:
            lines = (self.path / names.FILE_TIMETABLE).read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        words = [line.split() for line in lines[1:]]
        found = [each[1] for each in words if len(each) > 1 and each[0] == "lease"]
        return [each for each in found if "/" not in each and each not in {".", ".."}]

    def _lease(self, lease: str) -> tuple[Identity, ModelShare | None] | None:
        file = self.lease_path(lease) / names.FILE_IDENTITY
        raw = self._json(file)
        if raw is None:
            return None
        try:
            identity = Identity(_text(raw, "namespace"), _text(raw, "pod"), _text(raw, "function"))
            key, size = raw.get("model"), raw.get("model_bytes")
            share = None if key is None else models.ModelShare(_text(raw, "model"), size)
        except (ValueError, TypeError) as error:
            self._complain(file, str(error))
            return None
        return identity, share

    def _terms(self, shares: list[tuple[Identity, ModelShare]]) -> Terms:
        file = self.path / names.FILE_STORE_BUDGET
        raw = self._json(file) or {}
        try:
            return Terms(
                device_bytes=int(raw.get("device_bytes", 0)),
                host_bytes=int(raw.get("host_bytes", 0)),
                quota_bytes=self.quota_bytes,
                shared_from=frozenset(map(str, raw.get("shared_from", ()))),
                announced=announced(shares),
            )
        except (ValueError, TypeError) as error:
            self._complain(file, str(error))
            return Terms(quota_bytes=self.quota_bytes, announced=announced(shares))

    def _json(self, file: Path) -> dict[str, Any] | None:
        try:
            raw = json.loads(file.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._complain(file, str(error))
            return None
        if not isinstance(raw, dict):
            self._complain(file, "not a JSON object")
            return None
        self._complaints.pop(str(file), None)
        return raw

    def _complain(self, file: Path, problem: str) -> None:
        if self._complaints.get(str(file)) != problem:
            self._complaints[str(file)] = problem
            _LOG.warning("event=unreadable file=%s problem=%s", file, problem)


def lock_folder(folder: Path) -> TextIO:
    """Return the lock of a GPU's folder, as `lock_socket` does."""
    return _lock(folder / _LOCK, folder)


def lock_socket(path: Path) -> TextIO:
    """Return the lock of a socket, held until it is closed or the process ends.

    GshareError where another store holds it, or there is no such folder.
    """
    return _lock(path.with_name(f"{path.name}.lock"), path)


def _lock(path: Path, place: Path) -> TextIO:
    try:
        file = path.open("a")
    except OSError as error:
        raise GshareError(f"{place}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise GshareError(f"{place}: another model store serves it") from error
    return file


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _text(raw: Mapping[str, Any], field_name: str) -> str:
    value = raw.get(field_name)
    if not isinstance(value, str):
        raise TypeError(f"{field_name}: {value!r}: must be a text")
    return value
