"""The public pages: metrics, health, and every decision with its reasons."""

from collections.abc import Callable, Mapping

import msgspec
from flask import Flask, Response
from prometheus_client import CollectorRegistry

from gshare.runtime import web

from . import views
from .answers import Answers
from .courses import Standing
from .profiles import Name


def app(
    registry: CollectorRegistry,
    trouble: Callable[[], str],
    standings: Callable[[], Mapping[Name, Standing]],
    answers: Answers,
) -> Flask:
    """Return the application for /metrics, /healthz, /readyz and /v1/functions."""
    found = web.app("gshare_autoscaler", registry, trouble)

    def shown(standing: Standing) -> object:
        namespace = standing.function.name.namespace
        return views.function(standing, {each.target.name: each for each in answers.all(namespace)})

    @found.get("/v1/functions")
    def functions() -> Response:
        return _json([shown(each) for each in standings().values()])

    @found.get("/v1/functions/<namespace>/<name>")
    def function(namespace: str, name: str) -> Response:
        standing = standings().get(Name(namespace, name))
        if standing is None:
            said = trouble()
            none = f"no Deployment in the namespace {namespace} is of the function {name}"
            return web.text(said or none, 503 if said else 404)
        return _json(shown(standing))

    return found


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), content_type="application/json")
