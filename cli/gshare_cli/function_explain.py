"""`gshare explain FUNCTION`: how many replicas of which shape it should have, and why. Pure.

What the autoscaler says of its last decision comes first, then each Deployment, and what its HPA
makes of the number.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gshare.units import memory_text
from gshare_autoscaler.objects import Hpa

from .cluster_explain import Explanation

_DECIDED: Final = "Decided"
_Page = Mapping[str, Any]


def explain(page: _Page, hpas: Sequence[Hpa] | None) -> Explanation:
    """Return the explanation of a function from the autoscaler's page about it."""
    lines = [*_condition(page), *_decision(page), *_settings(page)]
    for deployment in page["deployments"]:
        lines.append(_deployment(deployment))
        if hpas is not None:
            lines += [f"  {text}" for text in _hpa_lines(deployment, hpas)]
    return Explanation(_headline(page), tuple(lines))


def _headline(page: _Page) -> str:
    path = f"function {page['namespace']}/{page['function']}"
    decision = page["decision"]
    if decision is None:
        return f"{path}: nothing was decided yet"
    wanted = [
        f"{each['wanted']} of {each['name']}"
        for each in page["deployments"]
        if each.get("wanted") is not None
    ]
    return f"{path} should have {', '.join(wanted)} for {decision['rate_rps']:.1f} req/s"


def _condition(page: _Page) -> list[str]:
    reason, text = page["condition"]["reason"], page["condition"]["text"]
    at_s = page["decided_at_s"]
    when = dt.datetime.fromtimestamp(at_s, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at_s else ""
    if reason == _DECIDED:
        return [f"decided at {when}"]
    last = f"; decided last at {when}" if when else ""
    return [f"not decided now: {reason}: {text}{last}"]


def _decision(page: _Page) -> list[str]:
    found = page["decision"]
    if found is None:
        return []
    gap = found["gap_rps"]
    lacking = f"{gap:.1f} are missing" if gap > 0 else f"{-gap:.1f} to spare"
    plan = " + ".join(f"{count} of {shape}" for shape, count in found["plan"].items()) or "nothing"
    rates = f"{found['rate_rps']:.1f} req/s offered, {found['forecast_rps']:.1f} forecast"
    worth = f"{found['plan_capacity_rps']:.1f} req/s for {found['plan_gpus']:.3f} GPUs"
    return [
        f"rate: {rates}, {found['planned_rps']:.1f} planned for",
        f"capacity: {found['capacity_rps']:.1f} req/s of Ready replicas, {lacking}",
        f"plan: {plan} (SM x quota): {worth}",
        f"why: {found['why']}",
    ]


def _settings(page: _Page) -> list[str]:
    found = page["settings"]
    if found is None:
        return []
    slo = "none" if found["slo_ms"] is None else f"p99 of {found['slo_ms']:g} ms"
    window = f"scale-down window: {found['scale_down_window_s']:g} s"
    return [
        f"SLO: {slo}; policy: {found['policy']}; {window}",
        f"query: {found['query']} ({found['query_from']})",
    ]


def _deployment(found: _Page) -> str:
    name, answered = f"Deployment {found['name']}", found["answered"]
    if "running" not in found:
        stays = "" if answered is None else f"; its last number, {answered}, stands for now"
        return f"{name} is not scaled: {found['condition']['reason']}: {_text(found)}{stays}"
    shape = f"{found['sm_percent']} % of the SMs for {found['quota_percent']} % of the time"
    told = "HPAs are told nothing" if answered is None else f"HPAs are told {answered}"
    held = f", {found['held']} of them until others are Ready" if found["held"] else ""
    counts = f"{found['running']} asked, {found['ready']} Ready; {told}{held}"
    return f"{name} ({shape}): {counts}; {_option(found)}"


def _option(found: _Page) -> str:
    option = found["option"]
    if option is None:
        return str(found["note"]) or "what it serves is not known now"
    return (
        f"a replica serves {option['throughput_rps']:.1f} req/s at a p99 of "
        f"{option['p99_ms']:.1f} ms for {option['cost_gpus']:.3f} GPUs "
        f"and {memory_text(option['memory_bytes'])} ({option['origin']})"
    )


def _text(found: _Page) -> str:
    return str(found["condition"]["text"])


def _hpa_lines(deployment: _Page, hpas: Sequence[Hpa]) -> list[str]:
    """Return what stands between the number and the replicas; nothing where all is well."""
    name, answered = deployment["name"], deployment["answered"]
    following = [
        each
        for each in hpas
        if (each.spec.scale_target_ref.kind, each.spec.scale_target_ref.name)
        == ("Deployment", name)
    ]
    if not following:
        return ["no HPA scales it"]
    lines = [f"{len(following)} HPAs scale it: keep one"] if len(following) > 1 else []
    for hpa in following:
        lines += [f"HPA {hpa.metadata.name}: {text}" for text in _of(hpa, answered)]
    return lines


def _of(hpa: Hpa, answered: int | None) -> list[str]:
    lowest, highest = hpa.spec.min_replicas, hpa.spec.max_replicas
    lines = []
    if answered is not None and answered > highest:
        lines.append(f"its maxReplicas, {highest}, keeps it from {answered}")
    if answered is not None and answered < lowest:
        lines.append(f"its minReplicas, {lowest}, keeps it from {answered}")
    lines += [
        f"{each.reason}: {' '.join(each.message.split())}"
        for each in hpa.status.conditions
        if each.type in {"ScalingActive", "AbleToScale"} and each.status == "False"
    ]
    return lines
