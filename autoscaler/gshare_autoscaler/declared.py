"""Reads what users declare of a function's scaling, on its Deployments and ConfigMap. Pure.

An annotation counts for the whole function, so that all Deployments that have it must say the
same. Where none has it, the key of the function's ConfigMap stands in for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gshare import names
from gshare.errors import InputError
from gshare.workload.fields import Field

from .conditions import Reason, TroubleError
from .objects import ConfigMap, Deployment
from .profiles import label

_T = TypeVar("_T")
_KEYS: Final[Mapping[str, str]] = {
    names.ANNOTATION_SLO: names.KEY_SLO,
    names.ANNOTATION_RATE_QUERY: names.KEY_RATE_QUERY,
    names.ANNOTATION_SCALING_POLICY: names.KEY_SCALING_POLICY,
}


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared of one function; the Deployments in the order in which they are asked."""

    deployments: Sequence[Deployment]
    config_map: ConfigMap | None

    def read(self, annotation: str, reader: Callable[[Field], _T]) -> _T | None:
        """Return what `reader` makes of a setting, None where it is not declared.

        TroubleError where it cannot be read, or where Deployments contradict each other.
        """
        try:
            found = self._field(annotation)
            return None if found is None else reader(found)
        except InputError as error:
            raise TroubleError(Reason.BAD_SETTING, str(error)) from error

    def where(self, annotation: str) -> str:
        """Return the object and the field that declare a setting; empty where none does."""
        found = self._field(annotation)
        return f"{found.source}: {found.path}" if found else ""

    def _field(self, annotation: str) -> Field | None:
        found = [
            Field(named(each), f"metadata.annotations[{annotation}]", text)
            for each in self.deployments
            if (text := each.metadata.annotations.get(annotation)) is not None
        ]
        for other in found[1:]:
            if other.value != found[0].value:
                other.refuse(f"must be the {found[0].value!r} of {found[0].source}, or be left out")
        return found[0] if found else self._of_config_map(annotation)

    def _of_config_map(self, annotation: str) -> Field | None:
        key = _KEYS.get(annotation)
        if key is None or self.config_map is None or key not in self.config_map.data:
            return None
        return Field(label(self.config_map), f"data[{key}]", self.config_map.data[key])


def named(deployment: Deployment) -> str:
    """Return what messages call a Deployment."""
    return f"Deployment {deployment.metadata.namespace}/{deployment.metadata.name}"
