"""The cluster of the tests in this folder, up once, down at the end: 69 ms are 69 ms on it."""

from collections.abc import Iterator
from typing import Final

import pytest
from tests.cluster.harness import Cluster
from tests.cluster.harness.settings import REPOSITORY
from tests.cluster.support import stage as stages
from tests.cluster.support.figures import Figures
from tests.cluster.support.functions import SLO_MS
from tests.cluster.support.stage import Stage

REPORT: Final = REPOSITORY / "build" / "bench" / "cluster_autoscaling.json"


@pytest.fixture(scope="package")
def stage() -> Iterator[Stage]:
    """Yield a cluster that scales."""
    with stages.stage() as found:
        yield found


@pytest.fixture(scope="package")
def cluster(stage: Stage) -> Cluster:
    """Return the stage's cluster, in place of the one that other folders share."""
    return stage.cluster


@pytest.fixture(scope="package")
def figures(cluster: Cluster) -> Iterator[Figures]:
    """Yield the report of these tests."""
    found = Figures()
    found.conditions |= {"nodes": len(cluster.nodes), "time_scale": 1, "slo_ms": SLO_MS}
    yield found
    found.write(REPORT)
