"""Chooses which pods of lower priority leave a GPU for one of higher priority."""

from .plan import plan
from .site import Budget, Demand, Plan, Waiting

__all__ = ["Budget", "Demand", "Plan", "Waiting", "plan"]
