"""Clients of two namespaces do everything at once; the store stays right, and nothing is left."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.simgpu_node import run, simulated_node
from tests.support.store_client import Given, RawClient, accepts, content, store, wait_until
from tests.support.store_folder import GpuFolderScene

from gshare_modelstore.protocol import Ask, Op, Status, Tier

pytestmark = pytest.mark.timed

MIB = 1 << 20
CHURN_S = 5.0
CLIENTS = 8
CONTENTS = [content(bytes([fill]), fill * MIB) for fill in (1, 3, 5, 7)]
HANG_UPS = (TimeoutError, EOFError, ConnectionError, BlockingIOError)


class Churn:
    """Clients that ask for anything, and a budget that changes under them."""

    def __init__(self, folder: GpuFolderScene) -> None:
        self.folder = folder
        self.statuses: Counter[Status] = Counter()
        self.wrong: list[Given] = []
        self.end = time.monotonic() + CHURN_S

    def run(self) -> None:
        threads = [threading.Thread(target=self._client, args=(seed,)) for seed in range(CLIENTS)]
        threads.append(threading.Thread(target=self._budget))
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _client(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 (a test's)
        leases = list(self.folder.leases)
        while time.monotonic() < self.end:
            try:
                with RawClient(self.folder.socket(chance.choice(leases))) as client:
                    client.socket.settimeout(chance.choice((0.05, 0.5)))
                    for _ in range(chance.randrange(1, 8)):
                        self._request(client, chance)
            except HANG_UPS:
                continue

    def _request(self, client: RawClient, chance: random.Random) -> None:
        key = chance.choice(("m", "n", "shared/m"))
        tier = chance.choice(tuple(Tier))
        kind = chance.choice(("get", "get", "store", "store", "drop", "release", "pin", "noise"))
        if kind == "noise":
            client.socket.send(os.urandom(280))
        elif kind == "get":
            self._take(client.get(key, tier))
        elif kind == "store":
            flags = chance.choice((Ask.NONE, Ask.NONE, Ask.PIN))
            self._take(client.store(key, chance.choice(CONTENTS), tier=tier, flags=flags))
        else:
            self._take(client.ask(Op[kind.upper()], key))

    def _take(self, given: Given) -> None:
        """Look at what came: on the simulated driver weights are memfds in either tier."""
        self.statuses[given.status] += 1
        if given.descriptors:
            (entry,) = given.entries
            ends = (entry.offset, entry.offset + entry.size_bytes - 1)
            fill = bytes([entry.size_bytes // MIB])
            if any(os.pread(given.descriptors[1], 1, at) != fill for at in ends):
                self.wrong.append(given)
        given.close()

    def _budget(self) -> None:
        chance = random.Random(0)  # noqa: S311 (a test's)
        while time.monotonic() < self.end:
            device, host = chance.choice((0, 8, 24, 40)), chance.choice((0, 10, 20))
            self.folder.budget(device * MIB, host * MIB, ["red"])
            time.sleep(0.2)


@pytest.fixture
def node() -> Iterator:
    with simulated_node() as made:
        yield made


def test_clients_that_do_everything_at_once_leave_nothing_behind(node, tmp_path: Path) -> None:
    folder = GpuFolderScene(tmp_path / node.gpus[0].uuid)
    for lease in ("r1", "r2", "b1"):
        folder.add(lease, "red" if lease[0] == "r" else "blue")
    folder.budget(24 * MIB, 20 * MIB, ["red"])
    at = folder.socket("r1")
    flags = ("--dir", str(folder.path), "--namespace-quota", "20Mi")
    with store(*flags, at=at, environment=node.environment()) as running:
        wait_until(lambda: all(accepts(folder.socket(each)) for each in folder.leases))
        churn = Churn(folder)

        churn.run()
        folder.budget()

        assert churn.statuses[Status.READY] > CLIENTS
        assert churn.wrong == []
        assert running.process.poll() is None
        wait_until(lambda: running.memfds() == [])
        assert folder.resident == {}
        assert used_mib(node) == 2 * 300


def used_mib(node) -> int:
    """Memory in use: at the end the contexts of the store and of who asks."""
    code = "context(); free, total = ok(cuda.cuMemGetInfo()); print((total - free) >> 20)"
    return int(run(node, code))
