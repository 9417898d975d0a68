"""Brings a cluster up for tests, or says why there is none."""

import sys

import pytest
from tests.cluster.harness import Cluster, Settings
from tests.cluster.harness.errors import UnavailableError


def cluster_up(settings: Settings) -> Cluster:
    """Bring a cluster up, or skip with the reason; a killed run's cluster is removed first."""
    try:
        if (settings.state_dir / "cluster.json").exists():
            Cluster.attach(settings.state_dir).down()
        return Cluster.up(settings, say)
    except UnavailableError as error:
        pytest.skip(str(error))


def say(text: str) -> None:
    """Tell whoever watches the tests what takes its time."""
    sys.stderr.write(f"{text}\n")
