"""examples/model-sharing as a user runs it: `gshare up`, the example server, one simulated GPU."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from tests.support.daemon import native
from tests.support.manifests import Object, changed
from tests.support.node_run import Machine, interrupt, read_until, until

from gshare_simgpu import SimulatedNode

pytestmark = pytest.mark.timed

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "model-sharing"
MIB = 1 << 20
WEIGHTS_MIB, CONTEXT_MIB = 2634, 300


def example(name: str, replicas: int | None = None) -> list[Object]:
    """Return the objects of an example, with as many replicas as it says or is told."""
    deployment, service = yaml.safe_load_all((EXAMPLES / name).read_text())
    if replicas is not None:
        deployment = changed(deployment, ("spec", "replicas"), replicas)
    return [deployment, service]


def stores(machine: Machine) -> list[psutil.Process]:
    """Return the model stores that run."""
    return [each for each in machine.processes() if "gshare_modelstore" in each.cmdline()]


def memory_mib(machine: Machine) -> dict[str, int]:
    """Return what the processes of each label hold of the GPU, by the GPU itself."""
    node = SimulatedNode.open(machine.state / "simgpu", native().simgpu)
    accounts = node.counters(node.gpus[0].uuid).accounts
    node.close()
    return {each.label: each.memory_bytes // MIB for each in accounts if each.memory_bytes}


def await_ready(run: subprocess.Popen[str], replicas: int) -> None:
    """Wait for all replicas: the first one makes 2.6 GiB, which the store hashes and copies."""
    read_until(run, f"{replicas} of {replicas} replicas ready", patience_s=75)


@pytest.fixture
def sharing(machine: Machine) -> Iterator[Machine]:
    """Run two replicas of the example on a machine."""
    run = machine.start("up", machine.write(*example("vit-huge.yaml", 2)), "--gpus", 1)
    await_ready(run, 2)
    yield machine
    interrupt(run)


def test_six_replicas_run_where_a_seventh_is_refused(machine: Machine) -> None:
    run = machine.start("up", EXAMPLES / "vit-huge.yaml", "--gpus", 1)
    await_ready(run, 6)
    held = memory_mib(machine)
    interrupt(run)

    one_more = machine.run("up", machine.write(*example("vit-huge.yaml", 7)), "--gpus", 1)

    assert sum(held.values()) < 16 * 1024
    assert len([mib for mib in held.values() if mib > 1000]) == 7, "six replicas and the store"
    assert one_more.returncode != 0
    assert "does not fit" in one_more.stderr


def test_without_sharing_a_fourth_is_refused(machine: Machine) -> None:
    one_more = machine.run("up", machine.write(*example("private.yaml", 4)), "--gpus", 1)

    assert one_more.returncode != 0
    assert "does not fit" in one_more.stderr


def test_a_replica_holds_no_weights_and_the_store_holds_them_once(sharing: Machine) -> None:
    held = memory_mib(sharing)
    pods = [held.pop(f"vit-huge-{number}") for number in range(2)]

    assert max(pods) < 4735 - WEIGHTS_MIB + 10
    (store,) = held.values()
    assert WEIGHTS_MIB + CONTEXT_MIB <= store < WEIGHTS_MIB + CONTEXT_MIB + 10


def test_a_killed_store_comes_back_while_the_replicas_serve_on(sharing: Machine) -> None:
    (store,) = stores(sharing)
    store.kill()

    until(lambda: [each.pid for each in stores(sharing)] not in ([], [store.pid]))
    assert all(row["state"] for row in sharing.ps())
    for replica in range(2):
        assert infers(sharing, replica)


def infers(machine: Machine, replica: int) -> bool:
    """Tell whether a replica answers a request for an inference."""
    process = psutil.Process(machine.pids()[f"vit-huge-{replica}"])
    port = process.environ()["PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/infer", timeout=20) as answer:
        return json.loads(answer.read())["model"] == "vit_huge"


def test_nothing_is_left_of_store_and_replicas(machine: Machine) -> None:
    run = machine.start("up", machine.write(*example("vit-huge.yaml", 2)), "--gpus", 1)
    await_ready(run, 2)
    assert len(stores(machine)) == 1

    interrupt(run)

    until(lambda: not machine.processes())
    assert not machine.state.exists()


def test_the_store_of_a_killed_run_ends_with_the_next_run(machine: Machine) -> None:
    file = machine.write(*example("vit-huge.yaml", 1))
    run = machine.start("up", file, "--gpus", 1)
    await_ready(run, 1)
    (store,) = stores(machine)
    run.kill()

    again = machine.run("up", file, "--gpus", 1, "--duration", 1)

    assert again.returncode == 0, again.stderr
    assert not store.is_running()
    until(lambda: not machine.processes())
    assert not machine.state.exists()
