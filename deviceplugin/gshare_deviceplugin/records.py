"""What the node remembers of its leases: one file each, and one file for each GPU's layout.

    STATE/records/<digest>.json    a lease; the file is the lease, whatever else is missing
    STATE/gpus/<uuid>/layout.json  where leases lie; names that are no lease's are ignored
    STATE/node.json                how many GPUs there were: what is offered until they are found

Every file is replaced in one step. A file that cannot be read is a lease of nobody: it is removed,
and its container makes a new one at its next start.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gshare.layout import Layout
from gshare.modes import Timetable
from gshare.runtime import layouts
from gshare.runtime.state import write_atomically

from .lease import Lease, Owner

_log = logging.getLogger(__name__)


class Records:
    """The files of one node. Call with the keeper's lock held."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "records"
        self._gpus = state / "gpus"
        self._node = state / "node.json"

    def gpu(self, uuid: str) -> Path:
        """Return the folder of one GPU."""
        return self._gpus / uuid

    def gpus(self) -> frozenset[str]:
        """Return the GPUs that have a folder."""
        return frozenset(entry.name for entry in _entries(self._gpus) if entry.is_dir())

    def leases(self) -> dict[str, Lease]:
        """Return all leases, by digest; unreadable files are removed."""
        found = {}
        for file in sorted(_entries(self._folder)):
            if file.suffix != ".json":
                continue
            try:
                found[file.stem] = _lease(json.loads(file.read_text()))
            except FileNotFoundError:
                continue  # ended meanwhile, where the reader is not the keeper
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("event=record_unreadable file=%s error=%r", file.name, str(error))
                file.unlink()
        return found

    def write(self, lease: Lease) -> None:
        """Make or replace a lease."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._folder / f"{lease.digest}.json", json.dumps(asdict(lease)))

    def remove(self, digest: str) -> None:
        """End a lease; safe to repeat."""
        (self._folder / f"{digest}.json").unlink(missing_ok=True)

    def layout(self, uuid: str) -> Timetable:
        """Return the layout last written for a GPU; empty where there is none that can be read."""
        try:
            return layouts.read(self.gpu(uuid))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            _log.warning("event=layout_unreadable gpu=%s error=%r", uuid, str(error))
            return Layout()

    def write_layout(self, uuid: str, layout: Timetable) -> None:
        """Write where the leases of a GPU lie."""
        layouts.write(self.gpu(uuid), layout)

    def gpu_count(self) -> int:
        """Return how many GPUs the node had when last seen; 0 where that is not known."""
        try:
            return int(json.loads(self._node.read_text())["gpus"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0

    def write_gpu_count(self, count: int) -> None:
        """Remember how many GPUs the node has."""
        self._node.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._node, json.dumps({"gpus": count}))


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except FileNotFoundError:
        return


def _lease(raw: dict[str, Any]) -> Lease:
    known = {name: raw[name] for name in Lease.__slots__ if name in raw}  # older ones have fewer
    return Lease(**{**known, "owner": Owner(**raw["owner"])})
