"""`gshare ps` tells what replicas hold, map and save, while they share and after the store died."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support import manifests, model_client
from tests.support.node_run import Machine, asking, interrupt, read_until, until

MIB = 2**20
CLIENT = Path(model_client.__file__)
WEIGHTS = 64 * MIB
CONTEXT = 300 * MIB


@pytest.fixture
def running(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """Run two replicas that share weights of 64 MiB, and one function without any."""
    command = [sys.executable, str(CLIENT), "get_or_load", "vit", "64"]
    sharing = manifests.deployment(
        "vit",
        asking(manifests.container(command=command), 8, 10),
        gpu_mem="1Gi",
        model="vit=64Mi",
    )
    alone = manifests.deployment(
        "alone", asking(manifests.container(command=["sleep", "600"]), 8, 10), gpu_mem="1Gi"
    )
    file = machine.write(manifests.changed(sharing, ("spec", "replicas"), 2), alone)
    process = machine.start("up", file, "--simulated")
    for _ in range(2):
        read_until(process, '"found"')
    yield process
    interrupt(process)
    assert not machine.state.exists()


def test_ps_shows_private_shared_and_saved_memory(
    machine: Machine, running: subprocess.Popen[str]
) -> None:
    assert running.poll() is None

    rows = {row["replica"]: row for row in machine.ps()}

    first, second = rows["vit-0"], rows["vit-1"]
    assert first["model"] == second["model"] == "default/vit"
    assert first["shared_bytes"] == second["shared_bytes"] == WEIGHTS
    assert first["saved_bytes"] == second["saved_bytes"] == WEIGHTS // 2
    assert first["private_bytes"] == second["private_bytes"] == CONTEXT
    assert (rows["alone-0"]["model"], rows["alone-0"]["saved_bytes"]) == (None, 0)

    table = machine.run("ps").stdout
    assert "300Mi/1Gi" in table
    assert [line.split()[-2:] for line in table.splitlines() if "vit-" in line] == [
        ["64Mi", "32Mi"]
    ] * 2
    assert "GPU 0: the model store keeps 64Mi once and 300Mi for itself" in table


def test_ps_charges_no_replica_for_weights_whose_store_died(
    machine: Machine, running: subprocess.Popen[str]
) -> None:
    """The GPU charges one of those that map them; its limit does not count them."""
    (store,) = [each.pid for each in machine.processes() if is_store(each)]

    os.kill(store, signal.SIGKILL)

    until(lambda: not psutil.pid_exists(store) or is_zombie(store))
    rows = [row for row in machine.ps() if row["model"]]
    assert [row["private_bytes"] for row in rows] == [CONTEXT] * 2
    assert [row["saved_bytes"] for row in rows] == [WEIGHTS // 2] * 2
    assert sum(row["memory_bytes"] for row in rows) == 2 * CONTEXT + WEIGHTS
    assert running.poll() is None


def is_store(process: psutil.Process) -> bool:
    try:
        return "gshare_modelstore" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
