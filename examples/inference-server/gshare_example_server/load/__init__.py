"""Load for HTTP servers: closed loop or fixed rate, by Locust in a process of its own."""

from .targets import Result, Target, TargetError, read_report
from .worker import Load

__all__ = ["Load", "Result", "Target", "TargetError", "read_report"]
