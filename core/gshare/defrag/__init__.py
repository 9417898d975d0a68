"""Plans the evictions that would free whole GPUs, and says what each costs."""

from .plan import clear, plan
from .values import Budgets, Clearing, Kept, Move, Plan, Tenant

__all__ = ["Budgets", "Clearing", "Kept", "Move", "Plan", "Tenant", "clear", "plan"]
