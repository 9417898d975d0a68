"""Leases on one GPU's directory: folders, limits pages and timetable, made to agree with a list.

Level-triggered: the caller says which leases there are, and `prepare` then `enforce` make it so,
whatever a killed process left behind. The order is the contract with the token daemon:

  prepare   a folder with complete limits for every lease, and who it is to the model store where
            that is known, then the timetable that names it
  (the caller sees to it that a daemon runs; it reads the timetable when it starts)
  enforce   the daemon reads the timetable again; folders that it no longer names are removed

Used by `gshare up` and by the Kubernetes node agent alike.
"""

import errno
import mmap
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gshare import names, wire
from gshare.wire import Limits

from . import stores, tokend
from .stores import Identity

_NOBODY: Final[Mapping[str, Identity]] = MappingProxyType({})
_REMOVALS: Final = 20
_SEQUENCE_OFFSET: Final = wire.HEADER.size
_SEQUENCE: Final = struct.Struct("=I")
_BODY: Final = _SEQUENCE_OFFSET + _SEQUENCE.size


def folder_of(gpu: Path, lease_id: str) -> Path:
    """Return a lease's folder in a GPU's directory."""
    return gpu / names.FOLDER_LEASES / lease_id


def prepare(
    gpu: Path, wanted: Sequence[Limits], identities: Mapping[str, Identity] = _NOBODY
) -> None:
    """Make folders and limits pages for all of `wanted`, then the timetable that names them.

    A lease that has one of `identities`, by id, is served by the GPU's model store.
    """
    named = _named(gpu)
    for each in wanted:
        folder = folder_of(gpu, each.lease_id)
        if folder.exists() and each.lease_id not in named:
            _remove(folder)  # left by a killed run: its pages are another lease's
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # a container's processes are of any user, whatever our umask
        _write_limits(folder / names.FILE_LIMITS, each)
        if each.lease_id in identities:
            stores.write_identity(folder, identities[each.lease_id])
    tokend.write_timetable(gpu, wanted)


def enforce(gpu: Path, wanted: Sequence[Limits]) -> None:
    """Have the running daemon follow the timetable, then remove folders that it does not name.

    GshareError if the daemon refuses the timetable or does not answer.
    """
    tokend.Control(gpu).reload()
    kept = {each.lease_id for each in wanted}
    for folder in (gpu / names.FOLDER_LEASES).iterdir():
        if folder.name not in kept:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a lease's folder; a store that read the last timetable may just be binding in it."""
    for _ in range(_REMOVALS):
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return
    shutil.rmtree(folder)


def _write_limits(file: Path, limits: Limits) -> None:
    """Write a new page whole; change one in use under its sequence word, odd while it changes."""
    if not file.exists():
        draft = file.with_name(f".{file.name}.new")
        draft.write_bytes(wire.pack_limits(limits))
        draft.chmod(0o644)
        draft.replace(file)
        return
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), wire.LIMITS_BYTES) as page:
        (sequence,) = _SEQUENCE.unpack_from(page, _SEQUENCE_OFFSET)
        changing = sequence | 1  # odd already if a node was killed here
        whole = wire.pack_limits(limits, changing + 1)
        if sequence % 2 == 0 and page[_BODY:] == whole[_BODY:]:
            return
        _SEQUENCE.pack_into(page, _SEQUENCE_OFFSET, changing)
        page[_BODY:] = whole[_BODY:]
        _SEQUENCE.pack_into(page, _SEQUENCE_OFFSET, changing + 1)


def _named(gpu: Path) -> set[str]:
    """Return the leases that the present timetable names."""
    try:
        lines = (gpu / names.FILE_TIMETABLE).read_text().splitlines()
    except FileNotFoundError:
        return set()
    return {line.split()[1] for line in lines[1:]}
