"""The HTTP side: routes to verbs. Two applications, since whoever reaches a verb can bind pods.

The scheduler's is for loopback alone. The public one shows what is going on. Every answer has a
Content-Length, by which Go's client keeps its connection.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cheroot import wsgi
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gshare.runtime.address import Address

from . import messages, views
from .binder import Binder, BindError
from .cluster import Cluster
from .messages import (
    BindingArgs,
    BindingResult,
    FilterResult,
    MessageError,
    PreemptionArgs,
)
from .metrics import Counts
from .verbs import Verbs

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_STOP_S: Final = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pages:
    """What anyone may see."""

    cluster: Cluster
    trouble: Callable[[], str]
    registry: CollectorRegistry


def public_app(pages: Pages) -> Flask:
    """Return the application for /metrics, /healthz, /readyz and /v1/cluster."""
    app = Flask("gshare_extender")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(pages.registry), content_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz")
    def healthz() -> Response:
        return _text("ok")

    @app.get("/readyz")
    def readyz() -> Response:
        trouble = pages.trouble()
        return _text(trouble or "ok", 503 if trouble else 200)

    @app.get("/v1/cluster")
    def cluster() -> Response:
        with pages.cluster.locked() as ledger:
            picture = ledger.picture()
        return _json(views.cluster(picture, pages.trouble()))

    return app


def scheduler_app(pages: Pages, verbs: Verbs, binder: Binder, counts: Counts) -> Flask:
    """Return the public application with the verbs added: one table of them."""
    app = public_app(pages)
    answers: Mapping[str, Callable[[bytes], object]] = {
        "filter": lambda body: verbs.filter(messages.decode_filter(body)),
        "prioritize": lambda body: verbs.prioritize(messages.decode_filter(body)),
        "preempt": lambda body: verbs.preempt(messages.decode(body, PreemptionArgs)),
        "bind": lambda body: _bind(binder, counts, messages.decode(body, BindingArgs)),
    }
    for verb, answer in answers.items():
        app.add_url_rule(f"/{verb}", verb, _timed(verb, answer, counts), methods=["POST"])
    return app


def server(address: Address, app: Flask, threads: int, idle_timeout_s: int) -> wsgi.Server:
    """Return a server for `app`; its `prepare` listens, its `serve` answers until `stop`."""
    return wsgi.Server(
        (address.host, address.port),
        app,
        numthreads=threads,
        timeout=idle_timeout_s,
        shutdown_timeout=_STOP_S,
        request_queue_size=128,
    )


def _bind(binder: Binder, counts: Counts, args: BindingArgs) -> BindingResult:
    try:
        binder.bind(args)
    except BindError as error:
        counts.conflicts.inc(error.is_conflict)
        _log.warning(
            "event=bind_failed pod=%s/%s node=%s error=%r",
            args.pod_namespace,
            args.pod_name,
            args.node,
            str(error),
        )
        return BindingResult(str(error))
    return BindingResult()


def _timed(verb: str, answer: Callable[[bytes], object], counts: Counts) -> Callable[[], Response]:
    """Return the view of a verb: its answer, timed and counted by outcome."""

    def view() -> Response:
        start = time.perf_counter()
        outcome = "failed"
        try:
            result = answer(request.get_data(cache=False))
            outcome = _outcome(result)
            return _json(result)
        except MessageError as error:
            outcome = "not_understood"
            return _text(f"{verb}: {error}", 400)
        except Exception:  # noqa: BLE001 (a service loop, logged)
            _log.exception("event=request_failed verb=%s", verb)
            return _text(f"{verb}: failed inside; the extender's log says why", 500)
        finally:
            counts.requests.labels(verb, outcome).inc()
            counts.latency.labels(verb).observe(time.perf_counter() - start)

    return view


def _outcome(result: object) -> str:
    if isinstance(result, FilterResult | BindingResult) and result.error:
        return "error"
    if isinstance(result, FilterResult) and not result.node_names:
        return "refused"
    return "ok"


def _json(value: object) -> Response:
    return Response(messages.encode(value), content_type=_JSON)


def _text(line: str, status: int = 200) -> Response:
    return Response(f"{line}\n", status, content_type=_TEXT)
