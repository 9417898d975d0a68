"""The load of a trial, a program of its own: Locust changes the standard library under it."""

from .plan import MODULE, Figures, Phase, Plan, arguments, read_line

__all__ = ["MODULE", "Figures", "Phase", "Plan", "arguments", "read_line"]
