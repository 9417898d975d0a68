"""The custom metrics API in HTTP: one table of routes, one place where errors become Status.

Only the API server's front proxy is answered. It has authenticated and authorised whoever asks,
and names them in headers, which are of no use here: everyone it lets through may read every number.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from gshare import names
from gshare_autoscaler.answers import Answer, Answers, Target

from . import labels, messages, tls
from .messages import RESOURCE, Json, StatusError
from .metrics import Counts
from .metrics import labels as labels_of
from .settings import GROUP, VERSIONS
from .trust import Trust

_DOOR: Final = "custom_metrics"
_ROOT: Final = f"/apis/{GROUP}"
_ALL: Final = "*"
# What a path may call Deployments: HPAs say the first.
_RESOURCES: Final = (RESOURCE, "deployments")

_log = logging.getLogger(__name__)


def metrics_app(answers: Answers, trust: Callable[[], Trust | None], counts: Counts) -> Flask:
    """Return the application; `trust` says at each request who the front proxy is."""
    app = Flask("gshare_autoscaler")

    @app.before_request
    def begin() -> None:
        g.start_s = time.perf_counter()
        _check_client(trust())

    @app.after_request
    def count(response: Response) -> Response:
        counts.answers.labels(_DOOR, str(response.status_code)).inc()
        counts.latency.labels(_DOOR).observe(time.perf_counter() - g.start_s)
        return response

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        return _failure(error)

    @app.get(_ROOT)
    def group() -> Response:
        return _json(messages.group())

    @app.get(f"{_ROOT}/<version>")
    def resources(version: str) -> Response:
        return _json(messages.resources(_known(version)))

    @app.get(f"{_ROOT}/<version>/namespaces/<namespace>/<resource>/<name>/<metric>")
    def values(version: str, namespace: str, resource: str, name: str, metric: str) -> Response:
        _known(version)
        if resource not in _RESOURCES or metric != names.METRIC_DESIRED_REPLICAS:
            raise StatusError(404, f"the server could not find the metric {metric} for {resource}")
        wanted = _parsed("metricLabelSelector")
        found = (
            _listed(answers, namespace, _parsed("labelSelector"))
            if name == _ALL
            else [_one(answers, Target(namespace, name))]
        )
        chosen = [each for each in found if labels.hold(wanted, labels_of(each))]
        if not chosen and name != _ALL:
            text = f"the metric {metric} of {resource} {name} is not what the selector means"
            raise StatusError(404, text)
        return _json(messages.values(version, chosen, wanted))

    return app


def _check_client(trust: Trust | None) -> None:
    is_verified = request.environ.get(tls.VERIFIED) == "SUCCESS"
    if not is_verified or trust is None:
        raise StatusError(401, "only the API server's front proxy is answered: no certificate")
    name = request.environ.get(tls.COMMON_NAME, "")
    if not trust.allows(name):
        raise StatusError(401, f"only the API server's front proxy is answered: not {name!r}")


def _one(answers: Answers, target: Target) -> Answer:
    """Return the number of one Deployment; StatusError, with the reason, where there is none."""
    answer = answers.get(target)
    metric = names.METRIC_DESIRED_REPLICAS
    if answer is None and answers.is_open:
        raise StatusError(
            404,
            f"the server could not find the metric {metric} for {RESOURCE} {target.name}: namespace"
            f" {target.namespace} has no such Deployment with the label {names.LABEL_FUNCTION}",
        )
    if answer is None:
        raise StatusError(503, f"the metric {metric} of {RESOURCE} {target.name}: not known yet")
    if answer.replicas is None:
        reason = answer.trouble or "not known"
        raise StatusError(503, f"the metric {metric} of {RESOURCE} {target.name}: {reason}")
    return answer


def _listed(answers: Answers, namespace: str, selector: messages.Terms) -> list[Answer]:
    if not answers.is_open:
        raise StatusError(503, f"the metric {names.METRIC_DESIRED_REPLICAS}: not known yet")
    return [each for each in answers.all(namespace) if labels.hold(selector, each.about.labels)]


def _known(version: str) -> str:
    if version not in VERSIONS:
        raise StatusError(404, f"the server could not find {GROUP}/{version}")
    return version


def _parsed(parameter: str) -> messages.Terms:
    try:
        return labels.parse(request.args.get(parameter, ""))
    except labels.SelectorError as error:
        raise StatusError(400, f"{parameter}: {error}") from error


def _failure(error: Exception) -> Response:
    if isinstance(error, StatusError):
        return _json(messages.status(error.code, str(error)), error.code)
    if isinstance(error, HTTPException):
        code = error.code or 500
        return _json(messages.status(code, f"{request.method} {request.path}: {error.name}"), code)
    _log.error("event=request_failed path=%s", request.path, exc_info=error)
    return _json(messages.status(500, "failed inside; the autoscaler's log says why"), 500)


def _json(value: Json, code: int = 200) -> Response:
    return Response(msgspec.json.encode(value), code, content_type="application/json")
