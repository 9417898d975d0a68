"""Reads and writes a profile's JSON, version 1. A refusal names the file, the field, the value.

```json
{"version": 1, "function": "resnet", "simulated": true, "slo_ms": 69,
 "gpu": {"model": "Tesla V100-SXM2-16GB", "sms": 80, "memory": 17179869184},
 "points": [{"sm": 12, "quota": 40, "throughput": 27.4,
             "latency_ms": {"p50": 31, "p95": 44, "p99": 52}, "memory": 1599078400,
             "gpu_utilization": 0.4, "sm_occupancy": 0.048, "trials": 1}],
 "failed": [{"sm": 6, "quota": 20, "reason": "not ready within 60 s"}],
 "law": {"throughput": {"level": 76.2, "quota_exponent": 1, "bend": 8.5, "sharpness": 3},
         "p99": {"level": 58, "quota_exponent": 0.7, "bend": 5, "sharpness": 3},
         "throughput_error": 0.03, "p99_error": 0.1},
 "note": "where it comes from"}
```
`sm` and `quota` are whole percents, `memory` is in bytes, `throughput` in requests per second.
`simulated`, `slo_ms`, `failed`, `law`, `note` and a point's last three fields may be left out.
Fields that this version does not know are ignored; another version is refused.
"""

import functools
import json
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

from gshare.errors import InputError
from gshare.workload.fields import Field

from .trend import Law, Trend
from .values import FailedPoint, Latency, Point, Profile, ProfiledGpu, ProfileError, is_slower

VERSION: Final = 1
_LARGEST: Final = 2.0**63
_T = TypeVar("_T")


def read(text: str, where: str) -> Profile:
    """Return the profile that `text` is; `where` names the file or object in a ProfileError."""
    try:
        return _profile(Field(where, "profile", _parsed(text, where)))
    except ProfileError:
        raise
    except InputError as error:
        raise ProfileError(error.source, error.field, error.value, error.problem) from error


def write(profile: Profile) -> str:
    """Return the JSON of `profile`, which `read` takes back to an equal one."""
    entry: dict[str, object] = {
        "version": VERSION,
        "function": profile.function,
        "simulated": profile.is_simulated,
        "gpu": {
            "model": profile.gpu.model,
            "sms": profile.gpu.sm_count,
            "memory": profile.gpu.memory_bytes,
        },
    }
    optional: dict[str, object] = {
        "slo_ms": profile.slo_ms,
        "law": _law_entry(profile.law) if profile.law else None,
        "note": profile.note or None,
    }
    entry |= {name: value for name, value in optional.items() if value is not None}
    entry["points"] = [_point_entry(point) for point in profile.points]
    entry["failed"] = [
        {"sm": each.sm_percent, "quota": each.quota_percent, "reason": each.reason}
        for each in profile.failed
    ]
    return _text(entry)


def _text(entry: dict[str, object]) -> str:
    """Return the JSON of `entry`, each field and each element of a list on its own line."""
    lines = [f" {json.dumps(name)}: {_value_text(value)}" for name, value in entry.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _value_text(value: object) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value)
    return "[\n  " + ",\n  ".join(json.dumps(each) for each in value) + "\n ]"


def _parsed(text: str, where: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1][:40] if text.strip() else ""
        place = f"line {error.lineno} column {error.colno}"
        raise ProfileError(where, place, line, f"is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise ProfileError(where, "profile", text[:40], f"is not JSON: {error}") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _profile(found: Field) -> Profile:
    version = found.child("version")
    if version.value != VERSION or isinstance(version.value, bool):
        version.refuse(f"must be {VERSION}, the version of profiles that this gshare reads")
    slo = found.child("slo_ms")
    law = found.child("law")
    return _built(
        found,
        lambda: Profile(
            found.child("function").name(),
            _gpu(found.child("gpu")),
            _points(found.child("points")),
            _boolean(found.child("simulated")),
            None if slo.is_absent else slo.read(_positive),
            tuple(_failed(each) for each in found.child("failed").elements()),
            None if law.is_absent else _law(law),
            found.child("note").text(""),
        ),
    )


def _built(found: Field, build: Callable[[], _T]) -> _T:
    """Return what `build` makes; its ValueError refuses `found`."""
    try:
        return build()
    except ValueError as error:
        found.refuse(str(error))


def _gpu(found: Field) -> ProfiledGpu:
    if found.is_absent:
        found.refuse("is missing")
    return ProfiledGpu(
        found.child("model").name(),
        found.child("sms").read(_whole),
        found.child("memory").read(_whole),
    )


def _points(found: Field) -> tuple[Point, ...]:
    elements = found.elements()
    if not elements:
        found.refuse("must hold one point or more")
    points: list[tuple[Field, Point]] = []
    for element in elements:
        point = _built(element, functools.partial(_point, element))
        for _, other in points:
            _check_pair(element, point, other)
        points.append((element, point))
    return tuple(point for _, point in points)


def _check_pair(element: Field, point: Point, other: Point) -> None:
    shape = f"SM {other.sm_percent} quota {other.quota_percent}"
    if point.key == other.key:
        element.child("sm").refuse(f"is a second point of {shape}: keep one")
    known = f"the {other.throughput_rps:g} of {shape}"
    if is_slower(point, other):
        element.child("throughput").refuse(f"is less than {known}, a smaller shape: measure again")
    if is_slower(other, point):
        element.child("throughput").refuse(f"is more than {known}, a larger shape: measure again")


def _point(found: Field) -> Point:
    utilization, occupancy = found.child("gpu_utilization"), found.child("sm_occupancy")
    return Point(
        found.child("sm").read(_percent),
        found.child("quota").read(_percent),
        found.child("throughput").read(_positive),
        _latency(found.child("latency_ms")),
        found.child("memory").read(_whole),
        None if utilization.is_absent else utilization.read(_ratio),
        None if occupancy.is_absent else occupancy.read(_ratio),
        found.child("trials").integer(1, 1),
    )


def _latency(found: Field) -> Latency:
    if found.is_absent:
        found.refuse("is missing")
    percentiles = [found.child(name).read(_positive) for name in ("p50", "p95", "p99")]
    return _built(found, lambda: Latency(*percentiles))


def _failed(found: Field) -> FailedPoint:
    return FailedPoint(
        found.child("sm").read(_percent),
        found.child("quota").read(_percent),
        found.child("reason").name(),
    )


def _law(found: Field) -> Law:
    errors = [found.child(f"{name}_error") for name in ("throughput", "p99")]
    return Law(
        _trend(found.child("throughput")),
        _trend(found.child("p99")),
        *(0.0 if error.is_absent else error.read(_number) for error in errors),
    )


def _trend(found: Field) -> Trend:
    if found.is_absent:
        found.refuse("is missing")
    return Trend(
        found.child("level").read(_positive),
        found.child("quota_exponent").read(_number),
        found.child("bend").read(_positive),
        found.child("sharpness").read(_positive),
    )


def _boolean(found: Field) -> bool:
    if found.value is not None and not isinstance(found.value, bool):
        found.refuse("must be true or false")
    return bool(found.value)


def _number(value: object) -> float:
    if value is None:
        raise ValueError("is missing")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number, not in quotes")  # noqa: TRY004 (one error for callers)
    if not -_LARGEST <= value <= _LARGEST:
        raise ValueError("must be a number that is not that large")
    return float(value)


def _positive(value: object) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError("must be above 0")
    return number


def _ratio(value: object) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("must be from 0 to 1")
    return number


def _whole(value: object) -> int:
    number = _positive(value)
    if number != int(number):
        raise ValueError("must be a whole number")
    return int(number)


def _percent(value: object) -> int:
    if not 1 <= _number(value) <= 100 or not isinstance(value, int):
        raise ValueError("must be a whole percent from 1 to 100")
    return value


def _point_entry(point: Point) -> dict[str, object]:
    entry: dict[str, object] = {
        "sm": point.sm_percent,
        "quota": point.quota_percent,
        "throughput": point.throughput_rps,
        "latency_ms": {
            "p50": point.latency.p50_ms,
            "p95": point.latency.p95_ms,
            "p99": point.latency.p99_ms,
        },
        "memory": point.memory_bytes,
    }
    measured = {"gpu_utilization": point.gpu_utilization, "sm_occupancy": point.sm_occupancy}
    entry |= {name: value for name, value in measured.items() if value is not None}
    return entry | {"trials": point.trials}


def _law_entry(law: Law) -> dict[str, object]:
    return {
        "throughput": _trend_entry(law.throughput),
        "p99": _trend_entry(law.p99),
        "throughput_error": law.throughput_error,
        "p99_error": law.p99_error,
    }


def _trend_entry(trend: Trend) -> dict[str, float]:
    return {
        "level": trend.level,
        "quota_exponent": trend.quota_exponent,
        "bend": trend.bend_percent,
        "sharpness": trend.sharpness,
    }
