"""The benchmark of shares, run on one case: it measures, reports, and says whether bars hold."""

import json
import subprocess
import sys

import pytest
from tests.support.daemon import native
from tests.support.simgpu_node import ROOT

CASE = "alone-1370us-tight-q20-sm50"
NEEDED = native().root / "bench" / "quota_client"

pytestmark = [
    pytest.mark.timed,
    pytest.mark.skipif(not NEEDED.exists(), reason="run `make bench-clients` first"),
]


def run(report, *flags):
    command = [sys.executable, "-m", "benchmarks.quota", "--report", str(report), *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    report = tmp_path_factory.mktemp("bench") / "quota.json"
    done = run(report, "--case", CASE, "--seconds", "1", "--attempts", "1")
    return done, json.loads(report.read_text())


def test_the_lease_got_about_what_it_was_promised(measured):
    _, report = measured
    (row,) = report["cases"]

    assert row["promised"] == 20
    assert row["delivered"] == pytest.approx(20, abs=6)  # the host may be busy
    assert row["error_points"] == pytest.approx(row["delivered"] - row["promised"], abs=0.01)


def test_the_exit_code_says_whether_all_bars_hold(measured):
    done, report = measured

    assert report["claims"]
    assert done.returncode == (0 if all(claim["holds"] for claim in report["claims"]) else 1)


def test_a_report_says_that_the_gpu_was_simulated_and_how_busy_the_host_was(measured):
    _, report = measured

    assert report["simulated"] is True
    assert 0 <= report["cases"][0]["host_busy_percent"] <= 100


def test_an_unknown_case_is_refused(tmp_path):
    done = run(tmp_path / "none.json", "--case", "no-such")

    assert done.returncode == 1
    assert "no case 'no-such'" in done.stderr
