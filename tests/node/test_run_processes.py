"""Processes of a run: told apart from strangers, and ended with their children."""

import os
import subprocess
import sys

from gshare.runtime import processes
from gshare.runtime.processes import ProcessIdentity

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_process_is_itself_until_it_ends() -> None:
    child = subprocess.Popen(SLEEP)
    identity = ProcessIdentity.of(child.pid)
    assert identity
    assert identity.is_alive()

    child.kill()
    child.wait()

    assert not identity.is_alive()


def test_another_process_with_the_same_id_is_a_stranger() -> None:
    identity = ProcessIdentity.of(os.getpid())
    assert identity

    assert not ProcessIdentity(os.getpid(), identity.created - 1).is_alive()


def test_a_run_ends_with_children_that_left_its_process_group() -> None:
    child = subprocess.Popen(SLEEP, start_new_session=True, env={"GSHARE_RUN_ID": "up-test-1"})
    stranger = subprocess.Popen(SLEEP, env={"GSHARE_RUN_ID": "up-test-10"})
    while b"up-test-1\0" not in open(f"/proc/{child.pid}/environ", "rb").read():  # noqa: PTH123, SIM115
        pass

    processes.end_run("up-test-1")

    assert child.wait(timeout=5) == -9
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_run_ends_with_children_that_cleared_their_environment() -> None:
    script = "env -i sleep 60 & echo $!; wait"
    leader = subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE)
    assert leader.stdout
    grandchild = int(leader.stdout.readline())
    identity = ProcessIdentity.of(leader.pid)
    assert identity
    leader.kill()
    leader.wait()

    processes.end_run("no-such-run", [identity])

    assert ProcessIdentity.of(grandchild) is None or not processes._runs(grandchild)


def test_stopping_kills_what_ignores_the_request() -> None:
    child = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.05; done"], stdout=subprocess.PIPE
    )
    assert child.stdout
    child.stdout.readline()

    processes.stop([child.pid], grace_s=0.1)

    assert child.wait(timeout=5) == -9
