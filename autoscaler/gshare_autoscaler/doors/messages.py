"""custom.metrics.k8s.io in JSON: discovery, lists of values, and errors, in both versions. Pure.

Source: k8s.io/metrics/pkg/apis/custom_metrics; values are quantities, times are RFC 3339.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from gshare import names
from gshare.errors import GshareError
from gshare.selectors import Expression
from gshare_autoscaler.answers import Answer

from .labels import Order
from .settings import GROUP, VERSIONS

Json = dict[str, object]
Terms = Sequence[Expression | Order]

RESOURCE: Final = "deployments.apps"
_REASONS: Final[Mapping[int, str]] = {
    400: "BadRequest",
    401: "Unauthorized",
    404: "NotFound",
    405: "MethodNotAllowed",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class StatusError(GshareError):
    """An answer that is an error: HTTP's code and a text for whoever asked."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def status(code: int, text: str) -> Json:
    """Return the API's error object."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": text,
        "reason": _REASONS.get(code, "Unknown"),
        "code": code,
    }


def group() -> Json:
    """Return the group with its versions, the newest preferred."""
    versions: list[dict[str, str]] = [
        {"groupVersion": f"{GROUP}/{version}", "version": version} for version in VERSIONS[::-1]
    ]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": versions,
        "preferredVersion": versions[0],
    }


def resources(version: str) -> Json:
    """Return what one version offers: the number of each Deployment."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{version}",
        "resources": [
            {
                "name": f"{RESOURCE}/{names.METRIC_DESIRED_REPLICAS}",
                "singularName": "",
                "namespaced": True,
                "kind": "MetricValueList",
                "verbs": ["get"],
            }
        ],
    }


def values(version: str, answers: Iterable[Answer], selector: Terms) -> Json:
    """Return a list of the numbers; `selector` is the one for metrics that the query gave."""
    metric_of = _METRICS[version]
    wanted = _selector(selector)
    return {
        "kind": "MetricValueList",
        "apiVersion": f"{GROUP}/{version}",
        "metadata": {},
        "items": [
            {
                "describedObject": {
                    "kind": "Deployment",
                    "namespace": answer.target.namespace,
                    "name": answer.target.name,
                    "apiVersion": "apps/v1",
                },
                **metric_of(wanted),
                "timestamp": f"{datetime.fromtimestamp(answer.at_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
                "value": str(answer.replicas),
            }
            for answer in answers
            if answer.replicas is not None
        ],
    }


def _beta1(selector: Json | None) -> Json:
    return {"metricName": names.METRIC_DESIRED_REPLICAS, "window": 0, "selector": selector}


def _beta2(selector: Json | None) -> Json:
    metric = {"name": names.METRIC_DESIRED_REPLICAS, "selector": selector}
    return {"metric": metric, "windowSeconds": 0}


# How each version says which metric a value is of.
_METRICS: Final[Mapping[str, Callable[[Json | None], Json]]] = dict(
    zip(VERSIONS, (_beta1, _beta2), strict=True)
)


def _selector(terms: Terms) -> Json | None:
    """Return `terms` as a LabelSelector, or None where there are none."""
    if not terms:
        return None
    return {
        "matchExpressions": [
            {"key": each.key, "operator": each.operator, "values": list(each.values)}
            for each in terms
        ]
    }
