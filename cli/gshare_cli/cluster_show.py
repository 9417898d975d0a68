"""`gshare ps`, `map` and `explain` on a cluster: read, decide, print."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from gshare.errors import GshareError
from gshare.runtime.kube import ApiServer

from . import (
    cluster_map,
    cluster_ps,
    cluster_reading,
    function_explain,
    function_reading,
    output,
    svg,
)
from .cluster_explain import Explanation, explain
from .cluster_map import Drawn
from .cluster_reading import ForbiddenError
from .cluster_state import ClusterView
from .function_reading import NoAutoscalerError

_WIDEST: Final = 1000


def ps(api: ApiServer, namespace: str | None, out: Console, err: Console, *, as_json: bool) -> None:
    """Print each pod that has a rectangle or asks for one; None means all namespaces."""
    view, unseen = cluster_reading.view_of_pods(api, namespace)
    placed = [pod for pod in view.pods if pod.placed and pod.node]
    keys = [(pod.namespace, pod.name) for pod in placed]
    delivered = cluster_reading.delivered(api, {pod.node for pod in placed}, keys)
    found = cluster_ps.rows(view, delivered)
    if unseen:
        _note(err, f"the nodes are unknown: {unseen}")
    if as_json:
        out.print_json(json.dumps([asdict(row) for row in found]))
        return
    if not found:
        where = "in any namespace" if namespace is None else f"in the namespace {namespace}"
        out.print(f"no pod {where} asks for a rectangle of a GPU", soft_wrap=True)
        return
    table = cluster_ps.table(found, with_namespace=namespace is None)
    # As wide as the names are, as kubectl prints them: cut names could not be copied.
    widest = out.measure(table, options=out.options.update(width=_WIDEST)).maximum
    out.width = max(out.width, widest)
    out.print(table)
    for line in cluster_ps.gpu_lines(view, delivered):
        out.print(escape(line), highlight=False, soft_wrap=True)
    for note in cluster_ps.notes(found):
        _note(err, note)


def map_(
    api: ApiServer, out: Console, err: Console, svg_file: Path | None, *, as_json: bool
) -> None:
    """Print or write every GPU of every node."""
    view = cluster_reading.view(api)
    drawn = cluster_map.drawn(view)
    for trouble in cluster_map.troubles(view):
        _note(err, trouble)
    if as_json:
        out.print_json(json.dumps([asdict(gpu) for gpu in drawn]))
    elif svg_file:
        svg_file.write_text(svg.page([(gpu.title, gpu.boxes) for gpu in drawn]), encoding="utf-8")
    elif not drawn:
        out.print("no node of the cluster has GPUs that gshare knows", soft_wrap=True)
    else:
        _draw(drawn, out, err)


def _draw(drawn: Sequence[Drawn], out: Console, err: Console) -> None:
    columns = min(out.width - output.AXIS_COLUMNS, output.WIDEST_MAP)
    for gpu in drawn:
        out.print(escape(gpu.title), highlight=False, soft_wrap=True)
        out.print(output.picture_of(gpu.boxes, columns))
        for note in gpu.notes:
            _note(err, note)


def explain_(api: ApiServer, namespace: str, name: str, out: Console, *, as_json: bool) -> None:
    """Print why one pod is pending, or what it holds; a function, where no pod has that name."""
    pod = cluster_reading.find_pod(api, namespace, name)
    if pod is None:
        page = _function_instead(api, namespace, name)
        _show_function(api, namespace, page, out, as_json=as_json)
        return
    events = cluster_reading.events_of(api, pod)
    explained = explain(pod, _view_or_why_not(api), events)
    if as_json:
        out.print_json(json.dumps(asdict(explained)))
        return
    _print(explained, out)


def explain_function(
    api: ApiServer, namespace: str, name: str, out: Console, *, as_json: bool
) -> None:
    """Print how many replicas of which shape a function should have, and why."""
    page = function_reading.function(api, namespace, name)
    if page is None:
        raise GshareError(f"there is no function {name!r} in the namespace {namespace!r}")
    _show_function(api, namespace, page, out, as_json=as_json)


def _function_instead(api: ApiServer, namespace: str, name: str) -> dict[str, Any]:
    """Return a function that has the name of no pod; GshareError where there is none either."""
    where = f"{name!r} in the namespace {namespace!r}"
    try:
        page = function_reading.function(api, namespace, name)
    except NoAutoscalerError as error:
        raise GshareError(f"there is no pod {where}") from error
    except GshareError as error:
        raise GshareError(f"there is no pod {where}; of functions: {error}") from error
    if page is None:
        raise GshareError(f"there is no pod and no function {where}")
    return page


def _show_function(
    api: ApiServer, namespace: str, page: dict[str, Any], out: Console, *, as_json: bool
) -> None:
    if as_json:
        out.print_json(json.dumps(page))
        return
    _print(function_explain.explain(page, function_reading.hpas(api, namespace)), out)


def _view_or_why_not(api: ApiServer) -> ClusterView | str:
    try:
        return cluster_reading.view(api)
    except ForbiddenError as error:
        return str(error)


def _print(explained: Explanation, out: Console) -> None:
    out.print(f"[bold]{escape(explained.headline)}[/]", highlight=False, soft_wrap=True)
    for line in explained.lines:
        out.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    if explained.events:
        out.print("[bold]events[/]", highlight=False)
    for line in explained.events:
        out.print(f"  {escape(line)}", highlight=False, soft_wrap=True)


def _note(err: Console, text: str) -> None:
    err.print(f"gshare: {escape(text)}")
