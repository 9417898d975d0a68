"""What breaks around the processes of a GPU: its daemon, limits pages, its disk, the wall clock."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import programs, simgpu_node
from tests.support.daemon import eventually, native
from tests.support.hooked import HookedGpu
from tests.support.neighbours import (
    SHARE_PERCENT,
    WINDOW_S,
    again_on_a_busy_host,
    loses_a_window_at_most,
    saturated,
    victim_and_neighbour,
)
from tests.support.small_disk import full, small_disk

from gshare import names

pytestmark = pytest.mark.timed

FREED_PERCENT = SHARE_PERCENT + 5
"""More than what a lease makes good in some windows, and less than the 60 % that are there."""
BOTH = ("victim", "neighbour")


def share_of(gpu: HookedGpu, lease_id: str, seconds: float) -> float:
    """Measure what share of the time, in percent, the GPU works for a lease."""
    before = simgpu_node.counters(gpu.gpu)
    time.sleep(seconds)
    after = simgpu_node.counters(gpu.gpu)
    got_ns = after.account(lease_id).kernel_ns - before.account(lease_id).kernel_ns
    return 100 * got_ns / (after.now_ns - before.now_ns)


def kill_daemon(gpu: HookedGpu) -> None:
    daemon = gpu.node.daemon
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGKILL)
    assert eventually(lambda: not daemon.is_alive())


def limits_page(gpu: HookedGpu, lease_id: str) -> Path:
    return gpu.node.lease(lease_id) / names.FILE_LIMITS


@again_on_a_busy_host
def test_a_daemon_killed_under_load_and_away_costs_nobody_more_than_a_window() -> None:
    """Each of its absences: they pace themselves, and meet its successor, within a window each."""
    with victim_and_neighbour() as gpu, saturated(gpu, "victim"):
        for away_s in (0, 2 * WINDOW_S):
            with loses_a_window_at_most(gpu, *BOTH):
                kill_daemon(gpu)
                time.sleep(away_s)
                gpu.node.daemon.start()
                time.sleep(4 * WINDOW_S)

        assert eventually(lambda: gpu.node.control.stats().lease("victim").processes == 1)


def test_nobody_gets_more_than_its_share_while_the_daemon_is_away() -> None:
    with victim_and_neighbour() as gpu, saturated(gpu, "victim"):
        kill_daemon(gpu)
        time.sleep(WINDOW_S)

        assert share_of(gpu, "victim", 8 * WINDOW_S) < FREED_PERCENT


@again_on_a_busy_host
def test_clients_of_a_daemon_that_hangs_go_on_when_it_does() -> None:
    with victim_and_neighbour() as gpu, saturated(gpu, "victim"):
        daemon = gpu.node.daemon.pid
        assert daemon is not None
        os.kill(daemon, signal.SIGSTOP)
        time.sleep(2 * WINDOW_S)
        os.kill(daemon, signal.SIGCONT)

        with loses_a_window_at_most(gpu, *BOTH):
            time.sleep(5 * WINDOW_S)


def overwrite(page: Path) -> None:
    page.write_bytes(os.urandom(page.stat().st_size))


def cut(page: Path) -> None:
    os.truncate(page, 0)


def leave_amid_a_change(page: Path) -> None:
    """Leave its sequence word odd, as a node that was killed there does."""
    content = bytearray(page.read_bytes())
    content[8] |= 1
    page.write_bytes(content)


SPOILERS = {
    "overwritten": overwrite,
    "cut": cut,
    "removed": Path.unlink,
    "left amid a change": leave_amid_a_change,
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS.keys())
@again_on_a_busy_host
def test_a_limits_page_spoilt_under_load_neither_ends_its_lease_nor_frees_it(
    spoil: Callable[[Path], None],
) -> None:
    with victim_and_neighbour() as gpu, saturated(gpu, "victim") as victim:
        spoil(limits_page(gpu, "victim"))
        time.sleep(WINDOW_S)

        with loses_a_window_at_most(gpu, *BOTH):
            assert share_of(gpu, "victim", 5 * WINDOW_S) < FREED_PERCENT
        assert victim.poll() is None


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS.keys())
@again_on_a_busy_host
def test_without_limits_a_process_is_refused_and_its_neighbour_goes_on(
    spoil: Callable[[Path], None],
) -> None:
    program = """
ok(cuda.cuInit(0)); print({cuda.cuDevicePrimaryCtxRetain(0)[0].name, cuda.cuMemAlloc(64)[0].name,
                           cuda.cuLaunchKernel(0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0)[0].name})
"""
    with victim_and_neighbour() as gpu:
        spoil(limits_page(gpu, "victim"))
        with loses_a_window_at_most(gpu, "neighbour"):
            assert gpu.run("victim", program) == "{'CUDA_ERROR_NOT_PERMITTED'}"

        assert gpu.node.control.stats().lease("victim").processes == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk needs root")
@again_on_a_busy_host
def test_a_full_disk_costs_no_lease_its_daemon_or_its_processes() -> None:
    """More processes than fit the first page of their counters: the last of it is there too."""
    crowd = """
import os
told, tells = os.pipe(); stays, leaves = os.pipe()
def work():
    os.close(leaves); context(); launch(kernel(8, 100), 3); ok(cuda.cuCtxSynchronize())
    os.write(tells, b"x"); os.read(stays, 1); os._exit(0)
children = [os.fork() or work() for _ in range(45)]
[os.read(told, 1) for _ in children]; os.close(leaves)
print({os.waitpid(child, 0)[1] for child in children})
"""
    with small_disk(1 << 20) as disk, victim_and_neighbour(disk) as gpu, full(disk):
        # On two cores some of 45 wait between token and launch: 0 to 3.6 ms of 0.6 s in 30 runs.
        with loses_a_window_at_most(gpu, "neighbour", overlap_percent=0.5):
            kill_daemon(gpu)
            gpu.node.daemon.start()
            assert gpu.run("victim", crowd) == "{0}"
            time.sleep(2 * WINDOW_S)

        assert eventually(lambda: gpu.node.control.stats().lease("victim").processes == 0)


@again_on_a_busy_host
def test_a_wall_clock_that_jumps_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading of it is hours from the last; hook and daemon are ended where they read it."""
    jumps = str(programs.c("jumping_clock", "-shared", "-fPIC", "-ldl"))
    with victim_and_neighbour() as gpu:
        kill_daemon(gpu)
        with monkeypatch.context() as patch:
            patch.setenv(names.ENV_PRELOAD, jumps)
            gpu.node.daemon.start()

        preloaded = {names.ENV_PRELOAD: f"{jumps}:{native().hook}"}
        with saturated(gpu, "victim", **preloaded), loses_a_window_at_most(gpu, *BOTH):
            time.sleep(6 * WINDOW_S)


@pytest.mark.parametrize("part", ["hook", "tokend"])
def test_hook_and_daemon_know_no_wall_clock(part: str) -> None:
    """No call that reads it is imported; clock_gettime is asked for the monotonic clock alone."""
    listing = subprocess.run(
        ["nm", "--dynamic", "--undefined-only", getattr(native(), part)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.split()[-1].partition("@")[0] for line in listing.stdout.splitlines()}

    assert "clock_gettime" in imported
    assert not imported & {
        "time", "gettimeofday", "ftime", "timespec_get", "pthread_cond_timedwait",
        "pthread_mutex_timedlock", "sem_timedwait", "mq_timedreceive",
    }  # fmt: skip
