"""Label selectors of the API: which pods they mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Expression:
    """One condition; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether `labels` meet it; an operator that is none is taken as met.

        Whoever asks is to be careful with what a selector means, not to overlook any of it.
        """
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        if self.operator == "DoesNotExist":
            return value is None
        return value is not None or self.operator != "Exists"


@dataclass(frozen=True, slots=True)
class Selector:
    """Labels to have and conditions to meet, all of them; without any it means everything."""

    labels: Mapping[str, str] = field(default_factory=dict)
    expressions: Sequence[Expression] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it means an object with `labels`."""
        return all(labels.get(key) == value for key, value in self.labels.items()) and all(
            expression.holds(labels) for expression in self.expressions
        )
