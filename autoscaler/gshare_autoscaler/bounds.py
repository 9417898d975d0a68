"""Within which numbers of replicas the HPAs of Deployments keep them. Pure.

What is asked of an HPA beyond its bounds does not happen, so that a plan that counted on it would
serve less than it says. Only HPAs that follow our number count: KEDA makes others, whose lower
bound it goes below by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from gshare import names
from gshare.scaling import Option, Shape

from .answers import Target
from .objects import Hpa


@dataclass(frozen=True, slots=True)
class Bounds:
    """The fewest and the most replicas; `most` None: no bound is known."""

    least: int = 0
    most: int | None = None


FREE: Final = Bounds()
UNKNOWN: Final[Mapping[Target, Bounds]] = MappingProxyType({})


def follows(hpa: Hpa) -> bool:
    """Tell whether an HPA scales a Deployment by the number that we give."""
    named = {each.object.metric.name for each in hpa.spec.metrics}
    is_ours = names.METRIC_DESIRED_REPLICAS in named
    return is_ours and hpa.spec.scale_target_ref.kind == "Deployment"


def of(hpas: Iterable[Hpa]) -> Mapping[Target, Bounds]:
    """Return the bounds of each Deployment that one of `hpas` scales; the first one's, by name."""
    found: dict[Target, Bounds] = {}
    for hpa in sorted(hpas, key=lambda each: each.metadata.name):
        target = Target(hpa.metadata.namespace, hpa.spec.scale_target_ref.name)
        least, most = hpa.spec.min_replicas, hpa.spec.max_replicas
        if 0 <= least <= most:  # the API server sees to that
            found.setdefault(target, Bounds(least, most))
    return found


def bounded(options: Iterable[Option], bounds: Mapping[Shape, Bounds]) -> tuple[Option, ...]:
    """Return the options within the bounds of their Deployments."""
    return tuple(
        replace(option, least=bounds[option.shape].least, most=bounds[option.shape].most)
        for option in options
    )
