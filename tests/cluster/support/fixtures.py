"""What scenarios on the cluster ask for: an empty namespace, a meter, a place for figures."""

from collections.abc import Iterator

import pytest
from tests.cluster.harness import Cluster
from tests.cluster.harness.settings import REPOSITORY

from .agreement import agreement
from .delivery import Meter
from .figures import Figures
from .scene import Scene

REPORT = REPOSITORY / "build" / "bench" / "cluster_tests.json"


@pytest.fixture
def scene(cluster: Cluster) -> Iterator[Scene]:
    """Yield a namespace; what a test leaves there is removed, and then all parts must agree."""
    found = Scene(cluster, "scenario")
    yield found
    found.wipe()
    agreement(cluster)


@pytest.fixture(scope="session")
def meter(cluster: Cluster) -> Iterator[Meter]:
    """Yield the simulated GPUs' counters."""
    found = Meter.of(cluster)
    yield found
    found.close()


@pytest.fixture(scope="session")
def figures(cluster: Cluster, meter: Meter) -> Iterator[Figures]:
    """Yield the report that this session writes."""
    found = Figures()
    found.conditions |= {
        "nodes": len(cluster.nodes),
        "gpus_per_node": len(meter.nodes[cluster.nodes[0].name].gpus),
        "window_ms": round(1000 * meter.window_s),
    }
    yield found
    found.write(REPORT)
