"""The cluster that all tests here share: two nodes, up once, down at the end.

`GSHARE_CLUSTER=<state directory>` makes the tests use a cluster that runs already and leave it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import deployment
from tests.cluster.harness import Cluster, Settings
from tests.cluster.harness.settings import REPOSITORY
from tests.cluster.support.bring_up import cluster_up, say
from tests.cluster.support.fixtures import figures, meter, scene  # noqa: F401 (pytest finds them)

STATE_DIR = REPOSITORY / "build" / "cluster-tests"
OVERLAY = REPOSITORY / "tests" / "cluster" / "overlay"
TEST_TIMEOUT_S = 600
"""For one test with its fixtures; building Kubernetes is `make cluster-tools`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder, and give it the time that a cluster takes."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return a cluster of two nodes; tests leave it as they found it."""
    running = os.environ.get("GSHARE_CLUSTER")
    if running is not None:
        yield Cluster.attach(Path(running))
        return
    found = cluster_up(Settings(state_dir=STATE_DIR, nodes=2))
    try:
        deployment.deploy(found, say, OVERLAY)
        yield found
    finally:
        found.down()
