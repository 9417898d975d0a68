"""Chooses which pods of lower priority leave a GPU for one of higher priority."""

from .plan import is_enough, plan
from .site import Budget, Demand, Plan, Waiting

__all__ = ["Budget", "Demand", "Plan", "Waiting", "is_enough", "plan"]
