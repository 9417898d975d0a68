"""The HTTP side: routes to verbs. Two servers, since whoever reaches a verb can bind pods.

The scheduler's is for loopback alone; a verb goes there from bytes to bytes, as three of them come
for each pod. All else that it is asked, and all that the public one answers, are the pages of a
Flask application that shows what is going on.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flask import Flask, Response
from prometheus_client import CollectorRegistry
from werkzeug.test import create_environ

from gshare.runtime import web

from . import messages, views
from .binder import Binder, BindError
from .cluster import Cluster
from .messages import (
    BindingArgs,
    BindingResult,
    FilterArgs,
    FilterResult,
    MessageError,
    PreemptionArgs,
)
from .metrics import Counts
from .server import Reply, Request
from .verbs import Verbs

_JSON: Final = "application/json"
_OUTCOMES: Final = ("ok", "refused", "error", "not_understood", "failed")

_log = logging.getLogger(__name__)

Answer = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Pages:
    """What anyone may see."""

    cluster: Cluster
    trouble: Callable[[], str]
    registry: CollectorRegistry


def public_app(pages: Pages) -> Flask:
    """Return the application for /metrics, /healthz, /readyz and /v1/cluster."""
    app = web.app("gshare_extender", pages.registry, pages.trouble)

    @app.get("/v1/cluster")
    def cluster() -> Response:
        with pages.cluster.locked() as ledger:
            picture = ledger.picture()
        shown = messages.encode(views.cluster(picture, pages.trouble()))
        return Response(shown, content_type=_JSON)

    return app


def scheduler_answer(
    app: Flask, verbs: Verbs, binder: Binder, counts: Counts
) -> Callable[[Request], Reply]:
    """Return what answers the scheduler: one table of verbs, and for all else the pages."""
    answers: Mapping[str, Answer] = {
        "filter": lambda body: verbs.filter(messages.decode_filter(body)),
        "prioritize": lambda body: verbs.prioritize(messages.decode(body, FilterArgs)),
        "preempt": lambda body: verbs.preempt(messages.decode(body, PreemptionArgs)),
        "bind": lambda body: _bind(binder, counts, messages.decode(body, BindingArgs)),
    }
    routes = {f"/{verb}": _timed(verb, answer, counts) for verb, answer in answers.items()}

    def answer(request: Request) -> Reply:
        route = routes.get(request.target) if request.method == "POST" else None
        return _page(app, request) if route is None else route(request.body)

    return answer


def _page(app: Flask, request: Request) -> Reply:
    environ = create_environ(request.target, method=request.method, data=request.body)
    response = Response.from_app(app, environ)
    return Reply(response.get_data(), response.content_type or web.TEXT, response.status_code)


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


def _timed(verb: str, answer: Answer, counts: Counts) -> Callable[[bytes], Reply]:
    """Return what answers a verb: timed, and counted by outcome."""
    latency = counts.latency.labels(verb)
    requests = {outcome: counts.requests.labels(verb, outcome) for outcome in _OUTCOMES}

    def view(body: bytes) -> Reply:
        start = time.perf_counter()
        outcome = "failed"
        try:
            result = answer(body)
            outcome = _outcome(result)
            return Reply(messages.encode(result))
        except MessageError as error:
            outcome = "not_understood"
            return Reply.line(f"{verb}: {error}", 400)
        except Exception:  # noqa: BLE001 (a service loop, logged)
            _log.exception("event=request_failed verb=%s", verb)
            return Reply.line(f"{verb}: failed inside; the extender's log says why", 500)
        finally:
            requests[outcome].inc()
            latency.observe(time.perf_counter() - start)

    return view


def _outcome(result: object) -> str:
    if isinstance(result, FilterResult | BindingResult) and result.error:
        return "error"
    if isinstance(result, FilterResult) and not result.node_names:
        return "refused"
    return "ok"
