"""What /v1/functions shows, and `gshare explain` reads: each decision with every number of it."""

from typing import Any

from gshare.scaling import Decision, Option

from .answers import Answer
from .conditions import Reason, Trouble
from .courses import Standing
from .functions import Function, Scaling
from .members import Member


def function(standing: Standing, answers: dict[str, Answer]) -> dict[str, Any]:
    """Return one function as JSON; `answers` are by name of the Deployment."""
    found, trouble = standing.function, standing.trouble
    scaling = found.scaling if isinstance(found.scaling, Scaling) else None
    return {
        "namespace": found.name.namespace,
        "function": found.name.function,
        "condition": _condition(trouble),
        "settings": _settings(scaling),
        "decision": _decision(standing.decision),
        "decided_at_s": standing.decided_at_s,
        "deployments": [
            *(_member(each, standing, scaling, answers) for each in found.members),
            *_refused(found, answers),
        ],
    }


def _condition(trouble: Trouble | None) -> dict[str, str]:
    reason = trouble.reason if trouble else Reason.DECIDED
    return {"reason": reason.value, "text": trouble.text if trouble else ""}


def _settings(scaling: Scaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    return {
        "slo_ms": scaling.slo_ms,
        "policy": scaling.policy,
        "scale_down_window_s": scaling.scale_down_window_s,
        "query": scaling.query.promql,
        "query_from": scaling.query.origin,
    }


def _decision(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {
        "rate_rps": decision.rate_rps,
        "forecast_rps": decision.forecast_rps,
        "planned_rps": decision.planned_rps,
        "capacity_rps": decision.capacity_rps,
        "gap_rps": decision.gap_rps,
        "plan": {str(shape): count for shape, count in decision.plan.counts.items()},
        "plan_capacity_rps": decision.plan.capacity_rps,
        "plan_gpus": decision.plan.cost,
        "why": decision.why,
    }


def _member(
    member: Member, standing: Standing, scaling: Scaling | None, answers: dict[str, Answer]
) -> dict[str, Any]:
    """Return a Deployment that is scaled: what is wanted, and what the doors answer."""
    options = scaling.options if scaling else ()
    option = next((each for each in options if each.shape == member.shape), None)
    decision = standing.decision
    return {
        "name": member.target.name,
        "sm_percent": member.shape.sm_percent,
        "quota_percent": member.shape.quota_percent,
        "running": member.running,
        "ready": member.ready,
        "wanted": None if decision is None else decision.wanted.get(member.shape, 0),
        "held": 0 if decision is None else decision.held.get(member.shape, 0),
        "answered": _answered(answers, member.target.name),
        "option": _option(option),
        "note": scaling.unfit.get(member.shape, "") if scaling else "",
        "condition": _condition(standing.trouble),
    }


def _option(option: Option | None) -> dict[str, Any] | None:
    if option is None:
        return None
    return {
        "throughput_rps": option.throughput_rps,
        "p99_ms": option.p99_ms,
        "memory_bytes": option.memory_bytes,
        "cost_gpus": option.cost,
        "origin": option.origin,
    }


def _refused(found: Function, answers: dict[str, Answer]) -> list[dict[str, Any]]:
    return [
        {
            "name": each.target.name,
            "answered": _answered(answers, each.target.name),
            "condition": _condition(each.trouble),
        }
        for each in found.refused
    ]


def _answered(answers: dict[str, Answer], name: str) -> int | None:
    answer = answers.get(name)
    return answer.replicas if answer else None
