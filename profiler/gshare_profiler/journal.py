"""The trials that are done, on disk, so that an interrupted profile goes on where it stopped.

One JSON object a line: first what is profiled and how, then one trial each. A line is whole or it
is not there: what a killed writer left of one is cut off at the next start. The file is locked
while a profile runs, so two never write one.
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import msgspec

from gshare.errors import GshareError

from .trial import Measured

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one shape; `measured` is None where it failed, `reason` says why then."""

    sm: int
    quota: int
    attempts: int
    seconds: float
    measured: Measured | None = None
    reason: str = ""


Subject = Mapping[str, object]
"""All that trials depend on, as JSON: trials of another subject are not ours."""


class Journal:
    """The file of one profile's trials; made by `open`, held until its block ends."""

    def __init__(self, file: BinaryIO, trials: list[Trial]) -> None:
        self._file = file
        self.trials = trials

    @classmethod
    def open(cls, path: Path, subject: Subject, *, fresh: bool = False) -> "Journal":
        """Open or make the journal of `subject`; `fresh` forgets what is there.

        GshareError where another profile writes it, or it is of another subject.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
        try:
            _lock(file, path)
            trials = [] if fresh else _read(file, path, subject)
            if not trials:
                file.truncate(0)
                _append(file, {"version": _VERSION, "subject": subject})
        except BaseException:
            file.close()
            raise
        return cls(file, trials)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the file go."""
        self._file.close()

    def add(self, trial: Trial) -> None:
        """Keep a trial; it is on disk when this returns."""
        _append(self._file, trial)
        self.trials.append(trial)


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise GshareError(f"{path}: another `gshare profile` is writing it") from error


def _append(file: BinaryIO, entry: object) -> None:
    file.write(msgspec.json.encode(entry) + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _read(file: BinaryIO, path: Path, subject: Subject) -> list[Trial]:
    """Return the whole trials of `file`, and cut off what is left of another one."""
    file.seek(0)
    whole = file.read().rpartition(b"\n")[0]
    if not whole:
        return []
    file.truncate(len(whole) + 1)
    head, *lines = whole.split(b"\n")
    try:
        written = msgspec.json.decode(head)
        trials = [msgspec.json.decode(line, type=Trial) for line in lines]
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise GshareError(
            f"{path}: is no journal of trials: {error}; --fresh makes it anew"
        ) from error
    if not trials:
        return []
    wanted = msgspec.json.decode(msgspec.json.encode({"version": _VERSION, "subject": subject}))
    if written != wanted:
        raise GshareError(
            f"{path}: holds trials of something else ({_difference(written, wanted)}): --fresh "
            "forgets them, --output writes elsewhere"
        )
    return trials


def _difference(written: object, wanted: dict[str, object]) -> str:
    """Return the first thing that differs, as people read it."""
    if not isinstance(written, dict) or written.get("version") != _VERSION:
        return "of another version"
    before, now = written.get("subject"), wanted["subject"]
    if not isinstance(before, dict) or not isinstance(now, dict):
        return "of another kind"
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            return f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
    return "in another order"
