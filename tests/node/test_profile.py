"""`gshare profile` on this machine: real replicas, real enforcement, real load; short trials."""

import asyncio
import json
import re
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.support import manifests
from tests.support.node_run import Machine, asking, until
from tests.support.profiling import Notes, resnet, trial

from gshare.profile import read
from gshare_cli import profile_subject, up
from gshare_cli.gpus import GpuSettings
from gshare_cli.profile_local import LocalSite
from gshare_cli.session import SessionSettings
from gshare_profiler.campaign import Campaign
from gshare_profiler.design import Grid
from gshare_profiler.journal import Journal, Trial
from gshare_profiler.settings import Rounds, Span, TrialSettings

pytestmark = pytest.mark.timed

ROOT = Path(__file__).parents[2]
RESNET = ROOT / "examples" / "paper" / "resnet.yaml"
ROUNDS = Rounds(Span(1.2, 15, 8.0), most=3)
SHORT = TrialSettings(warm_up_s=0.5, saturation=ROUNDS, latency=Span(1.0, 15, 8.0))
GRID = Grid(sms=(12,), quotas=(40, 80))
CALIBRATED_RPS = 68.5
"""Of ResNet-50 with 12 % of a V100's SMs, all of the time (examples/inference-server/MODELS.md)."""

BROKEN = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
"""


async def _profiled(state: Path, folder: Path, grid: Grid) -> list[Trial]:
    said = profile_subject.choose(RESNET, up.read(RESNET), None)
    gpus = GpuSettings(simulated=True, time_scale=1)
    settings = SessionSettings(gpus=gpus, state_directory=state)
    site = await LocalSite.open(said.function, settings, 60)
    with Journal.open(folder / "trials.jsonl", {}) as journal:
        return list(await Campaign(grid, said.request(), SHORT).run(site, journal, Notes()))


@pytest.mark.slow
def test_throughput_is_the_quota_of_what_the_sms_give(machine: Machine, tmp_path: Path) -> None:
    trials = asyncio.run(_profiled(machine.state, tmp_path, GRID))

    for found in trials:
        measured = found.measured
        assert measured is not None, found.reason
        entitled_rps = CALIBRATED_RPS * found.quota / 100
        assert measured.throughput_rps == pytest.approx(entitled_rps, rel=0.1)
        assert measured.gpu_utilization is not None
        assert 0.7 <= measured.gpu_utilization / (found.quota / 100) <= 1.02
        assert measured.sm_occupancy is not None
        assert measured.sm_occupancy < 0.12
        assert 1500 <= measured.memory_bytes / 2**20 <= 1560
        assert 1000 / CALIBRATED_RPS <= measured.p50_ms <= measured.p99_ms
    assert not machine.state.exists()


def _profile(file: Path, output: Path, *options: object) -> list[object]:
    at_full_speed = ("--simulated", "--time-scale", 1)  # what is measured is not judged closely
    return ["profile", file, *at_full_speed, "--output", output, "--ready-timeout", 40, *options]


def _function(machine: Machine, *command: str, **changes: object) -> Path:
    container = manifests.container(
        command=list(command), ports=[{"containerPort": 8080}], **changes
    )
    return machine.write(manifests.deployment("odd", asking(container, 12, 40)))


@pytest.mark.slow
def test_requests_that_fail_end_it_with_their_reason(machine: Machine, tmp_path: Path) -> None:
    file = _function(machine, "python3", "-c", BROKEN)

    ended = machine.run(*_profile(file, tmp_path / "out"))

    assert ended.returncode == 1
    assert "3 shapes were tried and none gave figures" in ended.stderr
    assert "GET /: HTTP status 503" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not machine.processes()


@pytest.mark.slow
def test_a_server_that_ends_is_told_with_its_last_words(machine: Machine, tmp_path: Path) -> None:
    file = _function(machine, "sh", "-c", "echo no weights here; exit 3")

    ended = machine.run(*_profile(file, tmp_path / "out"))

    assert "the server ended: no weights here" in ended.stderr


@pytest.mark.slow
def test_an_interrupted_profile_goes_on_where_it_stopped(machine: Machine, tmp_path: Path) -> None:
    """Ctrl-C within the second trial: the first is kept, nothing is left, how to go on is said."""
    output = tmp_path / "out"
    arguments = _profile(RESNET, output, "--grid", "paper")
    running = machine.start(*arguments)
    _wait_for_trials(running, 1)

    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)

    assert running.returncode == 130
    assert "the same command goes on there" in err
    assert not machine.processes()
    kept = (output / "trials.jsonl").read_text().splitlines()
    again = machine.start(*arguments)
    (done_before,) = _wait_for_trials(again, 0, "trials were done before")
    assert done_before.startswith("1 trials were done before")
    again.send_signal(signal.SIGKILL)
    again.communicate(timeout=30)
    assert (output / "trials.jsonl").read_text().splitlines()[: len(kept)] == kept


def _wait_for_trials(running: subprocess.Popen[str], count: int, text: str = "req/s") -> list[str]:
    """Return the lines that say so, when `count` trials are done (or one line is there)."""
    assert running.stdout
    found: list[str] = []
    for line in running.stdout:
        found += [line] if text in line else []
        if len(found) >= max(1, count):
            return found
    raise AssertionError(f"it ended: {running.communicate()[1]}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--grid", "coarse"], "--grid: 'coarse': must be paper or adaptive"),
        (["--slo", "soon"], "--slo: 'soon': must be a duration"),
        (["--request", "infer"], "--request: 'infer': must be a line such as"),
        (["--arrivals", "late"], "--arrivals: 'late': must be even or poisson"),
        (["--users", "0"], "--users: 0: must be at least 1"),
        (["--function", "bert"], "function: 'bert': is not there; there is: resnet"),
        (["--local", "--cluster"], "--local: 'given': goes without --cluster"),
        (["--beside", "none.json"], "none.json: file: 'none.json': cannot be read"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_a_wrong_option_is_one_line_and_nothing_starts(
    machine: Machine, tmp_path: Path, options: list[str], said: str
) -> None:
    ended = machine.run("profile", RESNET, "--output", tmp_path / "out", *options)

    assert ended.returncode == 2
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_subject_of_trials_is_what_they_depend_on(machine: Machine, tmp_path: Path) -> None:
    """Done trials are shown again without a GPU's work; those of another request are refused."""
    output = tmp_path / "out"
    _fill(machine, output)

    again = machine.run("profile", RESNET, "--simulated", "-o", output, "--grid", "paper")
    other = machine.run(
        "profile", RESNET, "--simulated", "-o", output, "--grid", "paper", "--request", "GET /x"
    )

    assert again.returncode == 0, again.stderr
    assert "35 trials were done before" in again.stdout
    profile = read((output / "profile.json").read_text(), "profile.json")
    assert len(profile.points) == 35
    assert profile.is_simulated
    (config_map,) = yaml.safe_load_all((output / "configmap.yaml").read_text())
    assert json.loads(config_map["data"]["profile.json"])["function"] == "resnet"
    assert "<svg" in (output / "report.html").read_text()
    assert re.search(r"Against paper at \d+ shapes: median", again.stdout)
    assert other.returncode == 1
    assert "request was 'GET /infer' and is 'GET /x'" in other.stderr


def _fill(machine: Machine, output: Path) -> None:
    """Write a journal as if all 35 trials had been made: its first line is the command's own."""
    running = machine.start("profile", RESNET, "--simulated", "-o", output, "--grid", "paper")
    journal = output / "trials.jsonl"
    until(lambda: journal.exists() and journal.read_bytes().endswith(b"\n"))
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    head = journal.read_bytes().splitlines(keepends=True)[0]
    journal.write_bytes(head)
    with journal.open("ab") as file:
        for at in Grid().shapes:
            file.write(msgspec.json.encode(trial(*at, resnet(*at))) + b"\n")


@pytest.mark.slow
def test_the_function_that_is_scaled_is_profiled_on_one_machine_too(
    machine: Machine, tmp_path: Path
) -> None:
    """Its probe asks a second port, which is another one here."""
    file = ROOT / "examples" / "autoscaling" / "resnet.yaml"
    running = machine.start(*_profile(file, tmp_path / "out"))

    (first,) = _wait_for_trials(running, 1)

    assert first.startswith("SM 100 quota 100:")
