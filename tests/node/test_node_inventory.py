"""The node's inventory, by the simulated NVML: GPUs, their faults, and what outlives a restart."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.daemon import eventually

from gshare.errors import GshareError, InputError
from gshare.runtime import processes
from gshare.runtime.native import Native
from gshare_deviceplugin import simulated
from gshare_simgpu import SimulatedNode

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 12.0
# NVML is one a process, so each inventory has a process of its own; it prints each change.
WATCH = """
import json, sys, time
from pathlib import Path
from gshare.runtime.native import Native
from gshare_deviceplugin import libraries
from gshare_deviceplugin.inventory import InventorySettings, open_inventory
state = Path(sys.argv[1])
made = libraries.publish(state / "lib", Native.locate(), simulated=True)
inventory = open_inventory(
    InventorySettings(state, sys.argv[2], "v100:2", time_scale=4, quiet_s=float(sys.argv[3])), made)
def show():
    shown = [[gpu.uuid, gpu.is_healthy, gpu.note] for gpu in inventory.gpus()]
    print(json.dumps(shown), flush=True)
inventory.on_change(show)
show()
print(inventory.window_us, flush=True)
inventory.start()
sys.stdin.readline()
inventory.stop()
"""


class Watched:
    """An inventory in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], said: Path) -> None:
        self.process = process
        self._said = said

    def lines(self) -> list[str]:
        return self._said.read_text().splitlines()

    def shown(self) -> list[tuple[str, bool, str]]:
        """Return uuid, health and note of each GPU, as shown last."""
        last = [line for line in self.lines() if line.startswith("[")][-1]
        return [tuple(each) for each in json.loads(last)]

    def shows(self, *notes: str) -> bool:
        """Tell whether the notes are, or soon are, those of the GPUs; empty means healthy."""
        return eventually(lambda: tuple(note for _, _, note in self.shown()) == notes, PATIENCE_S)


@pytest.fixture
def state() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gshare-inventory-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def watched(state: Path, node_name: str = "node-a", quiet_s: float = 1.0) -> Iterator[Watched]:
    said = state / f"said-{len(list(state.glob('said-*')))}"
    with said.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", WATCH, str(state), node_name, str(quiet_s)],
            stdin=subprocess.PIPE,
            stdout=file,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (prctl alone: safe after fork)
        )
    try:
        found = Watched(process, said)
        assert eventually(lambda: len(found.lines()) >= 3, PATIENCE_S), found.lines()
        yield found
    finally:
        process.communicate("\n", timeout=PATIENCE_S)


def gpus(state: Path) -> SimulatedNode:
    return SimulatedNode.open(state / "simgpu", Native.locate().simgpu)


def test_gpus_are_known_soon_and_not_waited_for(state: Path) -> None:
    with watched(state) as inventory:
        first, window, *_ = inventory.lines()

        assert (first, window) == ("[]", "160000")
        assert [uuid for uuid, _, _ in inventory.shown()] == [gpu.uuid for gpu in gpus(state).gpus]
        assert inventory.shows("", "")


def test_a_fault_takes_one_gpu_out_until_it_has_been_quiet(state: Path) -> None:
    with watched(state) as inventory:
        node = gpus(state)
        for xid in (13, 31, 94):
            node.report_xid(node.gpus[1].uuid, xid)

        assert inventory.shows("", "XID 94 (contained ECC error)")
        assert inventory.shows("", "")


def test_a_lost_gpu_stays_in_the_list_and_comes_back(state: Path) -> None:
    with watched(state) as inventory:
        node = gpus(state)
        node.set_lost(node.gpus[0].uuid, lost=True)
        assert inventory.shows("NVML: the driver does not tell of it any more", "")

        node.set_lost(node.gpus[0].uuid, lost=False)

        assert inventory.shows("", "")


def test_a_restart_of_the_agent_does_not_make_a_gpu_well(state: Path) -> None:
    with watched(state) as inventory:
        node = gpus(state)
        node.report_xid(node.gpus[0].uuid, 79)
        assert inventory.shows("XID 79 (fell off the bus); needs a reset", "")

    with watched(state) as inventory:
        assert inventory.shows("XID 79 (fell off the bus); needs a reset", "")


def test_two_nodes_have_different_gpus(state: Path) -> None:
    for name in ("a", "b"):
        (state / name).mkdir()
    with watched(state / "a", "node-a") as one, watched(state / "b", "node-b") as other:
        uuids = {uuid for inventory in (one, other) for uuid, _, _ in inventory.shown()}

    assert len(uuids) == 4


def test_other_simulated_gpus_than_those_made_are_refused(state: Path) -> None:
    drivers = Native.locate().simgpu
    simulated.make_or_open(state / "simgpu", "v100:2", "node-a", 1, drivers)

    with pytest.raises(GshareError, match="holds other simulated GPUs than 'v100'"):
        simulated.make_or_open(state / "simgpu", "v100", "node-a", 1, drivers)


def test_a_start_that_was_killed_while_it_made_gpus_is_done_again(state: Path) -> None:
    (state / "simgpu").mkdir()
    (state / "simgpu" / "topology").write_text("gpu uuid=GPU-half")

    made = simulated.make_or_open(state / "simgpu", "v100", "node-a", 1, Native.locate().simgpu)

    assert len(made.gpus) == 1


@pytest.mark.parametrize("asked", ["k80", "v100:x", "v100:-1", ""])
def test_what_names_no_simulated_gpu_is_refused(state: Path, asked: str) -> None:
    with pytest.raises(InputError, match="--simulate"):
        simulated.make_or_open(state / "simgpu", asked, "node-a", 1, Native.locate().simgpu)
