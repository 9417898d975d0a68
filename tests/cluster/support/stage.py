"""A cluster that scales: gshare on one node, a Prometheus beside it, the autoscaler on it."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster import deployment
from tests.cluster.harness import Cluster, Settings
from tests.cluster.harness.settings import REPOSITORY

from .autoscaler import Autoscaler
from .bring_up import cluster_up, say
from .prometheus import Prometheus

STATE_DIR: Final = REPOSITORY / "build" / "cluster-scaling"
OVERLAY: Final = REPOSITORY / "tests" / "cluster" / "scaling" / "real_time"
_COSTS: Final = "--deletion-costs=1"
"""Twelve times faster than usual, as everything here is."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What tests of scaling play on."""

    cluster: Cluster
    prometheus: Prometheus
    autoscaler: Autoscaler


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Have a stage, its simulated GPUs as fast as real ones; skipped where there can be none.

    `GSHARE_SCALING_CLUSTER=<state directory>` makes it a cluster that runs already, and leaves it.
    """
    running = os.environ.get("GSHARE_SCALING_CLUSTER")
    cluster = (
        cluster_up(Settings(state_dir=STATE_DIR, nodes=1))
        if running is None
        else Cluster.attach(Path(running))
    )
    prometheus = Prometheus(cluster)
    try:
        deployment.deploy(cluster, say, OVERLAY)
        prometheus.start()
        autoscaler = Autoscaler(cluster)
        autoscaler.deploy(prometheus, _COSTS)
        yield Stage(cluster, prometheus, autoscaler)
    finally:
        prometheus.close()
        if running is None:
            cluster.down()
