"""Asks Prometheus for one number at a time, over its HTTP API.

A query that finds nothing, or finds what is old, is told apart from a Prometheus that does not
answer and from a query that it refuses: an operator cures each elsewhere. Nothing is tried twice:
the next round asks again.

Source: prometheus.io/docs/prometheus/latest/querying/api.
"""

import datetime as dt
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import msgspec
import urllib3
from msgspec import field
from urllib3.exceptions import HTTPError, ReadTimeoutError

from gshare.runtime.http_errors import cause
from gshare.scaling import Sample

from .conditions import Reason, TroubleError
from .queries import Query
from .settings import PrometheusSettings

_LONGEST_TEXT: Final = 200
_T = TypeVar("_T")


class _Data(msgspec.Struct, frozen=True, rename="camel"):
    result_type: str = ""
    result: msgspec.Raw = msgspec.Raw(b"[]")


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    status: str = ""
    data: _Data = field(default_factory=_Data)
    error_type: str = ""
    error: str = ""


class _Series(msgspec.Struct, frozen=True):
    value: tuple[float, str] = (0.0, "NaN")
    values: list[tuple[float, str]] = field(default_factory=list)
    metric: dict[str, str] = field(default_factory=dict)


class Prometheus:
    """One Prometheus; threads may share it. Every method raises TroubleError where it cannot."""

    def __init__(
        self, settings: PrometheusSettings, at_once: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._url = settings.url.rstrip("/") + "/api/v1/"
        self._pool = urllib3.PoolManager(
            maxsize=at_once,
            retries=False,
            timeout=urllib3.Timeout(total=settings.timeout_s),
            ca_certs=str(settings.ca_file) if settings.ca_file else None,
        )

    def ask(self, query: Query) -> Sample:
        """Return what `query` says now: one number that is not old."""
        data = self._call("query", query, {})
        sample = _sample(self._one(data, query), query)
        if abs(self._clock() - sample.at_s) > self._settings.stale_s:
            raise TroubleError(
                Reason.STALE_DATA,
                f"{_named(query)}: the value is of {_time(sample.at_s)}, over "
                f"{self._settings.stale_s:g} s away by this machine's clock",
            )
        return sample

    def nothing(self) -> Sample:
        """Return a rate of 0 as of now."""
        return Sample(self._clock(), 0.0)

    def history(self, query: Query, length_s: float, step_s: float) -> list[Sample]:
        """Return what `query` said at each step of the last `length_s`, oldest first.

        Steps without a number are left out.
        """
        end_s = self._clock()
        times = {"start": end_s - length_s, "end": end_s, "step": step_s}
        data = self._call("query_range", query, {key: f"{at:.3f}" for key, at in times.items()})
        series = _series(data, "matrix", query)
        if len(series) > 1:
            _refuse_many(series, query)
        values = series[0].values if series else []
        return [Sample(at, rate) for at, text in values if (rate := _number(text)) is not None]

    def _one(self, data: _Data, query: Query) -> tuple[float, str]:
        if data.result_type == "scalar":
            return _decoded(data.result, tuple[float, str])
        series = _series(data, "vector", query)
        if not series:
            raise TroubleError(
                Reason.NO_DATA,
                f"{_named(query)}: finds no series: is it scraped, and twice within the window?",
            )
        if len(series) > 1:
            _refuse_many(series, query)
        return series[0].value

    def _call(self, path: str, query: Query, fields: dict[str, str]) -> _Data:
        fields = {"query": query.promql, "timeout": f"{self._settings.timeout_s:g}s", **fields}
        try:
            response = self._pool.request(
                "POST",
                self._url + path,
                fields=fields,
                encode_multipart=False,
                headers=self._headers(),
            )
        except ReadTimeoutError as error:
            raise TroubleError(
                Reason.QUERY_TIMED_OUT,
                f"{_named(query)}: no answer within {self._settings.timeout_s:g} s",
            ) from error
        except (HTTPError, OSError) as error:
            raise TroubleError(
                Reason.PROMETHEUS_AWAY, f"Prometheus at {self._settings.url}: {cause(error)}"
            ) from error
        return self._data(response.status, response.data, query)

    def _data(self, status: int, content: bytes, query: Query) -> _Data:
        """Return what a good answer holds."""
        try:
            answer = msgspec.json.decode(content, type=_Answer)
        except (msgspec.DecodeError, msgspec.ValidationError):
            answer = _Answer()
        if status == 200 and answer.status == "success":
            return answer.data
        said = _shortened(answer.error) or "not an answer of Prometheus's API"
        if answer.error_type in {"bad_data", "execution"}:
            raise TroubleError(Reason.QUERY_REFUSED, f"{_named(query)}: Prometheus says: {said}")
        if answer.error_type in {"timeout", "canceled"}:
            raise TroubleError(Reason.QUERY_TIMED_OUT, f"{_named(query)}: Prometheus says: {said}")
        raise TroubleError(
            Reason.PROMETHEUS_AWAY, f"Prometheus at {self._settings.url}: {status} {said}"
        )

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "gshare"}
        token = self._settings.token_file
        if token is not None:
            headers["Authorization"] = f"Bearer {_token(token)}"
        return headers


def _series(data: _Data, kind: str, query: Query) -> list[_Series]:
    """Return the series of a result of that kind; TroubleError where it is of another."""
    if data.result_type != kind:
        raise TroubleError(
            Reason.QUERY_REFUSED, f"{_named(query)}: gives a {data.result_type}: must give a number"
        )
    return _decoded(data.result, list[_Series])


def _sample(pair: tuple[float, str], query: Query) -> Sample:
    at_s, text = pair
    rate = _number(text)
    if rate is None:
        raise TroubleError(Reason.NO_DATA, f"{_named(query)}: gives {text}: there is no data")
    if rate < 0 or math.isinf(rate):
        raise TroubleError(
            Reason.QUERY_REFUSED, f"{_named(query)}: gives {text}: a rate is a number from 0"
        )
    return Sample(at_s, rate)


def _decoded(raw: msgspec.Raw, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise TroubleError(
            Reason.PROMETHEUS_AWAY, f"an answer that is not Prometheus's: {error}"
        ) from error


def _number(text: str) -> float | None:
    """Return a sample's value, None for what is no number (0 / 0)."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _refuse_many(series: list[_Series], query: Query) -> NoReturn:
    shown = ", ".join(sorted(str(each.metric) for each in series)[:2])
    raise TroubleError(
        Reason.QUERY_REFUSED,
        f"{_named(query)}: gives {len(series)} series, such as {_shortened(shown)}: "
        "must give one number: put sum(...) around it",
    )


def _time(at_s: float) -> str:
    try:
        return dt.datetime.fromtimestamp(at_s, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{at_s:g} s of the epoch"


def _named(query: Query) -> str:
    return f"{query.origin}: {_shortened(query.promql)!r}"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}..."


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise TroubleError(
            Reason.PROMETHEUS_AWAY, f"--prometheus-token-file {path}: {error.strerror}"
        ) from error
