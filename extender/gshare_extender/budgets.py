"""PodDisruptionBudgets of the API, as far as an eviction depends on them."""

import msgspec

from gshare.preemption import Budget
from gshare.runtime.kube.objects import Meta
from gshare.selectors import Expression, Selector


class MatchExpression(msgspec.Struct, frozen=True):
    """One condition of a label selector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(msgspec.Struct, frozen=True, rename="camel"):
    """Which pods are meant; no condition at all means every one."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[MatchExpression, ...] = ()

    @property
    def selector(self) -> Selector:
        """Return it as a value."""
        conditions = (
            Expression(each.key, each.operator, each.values) for each in self.match_expressions
        )
        return Selector(self.match_labels, tuple(conditions))


class BudgetSpec(msgspec.Struct, frozen=True):
    """What a budget is about; without a selector it is about nothing."""

    selector: LabelSelector | None = None


class BudgetStatus(msgspec.Struct, frozen=True, rename="camel"):
    """How many of its pods may be evicted now."""

    disruptions_allowed: int = 0


class PodDisruptionBudget(msgspec.Struct, frozen=True):
    """How many pods may be away at once."""

    metadata: Meta
    spec: BudgetSpec = msgspec.field(default_factory=BudgetSpec)
    status: BudgetStatus = msgspec.field(default_factory=BudgetStatus)

    @property
    def budget(self) -> Budget:
        """Return it as a value."""
        selector = (self.spec.selector or LabelSelector()).selector
        meta = self.metadata
        return Budget(meta.namespace, meta.name, self.status.disruptions_allowed, selector)
