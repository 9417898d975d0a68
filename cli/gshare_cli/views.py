"""What a session shows of its replicas, services and GPUs: values to print, draw and report."""

from dataclasses import dataclass
from enum import StrEnum

from gshare.rectangles import Rectangle


class ReplicaState(StrEnum):
    """Where a replica is in its life, in the words of `kubectl get pods`."""

    PENDING = "Pending"
    """No GPU has room for it yet."""
    STARTING = "Starting"
    """Its process runs and is not ready yet."""
    RUNNING = "Running"
    """Ready: services send it requests."""
    BACKING_OFF = "CrashLoopBackOff"
    """Its process ended and starts again after a pause."""
    COMPLETED = "Completed"
    """Its process ended well and is not started again."""
    FAILED = "Failed"
    """Its process ended badly and is not started again."""
    TERMINATING = "Terminating"
    """It was asked to stop."""


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One replica, as it is now."""

    name: str
    """`<deployment>-<index>`."""
    function: str
    lease_id: str | None
    """None while it is pending."""
    gpu_uuid: str | None
    gpu_index: int | None
    pieces: tuple[Rectangle, ...]
    """Where it lies on its GPU: one rectangle, or several where it is sliced."""
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int
    port: int | None
    """The local port in its `PORT`; None if it declares no containerPort."""
    pid: int | None
    state: ReplicaState
    ready: bool
    restarts: int
    message: str = ""
    """Why it is pending or was restarted."""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One port of a Service."""

    name: str
    port: int
    """The port that the Service declares."""
    local_port: int
    """The port on 127.0.0.1 that balances over the ready replicas."""
    ready_replicas: int


@dataclass(frozen=True, slots=True)
class GpuView:
    """One local GPU."""

    index: int
    uuid: str
    name: str
    sm_count: int
    memory_bytes: int
