"""`gshare demo` in short: eight replicas on one simulated GPU, and its report."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.timed

TMPFS = "/dev/shm"  # noqa: S108 (the state directory must be on one)
PROMISED = {"resnet": (12, 40), "rnnt": (24, 40), "bert": (50, 60)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the demo once, for four seconds a mode, in a state directory of its own."""
    path = tmp_path_factory.mktemp("demo") / "demo.json"
    run = subprocess.run(
        [sys.executable, "-m", "gshare_cli", "demo", "--seconds=4", f"--report={path}"],
        env={**os.environ, "GSHARE_STATE_DIR": f"{TMPFS}/gshare-test-demo-{os.getpid()}"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert path.exists(), run.stdout + run.stderr
    document: dict[str, Any] = json.loads(path.read_text())
    assert run.returncode == (0 if all(claim["holds"] for claim in document["claims"]) else 1)
    return document


def case(report: dict[str, Any], mode: str) -> dict[str, Any]:
    (found,) = (case for case in report["cases"] if case["mode"] == mode)
    return dict(found)


def test_the_eight_replicas_share_one_gpu_and_take_turns_on_four(report: dict[str, Any]) -> None:
    shared, turns = case(report, "shared"), case(report, "time_sharing")

    assert (shared["gpus_used"], turns["gpus_used"]) == (1, 4)
    assert (len(shared["replicas"]), len(turns["replicas"])) == (8, 8)


def test_every_replica_gets_what_it_was_promised(report: dict[str, Any]) -> None:
    """At least nine tenths: one of four seconds' 25 windows, cut at their ends, is 4 % already."""
    for replica in case(report, "shared")["replicas"]:
        assert (replica["sm"], replica["quota_request"]) == PROMISED[replica["function"]]
        assert replica["delivered_percent"] >= 0.9 * replica["quota_request"], replica


def test_partitions_of_concurrent_holders_never_exceed_the_gpu(report: dict[str, Any]) -> None:
    assert 50 < case(report, "shared")["max_concurrent_sm_percent"] <= 100


def test_sharing_serves_more_on_a_gpu_than_taking_turns(report: dict[str, Any]) -> None:
    rates = [
        case(report, mode)["requests_per_second_per_gpu"] for mode in ("shared", "time_sharing")
    ]

    assert rates[0] > 2 * rates[1]


def test_the_report_states_that_the_gpu_is_simulated_and_slowed(report: dict[str, Any]) -> None:
    assert report["simulated"] is True
    assert report["conditions"]["time_scale"] == 4
