"""The client of a GPU's model store: weights that all replicas on the GPU share.

    from gshare_modelstore.client import ModelStore

    with ModelStore.connect() as store:
        weights = store.get_or_load("resnet50", "resnet50.safetensors")
    torch.from_dlpack(weights["conv1.weight"])

Where the store is away, full or fails, weights are loaded privately, as before, with one warning.
Weights live as long as anything that was made of them, whatever becomes of store and connection: a
store that is killed takes nothing from those who have them.
"""

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self, TypeVar

from . import client_cuda, client_loading, client_places, client_progress
from .client_connection import Answer, Connection
from .client_loading import FilePath, Load, Loader
from .client_mapping import ON_DEVICE, Mappings
from .client_pool import Connections
from .client_terms import Entry, checked_key, entry_of, raw_digest, target_of
from .errors import (
    GpuError,
    RefusedError,
    SafetensorsError,
    StoreAwayError,
    StoreDiedError,
    StoreError,
    UnusableError,
)
from .protocol import Ask, Op, Request, Status, Tier
from .tensors import Tensor
from .weights import Weights

__all__ = [
    "Entry",
    "GpuError",
    "ModelStore",
    "RefusedError",
    "SafetensorsError",
    "StoreAwayError",
    "StoreError",
    "Tensor",
    "UnusableError",
    "Weights",
]

_LOG = logging.getLogger(__name__)
SILENCE_S: Final = 60.0
"""Loaders say every 5 s that they live, and the store passes it on to those who wait."""
_FALLS_BACK: Final = (StoreAwayError, RefusedError, GpuError, UnusableError)
_FAULTS_OF_CALLERS: Final = (Status.INVALID.name,)
"""Refusals that loading privately would only hide: no such key, a wrong digest."""

T = TypeVar("T")


class ModelStore:
    """A client of the store; may be used from any thread, and after a fork."""

    def __init__(
        self, place: client_places.Place, device: int | str | None, silence_s: float
    ) -> None:
        """Use `connect`."""
        self._device, self._tier = target_of(device)
        self._connections = Connections(place.path, place.patience_s, silence_s)
        self._mappings = Mappings()
        self._warned: set[str] = set()

    @classmethod
    def connect(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        device: int | str | None = None,
        silence_s: float = SILENCE_S,
    ) -> "ModelStore":
        """Return a client of the store that serves `path`; connects at the first call.

        `path` is by default $GSHARE_STORE_SOCKET, else the socket of the container's lease.
        `device` says where tensors shall be: "cpu", "cuda" (the calling thread's device), or a
        CUDA device's ordinal; ValueError for anything else. By default they are where the store
        keeps them, and private ones where their loader put them. A store that says nothing for
        `silence_s` seconds, not even that another client still loads, counts as away.
        """
        return cls(client_places.locate(path, os.environ), device, silence_s)

    def get(self, key: str, *, digest: str | None = None) -> Weights | None:
        """Return the weights kept as `key`, or None where there are none, or others than `digest`.

        `digest` is the SHA-256 of the safetensors content, in hexadecimal. Raises StoreAwayError,
        RefusedError with the store's reason, GpuError and UnusableError.
        """
        request = Request(Op.GET, checked_key(key), raw_digest(key, digest), tier=self._tier)
        return self._use(lambda connection: self._get(connection, request))

    def get_or_load(self, key: str, loader: Loader, *, digest: str | None = None) -> Weights:
        """Return the weights kept as `key`; where there are none, load them and share them.

        `loader` is a .safetensors file, or arrays by name, or a callable that returns either.
        One client loads while others wait. Where the store is away, full or fails, returns the
        loader's own tensors (`is_shared` is False) and warns once. What the loader raises passes;
        RefusedError where `digest` is not what was loaded, or `key` is none.
        """
        load = Load(checked_key(key), loader, raw_digest(key, digest))
        request = Request(Op.GET, key, raw_digest(key, digest), Ask.LOAD, self._tier)
        try:
            with client_progress.bar(key) as report:
                try:
                    return self._use(lambda each: self._get_or_load(each, request, load, report))
                except _FALLS_BACK as error:
                    if isinstance(error, RefusedError) and error.status in _FAULTS_OF_CALLERS:
                        raise
                    self._warn(key, error)
                    return load.private(str(error), self._own_place(), report)
        finally:
            load.close()

    def store(
        self,
        key: str,
        tensors: Mapping[str, object] | FilePath,
        *,
        digest: str | None = None,
        pin: bool = False,
    ) -> str:
        """Keep `tensors` (arrays by name, or a .safetensors file) as `key`; return their digest.

        `pin` keeps them when memory is wanted and nobody uses them. Raises StoreAwayError,
        RefusedError, SafetensorsError, OSError of the file.
        """
        load = Load(checked_key(key), tensors, raw_digest(key, digest))
        flags = Ask.PIN if pin else Ask.NONE
        request = Request(Op.STORE, key, raw_digest(key, digest), flags, self._tier)
        try:
            with client_progress.bar(key) as report:
                return self._use(lambda each: self._store(each, request, load, report))
        finally:
            load.close()

    def list(self) -> tuple[Entry, ...]:
        """Return what this client may see. Raises StoreAwayError."""
        return self._use(lambda connection: tuple(map(entry_of, connection.entries())))

    def pin(self, key: str, *, on: bool = True) -> bool:
        """Keep `key` when memory is wanted, or no longer; tell whether it is there.

        Raises StoreAwayError, RefusedError.
        """
        return self._change(Request(Op.PIN, checked_key(key), flags=Ask.PIN if on else Ask.NONE))

    def drop(self, key: str) -> bool:
        """Forget `key`; whoever uses it keeps its weights. Tell whether it was there.

        Raises StoreAwayError, RefusedError.
        """
        return self._change(Request(Op.DROP, checked_key(key)))

    def close(self) -> None:
        """Give the connections up. Weights stay, and stay counted, until the last of them goes."""
        self._connections.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _use(self, action: Callable[[Connection], T]) -> T:
        """Run `action` on a connection; once more on a new one where the store was restarted."""
        try:
            with self._connections.take() as connection:
                return action(connection)
        except StoreDiedError:
            with self._connections.take(client_places.RESTARTING_S) as connection:
                return action(connection)

    def _get(self, connection: Connection, request: Request) -> Weights | None:
        answer = connection.ask(request)
        if answer.reply.status is Status.ABSENT:
            answer.close()
            return None
        return self._ready(connection, request, answer)

    def _get_or_load(
        self,
        connection: Connection,
        request: Request,
        load: Load,
        report: client_progress.Report,
    ) -> Weights:
        answer = connection.ask(request, report=report)
        if answer.reply.status is not Status.LOAD:
            return self._ready(connection, request, answer)
        answer.close()
        store = Request(Op.STORE, request.key, request.digest, tier=self._tier)
        answer = client_loading.hand_over(connection, store, load, report)
        return self._ready(connection, request, answer)

    def _store(
        self,
        connection: Connection,
        request: Request,
        load: Load,
        report: client_progress.Report,
    ) -> str:
        answer = client_loading.hand_over(connection, request, load, report)
        _check(request, answer)
        answer.close()
        digest = answer.reply.digest
        connection.give_back((request.key, digest))
        return digest.hex() if digest else ""

    def _ready(self, connection: Connection, request: Request, answer: Answer) -> Weights:
        """Return the weights of an answer, in host memory where this process cannot use CUDA."""
        _check(request, answer)
        try:
            return self._mappings.weights(request.key, answer, connection, self._ordinal())
        except GpuError as error:
            if self._tier is not Tier.ANY or answer.reply.mechanism not in ON_DEVICE:
                raise
            self._warn(request.key, error, "in host memory")
        host = Request(Op.GET, request.key, answer.reply.digest, tier=Tier.HOST)
        again = connection.ask(host)
        _check(host, again)
        return self._mappings.weights(request.key, again, connection, None)

    def _change(self, request: Request) -> bool:
        answer = self._use(lambda connection: connection.ask(request))
        answer.close()
        if answer.reply.status is Status.ABSENT:
            return False
        if answer.reply.status is not Status.OK:
            raise RefusedError(request.key, answer.reply.status.name, answer.reply.text)
        return True

    def _ordinal(self) -> int | None:
        return self._device if isinstance(self._device, int) else None

    def _own_place(self) -> int | str | None:
        """Where private tensors shall be: the ordinal of a device, "cpu", or None for anywhere."""
        return client_cuda.first_ordinal() if self._device == "cuda" else self._device

    def _warn(self, key: str, error: StoreError, how: str = "privately") -> None:
        """Warn of weights that are not shared on the GPU: once for each reason."""
        reason = str(error)
        _LOG.info("weights_private key=%s how=%s reason=%s", key, how, reason)
        if reason not in self._warned:
            self._warned.add(reason)
            warnings.warn(f"{reason}; {key!r} is loaded {how}", RuntimeWarning, stacklevel=3)


def _check(request: Request, answer: Answer) -> None:
    """Raise RefusedError, and close the answer, unless it has weights."""
    reply = answer.reply
    if reply.status is not Status.READY:
        answer.close()
        raise RefusedError(request.key, reply.status.name, reply.text)
