"""`gshare run`: one command in its rectangle, transparent to its caller."""

import signal
import sys

import pytest
from tests.support.node_run import CLIENT, Machine, read_until

pytestmark = pytest.mark.timed

SHAPE = ("--sm", 12, "--quota", 40, "--simulated")


def test_the_commands_exit_code_and_output_pass_through(machine: Machine) -> None:
    script = "echo $CUDA_MPS_ACTIVE_THREAD_PERCENTAGE; exit 7"

    ended = machine.run("run", *SHAPE, "--", "sh", "-c", script)

    assert (ended.returncode, ended.stdout) == (7, "12\n"), ended.stderr
    assert not machine.state.exists()


def test_a_signal_reaches_the_command(machine: Machine) -> None:
    trap = "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    run = machine.start("run", *SHAPE, "--", "sh", "-c", trap)
    read_until(run, "up")

    run.send_signal(signal.SIGTERM)

    out, _ = run.communicate(timeout=10)
    assert (run.returncode, out) == (5, "asked\n")


def test_a_command_that_is_not_there_is_said_as_a_shell_would(machine: Machine) -> None:
    ended = machine.run("run", *SHAPE, "--", "no-such-command")

    assert ended.returncode == 127
    assert "no-such-command: command not found" in ended.stderr
    assert not machine.state.exists()


def test_a_limit_below_the_quota_is_refused(machine: Machine) -> None:
    ended = machine.run("run", *SHAPE, "--quota-limit", 30, "--", "true")

    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "--quota-limit" in ended.stderr
    assert not machine.state.exists()


def test_a_command_behind_a_shim_has_its_cap_and_no_preload(machine: Machine) -> None:
    code = """
import ctypes, os; driver = ctypes.CDLL("libcuda.so.1"); free, total = (ctypes.c_size_t * 2)(), 0
context = ctypes.c_void_p(); driver.cuInit(0)
driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0); driver.cuCtxSetCurrent(context)
driver.cuMemGetInfo_v2(free, ctypes.byref(free, 8))
print(free[1] >> 20, os.environ.get("LD_PRELOAD"))
"""
    shape = (*SHAPE, "--gpu-mem", "1500Mi", "--hook", "shim")

    ended = machine.run("run", *shape, "--", sys.executable, "-c", code)

    assert (ended.returncode, ended.stdout) == (0, "1500 None\n"), ended.stderr


def test_a_way_to_the_hook_that_is_none_is_refused(machine: Machine) -> None:
    ended = machine.run("run", *SHAPE, "--hook", "audit", "--", "true")

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith("--hook: 'audit': must be preload or shim")


def test_ps_and_map_show_a_running_command(machine: Machine) -> None:
    run = machine.start("run", *SHAPE, "--quota-limit", 40, "--", sys.executable, CLIENT, 8, 1000)
    read_until(run, "launching")

    (row,) = machine.ps()
    drawn = machine.run("map").stdout
    svg = machine.state.parent / "map.svg"
    machine.run("map", "--svg", svg)

    assert (row["sm_percent"], row["quota_request_percent"], row["state"]) == (12, 40, "active")
    assert 34 <= row["delivered_percent"] <= 44
    assert row["memory_bytes"] > 0
    assert "simulated" in drawn
    assert "time %" in svg.read_text()
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=10)
    assert not machine.state.exists()


def test_ps_makes_no_state_where_nothing_runs(machine: Machine) -> None:
    ended = machine.run("ps")

    assert "nothing runs" in ended.stdout
    assert not machine.state.exists()


def test_a_killed_run_leaves_nothing_after_the_next(machine: Machine) -> None:
    script = "setsid sleep 300 & echo up; sleep 300"
    run = machine.start("run", *SHAPE, "--", "sh", "-c", script)
    read_until(run, "up")
    run.kill()
    run.wait()

    following = machine.run("run", *SHAPE, "--", "true")

    assert following.returncode == 0, following.stderr
    assert not machine.processes()
    assert not machine.state.exists()
