"""Maps weights that the store has answered with, by whichever mechanism it shows them."""

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from . import client_cuda, client_memory, index
from .client_connection import Answer, Connection
from .client_cuda import DeviceMemory
from .client_memory import HostMemory
from .errors import StoreError, UnusableError
from .protocol import Mechanism, Reply
from .tensors import Tensor
from .weights import Origin, Weights

_DESCRIPTORS: Final = {Mechanism.MEMFD: 2, Mechanism.VMM: 2, Mechanism.IPC: 1}
"""How many come with weights: the index, and what shows the weights unless a handle does."""
ON_DEVICE: Final = (Mechanism.VMM, Mechanism.IPC)

_Map: TypeAlias = HostMemory | DeviceMemory


class Mappings:
    """The maps of one client: weights that it maps already are not mapped again."""

    def __init__(self) -> None:
        self._maps: weakref.WeakValueDictionary[tuple[bytes | None, Mechanism], _Map]
        self._begin()

    def weights(
        self, key: str, answer: Answer, connection: Connection, ordinal: int | None
    ) -> Weights:
        """Return the weights of an answer READY, and close its descriptors.

        The reference that came with them goes back when their map goes. Raises GpuError where the
        GPU refuses, UnusableError where the kernel does, or the answer is none.
        """
        name = key, answer.reply.digest
        try:
            text = _read_index(answer)
            memory, is_new = self._memory(answer, ordinal)
        except BaseException as error:
            connection.give_back(name)
            if isinstance(error, OSError | ValueError):
                raise UnusableError(f"model {key!r}: cannot be mapped: {error}") from error
            raise
        finally:
            answer.close()
        if is_new:
            _at_end(memory, partial(connection.give_back, name))
        else:
            connection.give_back(name)  # the map that is there has one
        reply = answer.reply
        return Weights(key, _origin(reply, memory), lambda: _tensors(text, reply, memory))

    def _memory(self, answer: Answer, ordinal: int | None) -> tuple[_Map, bool]:
        """Return the map, and whether it was made now."""
        if os.getpid() != self._pid:  # a fork: CUDA's maps did not come along
            self._begin()
        name = answer.reply.digest, answer.reply.mechanism
        with self._lock:
            found = self._maps.get(name)
            if found is not None:
                return found, False
            made = self._maps[name] = _map(answer, ordinal)
            return made, True

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._maps = weakref.WeakValueDictionary()


def _at_end(memory: _Map, give_back: Callable[[], None]) -> None:
    """Call this when a map has gone: on a device not before the driver has it back."""
    if isinstance(memory, DeviceMemory):
        memory.ended.append(give_back)
    else:
        finalizer = weakref.finalize(memory, give_back)
        finalizer.atexit = False  # the connection ends with the process


def _read_index(answer: Answer) -> bytes:
    reply = answer.reply
    if _DESCRIPTORS.get(reply.mechanism) != len(answer.descriptors):
        raise UnusableError(
            f"model {reply.key!r}: {len(answer.descriptors)} descriptors by {reply.mechanism.name}"
        )
    text = os.pread(answer.descriptors[0], reply.index_bytes, 0)
    if len(text) != reply.index_bytes:
        raise UnusableError(
            f"model {reply.key!r}: {len(text)} of {reply.index_bytes} bytes of the index"
        )
    return text


def _map(answer: Answer, ordinal: int | None) -> _Map:
    reply = answer.reply
    if reply.mechanism is Mechanism.MEMFD:
        return client_memory.of_file(answer.descriptors[1], reply.mapped_bytes)
    device = client_cuda.ordinal_of(reply.gpu_uuid, ordinal)
    if reply.mechanism is Mechanism.VMM:
        return client_cuda.import_vmm(answer.descriptors[1], reply.mapped_bytes, device)
    return client_cuda.open_ipc(reply.ipc_handle, device)


def _origin(reply: Reply, memory: _Map) -> Origin:
    return Origin(
        device=Tensor(memory, 0, "U8", ()).device,
        digest=reply.digest.hex() if reply.digest else None,
        is_shared=True,
    )


def _tensors(text: bytes, reply: Reply, memory: _Map) -> Mapping[str, Tensor]:
    """Return the tensors that the index names; StoreError where one is not within the map."""
    found = {}
    for entry in index.unpack(text):
        if not 0 <= entry.offset <= reply.mapped_bytes - entry.size_bytes:
            raise StoreError(f"model {reply.key!r}: tensor {entry.name!r} lies outside its map")
        found[entry.name] = Tensor(memory, entry.offset, entry.dtype, entry.shape)
    return found
