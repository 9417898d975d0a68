"""Reads Deployments and Services; pure, from text to values that check themselves."""

from gshare.workload.expansion import Launch, expand, launch_of
from gshare.workload.manifest import combine, parse
from gshare.workload.shape import check_card
from gshare.workload.values import (
    Container,
    ContainerPort,
    Exec,
    Function,
    HttpGet,
    Ignored,
    Probe,
    Service,
    ServicePort,
    Shape,
    TcpSocket,
    Variable,
    Workload,
)

__all__ = [
    "Container",
    "ContainerPort",
    "Exec",
    "Function",
    "HttpGet",
    "Ignored",
    "Launch",
    "Probe",
    "Service",
    "ServicePort",
    "Shape",
    "TcpSocket",
    "Variable",
    "Workload",
    "check_card",
    "combine",
    "expand",
    "launch_of",
    "parse",
]
