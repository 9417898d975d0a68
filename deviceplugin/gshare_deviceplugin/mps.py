"""NVIDIA MPS on a node: one control daemon a GPU, so that one client's fault stays on one GPU."""

import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class MpsSettings:
    """Which control daemons run, and where."""

    state: Path
    """The node's state directory; daemons lie in its `mps/`."""
    simulated: bool = False
    """Whether the node's GPUs are simulated: then no MPS server can start, only control daemons."""


def supervise(settings: MpsSettings, stop: threading.Event) -> None:
    """Keep a control daemon for every GPU of the node until `stop`; then end them.

    Call from the main thread: a daemon dies with the thread that started it. GshareError where
    `nvidia-cuda-mps-control` is not installed.
    """
    raise NotImplementedError
