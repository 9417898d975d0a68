"""The PromQL that says how much load is offered to a function: presets, and a user's own. Pure.

Offered load is counted where a request arrives. What is counted when it was answered stays at the
capacity of the replicas however many requests wait, and so would never ask for more of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gshare import names

DEFAULT: Final = names.RATE_QUERY_DEFAULT
PRESETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        DEFAULT: (
            "sum(rate(gshare_function_requests_total"
            '{namespace="$namespace",function="$function"}[$window]))'
        ),
        # Counted by the gateway when it forwards a request, so there is data at no replica too.
        "openfaas": (
            "sum(rate(gateway_function_invocation_started"
            '{function_name="$function.$namespace"}[$window]))'
        ),
        # Knative counts answers: what waits longer than before is added. To 1.18: OpenCensus.
        "knative": (
            "sum(rate(revision_request_count"
            '{namespace_name="$namespace",service_name="$function"}[$window]))'
            " + (clamp_min(sum(deriv(revision_queue_depth"
            '{namespace_name="$namespace",service_name="$function"}[$window])), 0) or vector(0))'
        ),
        # From 1.19: OpenTelemetry, its resource attributes turned into labels.
        "knative-otel": (
            "sum(rate(kn_serving_invocation_duration_seconds_count"
            '{k8s_namespace_name="$namespace",kn_service_name="$function"}[$window]))'
            " + (clamp_min(sum(deriv(kn_serving_queue_depth"
            '{k8s_namespace_name="$namespace",kn_service_name="$function"}[$window])), 0)'
            " or vector(0))"
        ),
    }
)
"""Queries by name; `gshare.io/rate-query` takes a name or PromQL."""

_IN_PODS: Final = frozenset({DEFAULT, "knative", "knative-otel"})
"""Presets of counters that a function's own pods hold: without a pod, nothing is counted."""

_RANGE: Final = re.compile(r"\[\s*(\d+)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

_LONGEST_S: Final = 300.0

_VARIABLE: Final = re.compile(r"\$(namespace|function|window)\b")


@dataclass(frozen=True, slots=True)
class Query:
    """One function's query, and where it was written, for whoever must correct it."""

    promql: str
    origin: str
    is_in_pods: bool = False
    """Whether only the function's own pods count: it must then keep one to see any load."""

    @property
    def window_s(self) -> float:
        """Return over how long it averages: its longest range; 0 where it has none.

        Five minutes at most: a new function cannot wait for a day of data.
        """
        found = _RANGE.findall(self.promql)
        longest_s = max((int(number) * _SECONDS[unit] for number, unit in found), default=0.0)
        return min(longest_s, _LONGEST_S)


def query(text: str, origin: str, values: Mapping[str, str]) -> Query:
    """Return the query that `text` means: a preset's name, or PromQL.

    `values` are those of $namespace, $function and $window, which either may hold.
    """
    name = text.strip()
    promql = _VARIABLE.sub(lambda found: values[found[1]], PRESETS.get(name, text))
    return Query(promql, origin, name in _IN_PODS)
