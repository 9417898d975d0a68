"""Shows plans side by side: a table of shapes and policies, their cost, the quotas; or JSON."""

import json
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from gshare import scaling
from gshare.profile import LATENCY_LOAD
from gshare.scaling import Option
from gshare.units import memory_text

from .plan_answer import Answer, Question, Sized

_SUMS: tuple[tuple[str, Callable[[Answer], str]], ...] = (
    ("replicas", lambda each: str(sum(each.plan.counts.values()))),
    ("serve, req/s", lambda each: f"{each.plan.capacity_rps:.1f}"),
    ("SM x quota, GPUs", lambda each: f"{each.area:.3f}"),
    ("memory", lambda each: memory_text(round(each.memory))),
    ("cost, GPUs", lambda each: f"{each.plan.cost:.3f}"),
)


def show(question: Question, answers: Sequence[Answer], out: Console, *, as_json: bool) -> None:
    """Print the answers to one question."""
    if as_json:
        out.print_json(json.dumps(_json(question, answers)))
        return
    out.print(_title(question), markup=False, highlight=False, soft_wrap=True)
    out.print(_table(answers))
    for line in (*_quota_lines(question, answers), *_load_lines(question, answers)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _title(question: Question) -> str:
    profile = question.profile
    parts = [f"{question.rate_rps:g} req/s"]
    if question.planned_rps != question.rate_rps:
        parts.append(f"planned for {question.planned_rps:g}")
    if question.slo_ms is not None:
        parts.append(f"p99 at most {question.slo_ms:g} ms")
    kind = " (simulated)" if profile.is_simulated else ""
    return f"{profile.function} on {profile.gpu.model}{kind}: {', '.join(parts)}"


def _table(answers: Sequence[Answer]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("SM x quota", no_wrap=True)
    for heading in ("req/s", "p99 ms", "GPUs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("from", no_wrap=True)
    for answer in answers:
        name = f"{answer.policy} (default)" if answer.policy == scaling.EXACT else answer.policy
        table.add_column(name, justify="right", no_wrap=True)
    options = {each.option.shape: each.option for answer in answers for each in answer.shapes}
    for shape in sorted(options):
        counts = [str(answer.plan.counts.get(shape) or "-") for answer in answers]
        table.add_row(*_cells(options[shape]), *counts)
    table.add_section()
    for heading, value in _SUMS:
        table.add_row(heading, "", "", "", "", *(value(answer) for answer in answers))
    return table


def _cells(option: Option) -> list[str]:
    return [
        str(option.shape),
        f"{option.throughput_rps:.1f}",
        f"{option.p99_ms:.1f}",
        f"{option.cost:.3f}",
        option.origin,
    ]


def _quota_lines(question: Question, answers: Sequence[Answer]) -> list[str]:
    """Return what each shape of a plan needs as quota request and as quota limit."""
    lines = []
    for answer in answers:
        for each in answer.shapes:
            text = f"quota request {each.quota_request_percent} for its part of the rate"
            if each.quota_limit_percent is not None and question.peak_rps is not None:
                text += f", quota limit {each.quota_limit_percent} for its part of the peak"
                text += "" if each.covers_peak else ", which that does not cover: add replicas"
            lines.append(f"{answer.policy}, {each.option.shape}: {text}")
    return lines


def _load_lines(question: Question, answers: Sequence[Answer]) -> list[str]:
    """Say where replicas would be loaded more than when their p99 was measured."""
    return [
        f"{answer.policy} loads its replicas to {100 * load:.0f} %; p99 was measured at "
        f"{100 * LATENCY_LOAD:.0f} %: --headroom {1 / LATENCY_LOAD:g} plans for that"
        for answer in answers
        if answer.plan.counts
        and (load := question.rate_rps / answer.plan.capacity_rps) > LATENCY_LOAD + 1e-9
    ]


def _json(question: Question, answers: Sequence[Answer]) -> dict[str, object]:
    return {
        "function": question.profile.function,
        "rate": question.rate_rps,
        "planned": question.planned_rps,
        "slo_ms": question.slo_ms,
        "peak": question.peak_rps,
        "policies": {
            answer.policy: {
                "cost": answer.plan.cost,
                "capacity": answer.plan.capacity_rps,
                "area": answer.area,
                "memory": answer.memory,
                "shapes": [_shape_json(each) for each in answer.shapes],
                "why": answer.plan.why,
            }
            for answer in answers
        },
    }


def _shape_json(each: Sized) -> dict[str, object]:
    option = each.option
    return {
        "sm": option.shape.sm_percent,
        "quota": option.shape.quota_percent,
        "replicas": each.replicas,
        "throughput": option.throughput_rps,
        "p99_ms": option.p99_ms,
        "memory": option.memory_bytes,
        "cost": option.cost,
        "from": option.origin,
        "quota_request": each.quota_request_percent,
        "quota_limit": each.quota_limit_percent,
        "covers_peak": each.covers_peak,
    }
