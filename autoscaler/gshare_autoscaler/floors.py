"""Keeps a function from a sleep that nobody could end. Pure.

Where the load of a function is counted in its own pods alone, no load is seen while it has none, so
that it would stay at zero replicas for ever. Such a function keeps one. A query of a gateway, or
whatever else counts at no replica too, lets it go to zero.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from gshare.scaling import Decision, Option, Shape

from .functions import Scaling


def kept_awake(decision: Decision, scaling: Scaling, running: Mapping[Shape, int]) -> Decision:
    """Return the decision, with one replica where it has none and its load could not be seen."""
    if not scaling.query.is_in_pods or any(decision.wanted.values()) or not scaling.options:
        return decision
    kept = min(scaling.options, key=lambda option: _cost(option, running)).shape
    why = f"{decision.why}; 1 of {kept} stays, since only replicas count this function's load"
    return replace(decision, wanted=MappingProxyType({**decision.wanted, kept: 1}), why=why)


def _cost(option: Option, running: Mapping[Shape, int]) -> tuple[bool, float, Shape]:
    """Return what keeping a replica costs: one that runs anyway is better than a cheaper one."""
    return not running.get(option.shape), option.cost, option.shape
