"""The HTTP faces of the server: /infer, /healthz and /metrics; and the latter two alone."""

import dataclasses
import time

import flask

from . import engine, gpu, metrics
from .arrivals import Arrivals


class Health:
    """Whether the server takes new work; a load balancer asks through /healthz."""

    def __init__(self) -> None:
        self.is_draining = False


@dataclasses.dataclass(frozen=True, slots=True)
class Faces:
    """What is served: `whole` for all, `pages` (health and metrics) for a port of their own."""

    whole: flask.Flask
    pages: flask.Flask
    health: Health
    arrivals: Arrivals


def build(model: engine.Engine) -> Faces:
    """Return the WSGI applications that serve `model`."""
    health, arrivals = Health(), Arrivals()
    figures = metrics.Metrics(model.model.name, arrivals)
    whole, pages = flask.Flask(__name__), flask.Flask(__name__)
    for app in (whole, pages):
        _add_pages(app, health, figures)

    @whole.route("/infer", methods=["GET", "POST"])
    def infer() -> flask.Response:
        began = time.monotonic()
        arrivals.begin()
        response, gpu_seconds = _infer(model, flask.request.get_data(cache=False))
        figures.answered(response.status_code, time.monotonic() - began, gpu_seconds)
        return response

    return Faces(whole, pages, health, arrivals)


def _add_pages(app: flask.Flask, health: Health, figures: metrics.Metrics) -> None:
    @app.get("/healthz")
    def healthz() -> flask.Response:
        if health.is_draining:
            return flask.Response("draining\n", 503)
        return flask.Response("ok\n")

    @app.get("/metrics")
    def scrape() -> flask.Response:
        return flask.Response(figures.text(), content_type=figures.content_type)

    @app.after_request
    def close_while_draining(response: flask.Response) -> flask.Response:
        if health.is_draining:
            response.headers["Connection"] = "close"
        return response


def _infer(model: engine.Engine, content: bytes) -> tuple[flask.Response, float]:
    """Return the answer to one inference request, and the GPU seconds that it took."""
    try:
        result = model.infer(content)
    except ValueError as error:
        return flask.Response(f"{error}\n", 413), 0.0
    except gpu.GpuError as error:
        return flask.Response(f"{error}\n", 500), 0.0
    body = {
        "model": model.model.name,
        "gpu_ms": round(result.gpu_seconds * 1000, 3),
        "output_bytes": len(result.output),
    }
    return flask.jsonify(body), result.gpu_seconds
