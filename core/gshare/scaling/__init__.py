"""How many replicas of which shape a function needs: policies, hysteresis, sizing. Pure."""

from .controller import Controller, ControllerSettings
from .options import Judgement, judge, options, shapes_of
from .policies import EXACT, POLICIES, RPR, plan
from .sizing import Sizing, limits, requests
from .values import Decision, NoShapeError, Option, Plan, Sample, ScalingError, Shape

__all__ = [
    "EXACT",
    "POLICIES",
    "RPR",
    "Controller",
    "ControllerSettings",
    "Decision",
    "Judgement",
    "NoShapeError",
    "Option",
    "Plan",
    "Sample",
    "ScalingError",
    "Shape",
    "Sizing",
    "judge",
    "limits",
    "options",
    "plan",
    "requests",
    "shapes_of",
]
