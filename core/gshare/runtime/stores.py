"""What the node and the model store of one GPU leave for each other in the GPU's folder.

    leases/<id>/identity.json   the node's: who the lease's container is to the store
    store-budget.json           the node's: what memory is the store's; it runs while this is there
    leases/<id>/store.sock      the store's: where the lease's container asks it
    resident.json               the store's: the weights that it keeps on the GPU

Each file is replaced in one step. The store follows them, whatever was there when it started; so
either side may be killed at any line, and the other goes on with what it last read.
"""

import importlib.util
import json
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol

from gshare import models, names
from gshare.models import ModelShare

from .state import is_locked, write_atomically

# A question that changes nothing and has one packet for an answer: gshare_store_request of
# store_wire.h with its op RELEASE, of a key that we have no reference on.
_QUESTION: Final = struct.pack("=6IQQ32s208s", 0x4C444F4D, 1, 5, 0, 0, 0, 0, 0, b"", b"alive")
_REPLY_BYTES: Final = 1 << 10

CONTEXT_BYTES: Final = 300 * 2**20
"""What a store's context takes of a GPU's memory: an MPS client's on a V100, as the hook counts it
(hook/src/hook/context.c); 100-500 MiB elsewhere."""
HOST_BYTES: Final = 4 * 2**30
"""What a store keeps in the host's memory at most, where nobody says."""


class Holder(Protocol):
    """A lease, as far as its GPU's store is concerned."""

    @property
    def memory_bytes(self) -> int:
        """What it may take of the GPU's memory, shared weights not counted."""

    @property
    def shared(self) -> ModelShare | None:
        """The model that its pod announces."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a lease's container is to the store, and the model that its pod announces."""

    namespace: str
    pod: str
    function: str
    model: str | None = None
    model_bytes: int | None = None
    """The bytes of weights that were announced; None where the pod did not say."""

    @classmethod
    def of(cls, namespace: str, pod: str, function: str, share: ModelShare | None) -> "Identity":
        """Return the identity of a pod that announces `share`, if anything."""
        key, size_bytes = (share.key, share.size_bytes) if share else (None, None)
        return cls(namespace, pod, function, key, size_bytes)

    @property
    def scoped(self) -> str | None:
        """Return the announced model's one name among all namespaces (`models.scoped`)."""
        return None if self.model is None else models.scoped(self.namespace, self.model)


@dataclass(frozen=True, slots=True)
class Budget:
    """The memory that is a store's, and who may store what all namespaces see."""

    device_bytes: int
    """On the GPU, the store's own context not counted; 0 where leases have it all."""
    host_bytes: int
    shared_from: tuple[str, ...] = ()
    """Namespaces that may store and drop keys under `shared/`."""


def is_installed() -> bool:
    """Tell whether a store can run with this Python: it needs cuda-bindings."""
    try:
        return importlib.util.find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:
        return False


def write_identity(lease: Path, identity: Identity) -> None:
    """Write who a lease's container is, unless it stands there."""
    _write_if_new(lease / names.FILE_IDENTITY, json.dumps(asdict(identity)))


def write_budget(gpu: Path, budget: Budget | None) -> None:
    """Write what a GPU's store may use; None ends the store."""
    file = gpu / names.FILE_STORE_BUDGET
    if budget is None:
        file.unlink(missing_ok=True)
    else:
        _write_if_new(file, json.dumps(asdict(budget)))


def budget(gpu: Path) -> Budget | None:
    """Return what a GPU's store may use now; None where none is to run."""
    try:
        raw = json.loads((gpu / names.FILE_STORE_BUDGET).read_text())
        return Budget(raw["device_bytes"], raw["host_bytes"], tuple(raw["shared_from"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_wanted(gpu: Path) -> bool:
    """Tell whether a store is to run on a GPU."""
    return (gpu / names.FILE_STORE_BUDGET).exists()


def remaining(
    memory_bytes: int, context_bytes: int, caps: Iterable[int], *, is_announced: bool, runs: bool
) -> int | None:
    """Return the bytes of a GPU that leases with these `caps` leave to its store. Pure.

    None where no store is to run: no present lease announces a model, and either none `runs` or
    the memory that it would linger in is wanted.
    """
    left = memory_bytes - context_bytes - sum(caps)
    if is_announced:
        return max(0, left)
    return left if runs and left > 0 else None


def left_by(
    held: Sequence[Holder], gpu: Path, memory_bytes: int, context_bytes: int | None
) -> int | None:
    """Return the bytes of a GPU that the leases `held` leave to its store now.

    None where no store is to run (`remaining`), nor can: `context_bytes` is None.
    """
    if context_bytes is None:
        return None
    return remaining(
        memory_bytes,
        context_bytes,
        (each.memory_bytes for each in held),
        is_announced=any(each.shared for each in held),
        runs=is_wanted(gpu),
    )


def runs(gpu: Path) -> bool:
    """Tell whether a store runs on a GPU, wanted or not."""
    return is_locked(gpu / names.FILE_STORE_LOCK)


def resident(gpu: Path) -> dict[str, int]:
    """Return the bytes of each model that a GPU's store keeps on it, by scoped name.

    Empty where no store is to run, whatever one that was killed has left.
    """
    if not is_wanted(gpu):
        return {}
    try:
        raw = json.loads((gpu / names.FILE_RESIDENT).read_text())
    except (OSError, ValueError):  # not yet there, or half of a file that is no store's
        return {}
    if not isinstance(raw, Mapping):
        return {}
    return {str(name): size for name, size in raw.items() if isinstance(size, int)}


def serves(gpu: Path, lease_id: str) -> bool:
    """Tell whether a GPU's store has a socket for a lease."""
    return (_lease(gpu, lease_id) / names.FILE_STORE_SOCKET).exists()


def announcing(gpu: Path) -> tuple[str, ...]:
    """Return the leases of a GPU's folder that announce a model, by id."""
    return tuple(sorted(_announcing(gpu)))


def answers(gpu: Path, timeout_s: float) -> bool:
    """Tell whether a GPU's store answers each question in `timeout_s`.

    One that has nobody to serve cannot be asked: it counts as answering.
    """
    for lease_id in announcing(gpu):
        if serves(gpu, lease_id):
            return _answers(_lease(gpu, lease_id), timeout_s)
    return True


def unserved(gpu: Path) -> Sequence[str]:
    """Return the leases that announce a model and have no socket of the store yet."""
    return [each for each in announcing(gpu) if not serves(gpu, each)]


def _announcing(gpu: Path) -> Iterator[str]:
    try:
        folders = list((gpu / names.FOLDER_LEASES).iterdir())
    except FileNotFoundError:
        return
    for folder in folders:
        try:
            raw = json.loads((folder / names.FILE_IDENTITY).read_text())
        except (OSError, ValueError):
            continue
        if isinstance(raw, Mapping) and raw.get("model"):
            yield folder.name


def _answers(lease: Path, timeout_s: float) -> bool:
    try:
        folder = os.open(lease, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:  # by the descriptor: a socket's address has room for 107 bytes of path
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(timeout_s)
            connection.connect(f"/proc/self/fd/{folder}/{names.FILE_STORE_SOCKET}")
            connection.send(_QUESTION)
            return bool(connection.recv(_REPLY_BYTES))
    except OSError:
        return False
    finally:
        os.close(folder)


def _lease(gpu: Path, lease_id: str) -> Path:
    return gpu / names.FOLDER_LEASES / lease_id


def _write_if_new(file: Path, text: str) -> None:
    try:
        if file.read_text() == text:
            return
    except FileNotFoundError:
        pass
    write_atomically(file, text)
