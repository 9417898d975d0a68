"""A simulated GPU with a model store on it, its leases, and programs that are the store's clients.

The store is the product's own process on a GPU's folder, as the node agent starts it; the node's
part (leases, identities, budget) is done here.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support import daemon, simgpu_node
from tests.support.daemon import eventually

from gshare import names
from gshare.runtime import leases, stores
from gshare.runtime.stores import Budget, Identity
from gshare_simgpu import SimulatedNode

MIB = 1 << 20
CONTEXT_BYTES = 300 * MIB
START_S = 20.0
_SHM = Path("/dev/shm")  # noqa: S108 (sockets and pages lie on a tmpfs)
_PREFIX = "gshare-store-test-"
CLIENT = "from tests.support.store_programs import *\n"


class StoreGpu:
    """One GPU's folder. `leases` names each lease's namespace."""

    def __init__(self, node: SimulatedNode, root: Path, namespaces: Mapping[str, str]) -> None:
        self.node = node
        self.folder = root / node.gpus[0].uuid
        self.folder.mkdir()
        self._namespaces = namespaces
        self._stores: list[subprocess.Popen[str]] = []
        wanted = [daemon.limits(lease, quota_request_percent=10) for lease in namespaces]
        identities = {
            lease: Identity(namespace, lease, "") for lease, namespace in namespaces.items()
        }
        leases.prepare(self.folder, wanted, identities)

    def allow(self, device_mib: int, host_mib: int = 4096, shared_from: str = "") -> None:
        """Write the store's budget."""
        allowed = (shared_from,) if shared_from else ()
        stores.write_budget(self.folder, Budget(device_mib * MIB, host_mib * MIB, allowed))

    def start(self, *flags: str) -> subprocess.Popen[str]:
        """Start a store and return when it serves every lease."""
        store = self.spawn(*flags)
        self.await_service(store)
        return store

    def await_service(self, store: subprocess.Popen[str]) -> None:
        """Return when a store serves every lease."""
        assert eventually(lambda: self._serves(store), START_S), store.poll()

    def spawn(self, *flags: str) -> subprocess.Popen[str]:
        """Start a store."""
        store = subprocess.Popen(
            [sys.executable, "-m", "gshare_modelstore", "--dir", str(self.folder), *flags],
            env=simgpu_node.environment(self.node, {names.ENV_SIMGPU_LABEL: "store"}),
            stderr=subprocess.PIPE,
            text=True,
        )
        self._stores.append(store)
        return store

    def kill(self, store: subprocess.Popen[str]) -> None:
        """Kill a store as the kernel does when memory is out."""
        store.kill()
        store.wait()

    def variables(self, lease: str) -> dict[str, str]:
        """Return what makes a program the store's client under a lease."""
        folder = leases.folder_of(self.folder, lease)
        return {names.ENV_LEASE_DIR: str(folder), names.ENV_SIMGPU_LABEL: lease}

    def run(self, lease: str, code: str) -> str:
        """Run a client to its end; return what it printed."""
        return simgpu_node.run(self.node, CLIENT + code, **self.variables(lease))

    @contextlib.contextmanager
    def running(self, lease: str, code: str) -> Iterator[subprocess.Popen[str]]:
        """Start a client, and yield it once it has printed "ready"."""
        with simgpu_node.running(self.node, CLIENT + code, **self.variables(lease)) as client:
            yield client

    def memory_bytes(self, label: str | None = None) -> int:
        """Return what the GPU has given out, or what the processes of one label hold."""
        found = simgpu_node.counters(self.node)
        return found.memory_used_bytes if label is None else found.account(label).memory_bytes

    def close(self) -> None:
        """End the stores."""
        for store in self._stores:
            if store.poll() is None:
                store.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    store.wait(5)
            store.kill()
            store.communicate()

    def _serves(self, store: subprocess.Popen[str]) -> bool:
        """Tell whether a store lives and answers on the sockets of all leases."""
        return store.poll() is None and all(_answers(self, lease) for lease in self._namespaces)


def _answers(gpu: StoreGpu, lease: str) -> bool:
    return stores.serves(gpu.folder, lease) and stores.answers(gpu.folder, 1.0)


@contextlib.contextmanager
def store_gpu(*leases_: str, **namespaces: str) -> Iterator[StoreGpu]:
    """Yield a V100 with leases of namespace "team", and of others as named; no store runs yet."""
    named = dict.fromkeys(leases_, "team") | namespaces
    root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHM))
    with simgpu_node.simulated_node() as node:
        gpu = StoreGpu(node, root, named)
        gpu.allow(8192)
        try:
            yield gpu
        finally:
            gpu.close()
            shutil.rmtree(root)


def said(process: subprocess.Popen[str]) -> str:
    """Return the next line that a client prints."""
    assert process.stdout
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> str:
    """Have a client do its next step, and return the line that it prints then."""
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()
    return said(process)


def files() -> set[str]:
    """Return what lies on the memory file system by names of ours."""
    return {each.name for each in _SHM.iterdir() if each.name.startswith(_PREFIX)}
