"""Converts whole files of FaST-GShare: FaSTPods become Deployments, all else stays as it is."""

from dataclasses import dataclass
from typing import Final

from gshare.errors import InputError
from gshare.workload import manifest
from gshare.workload.fields import Field

from . import fastpod
from .notes import Note
from .plain import Object, plain

_FASTPOD: Final = "FaSTPod"
_FASTFUNC: Final = "FaSTFunc"


@dataclass(frozen=True, slots=True)
class Conversion:
    """The objects that a file became, in its order, and what the user should know of them."""

    objects: tuple[Object, ...]
    notes: tuple[Note, ...]


def convert(source: str, text: str) -> Conversion:
    """Return what the YAML `text` of the file `source` becomes.

    InputError, naming file, field and value, for the first thing that is wrong, and where there is
    no FaSTPod in it.
    """
    objects: list[Object] = []
    notes: list[Note] = []
    kinds = []
    for item in manifest.objects(source, text):
        kinds.append(item.child("kind").name())
        written, remarks = _convert(kinds[-1], item)
        objects.extend(written)
        notes.extend(remarks)
    if _FASTPOD not in kinds:
        raise InputError(source, "kind", ", ".join(kinds)[:80], f"holds no {_FASTPOD}")
    return Conversion(tuple(objects), tuple(notes))


def _convert(kind: str, item: Field) -> tuple[list[Object], list[Note]]:
    named = Field(item.source, f"{kind}/{item.at('metadata', 'name').name()}", item.value)
    if kind == _FASTPOD:
        deployment, notes = fastpod.deployment(named)
        return [deployment], notes
    if kind == _FASTFUNC:
        remark = "left out: it names no rectangle; profile its pod, then `gshare render`"
        return [], [Note.on(named, remark)]
    return [plain(named)], []
