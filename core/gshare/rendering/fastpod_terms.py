"""Reads what a FaSTPod asks of a GPU: four annotations, in either of the forms that were in use.

FaST-GShare's code says `fastgshare/gpu_quota_request`, its slides `faasshare/quota_request`; both
prefixes are taken with and without `gpu_`. Quotas are parts of the time from 0 to 1, the SM
partition is a percent, memory is in bytes.
Source: KontonGu/FaST-GShare, pkg/apis/fastgshare.caps.in.tum/v1/types.go and the ICPP 2023 slides.
"""

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from gshare import names, units
from gshare.workload.fields import Field

from .notes import Note
from .plain import Object

PREFIXES: Final = ("fastgshare/", "faasshare/")
_STEMS: Final = ("sm_partition", "quota_request", "quota_limit", "mem")
_PART: Final = "must be a part of the time above 0 and at most 1, such as 0.4"


@dataclass(frozen=True, slots=True)
class Terms:
    """A FaSTPod's rectangle and caps, in gshare's units, and what was rounded on the way."""

    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int | None
    memory_bytes: int | None
    notes: tuple[Note, ...] = ()

    @property
    def resources(self) -> Object:
        """Return the container's limits that say it."""
        return {
            names.RESOURCE_SM: self.sm_percent,
            names.RESOURCE_QUOTA: self.quota_request_percent,
        }

    @property
    def annotations(self) -> dict[str, str]:
        """Return the pod's annotations that say it."""
        found = {}
        if self.quota_limit_percent is not None:
            found[names.ANNOTATION_QUOTA_LIMIT] = str(self.quota_limit_percent)
        if self.memory_bytes is not None:
            found[names.ANNOTATION_GPU_MEM] = str(self.memory_bytes)
        return found


def read(annotations: Field) -> Terms:
    """Return what the FaSTPod with `annotations` asks; InputError where that is no rectangle."""
    sm, request, limit, memory = (_written(annotations, stem) for stem in _STEMS)
    for needed in (sm, request):
        if needed.is_absent:
            needed.refuse("is missing: a rectangle needs both SM partition and quota request")
    least = _percent_of_time(request)
    most = None if limit.is_absent else _percent_of_time(limit)
    if most is not None and most < least:
        limit.refuse(f"must be at least the quota request, {least / 100:g}")
    return Terms(
        sm.read(units.whole_percent),
        least,
        most,
        None if memory.is_absent else memory.read(units.memory_bytes),
        tuple(note for each in (request, limit) for note in _rounding(each)),
    )


def is_term(key: str) -> bool:
    """Tell whether the annotation `key` is one of the four."""
    return key in {name for stem in _STEMS for name in _names(stem)}


def _names(stem: str) -> list[str]:
    return [f"{prefix}{gpu}{stem}" for prefix in PREFIXES for gpu in ("gpu_", "")]


def _written(annotations: Field, stem: str) -> Field:
    """Return the one annotation that says `stem`, absent where none does."""
    fields = [annotations.child(name) for name in _names(stem)]
    written = [field for field in fields if not field.is_absent]
    if len(written) > 1:
        written[1].refuse(f"says again what {written[0].path} says: keep one")
    if written:
        return written[0]
    old = any(key.startswith(PREFIXES[1]) for key, _ in annotations.items())
    return fields[3 if old else 0]


def _percent_of_time(field: Field) -> int:
    """Return the percent that a part of the time means, the next whole one where it is between."""
    return math.ceil(_part(field) * 100)


def _part(field: Field) -> Decimal:
    if isinstance(field.value, bool):
        field.refuse(_PART)
    try:
        part = Decimal(str(field.value))
        is_part = 0 < part <= 1
    except InvalidOperation:
        is_part = False
    if not is_part:
        field.refuse(_PART)
    return part


def _rounding(field: Field) -> list[Note]:
    if field.is_absent:
        return []
    percent = _percent_of_time(field)
    if _part(field) * 100 == percent:
        return []
    return [Note.on(field, f"{field.value} of the time became {percent} %, the next whole percent")]
