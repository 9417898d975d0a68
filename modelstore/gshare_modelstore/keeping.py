"""Does what the catalogue says with weights: looks at offers, keeps memfds, copies to the GPU.

Everything slow runs on workers; what came of it returns to the catalogue as an event, through the
loop. All state here belongs to the loop's thread, but for the GPU, which belongs to its worker.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from . import offered, sharing_memfd
from .catalogue import Catalogue
from .cuda import GpuError
from .errors import StoreError
from .instructions import ContentId, Copy, Discard, Free, Instruction, Keep, Verify
from .metrics import Timings
from .protocol import ProtocolError, Status, Tier
from .sharing import DeviceSharing, Shown
from .workers import Closer, FairWorkers, Results, Worker

Perform: TypeAlias = Callable[[list[Instruction]], None]
Work: TypeAlias = Verify | Keep | Discard | Copy | Free
_READERS: Final = 4
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offered:
    """A descriptor that a client handed over, and how many bytes it says are there."""

    memfd: int
    content_bytes: int


class Keeping:
    """The weights of one store. `perform` takes what the catalogue answers to an event."""

    def __init__(
        self,
        catalogue: Catalogue,
        results: Results,
        perform: Perform,
        open_device: Callable[[], DeviceSharing] | None,
    ) -> None:
        self.closer = Closer()
        self.timings = Timings()
        self.fault = ""
        """Why the GPU takes no more calls: the process must then start anew."""
        self._catalogue = catalogue
        self._results = results
        self._perform = perform
        self._open_device = open_device
        self._device: DeviceSharing | None = None
        self._offers: dict[int, Offered] = {}
        self._looked: dict[int, Shown] = {}
        """Of offers that were found good: how the host's copy would be shown."""
        self._host: dict[ContentId, Shown] = {}
        self._on_device: dict[ContentId, Shown] = {}
        self._readers = FairWorkers("reader", _READERS)
        self._gpu = Worker("gpu")

    def take(self, ticket: int, memfd: int, content_bytes: int) -> None:
        """Hold what a client offers, until it is kept or discarded."""
        self._offers[ticket] = Offered(memfd, content_bytes)

    def shown(self, content: ContentId, tier: Tier) -> Shown:
        """Return how a copy that is ready is shown to clients."""
        return (self._on_device if tier is Tier.DEVICE else self._host)[content]

    def do(self, work: Work) -> None:
        """Do one thing that the catalogue says."""
        match work:
            case Verify(ticket, namespace):
                self._readers.put(namespace, partial(self._look, ticket, self._offers[ticket]))
            case Keep(ticket, content):
                del self._offers[ticket]
                self._host[content] = self._looked.pop(ticket)
            case Discard(ticket):
                self._discard(ticket)
            case Copy(content, ticket):
                memfd = self._source(content, ticket)
                self._gpu.put(partial(self._copy, content, memfd))
            case Free(content, Tier.DEVICE):
                self._gpu.put(partial(self._free, self._on_device.pop(content)))
            case Free(content, _):
                self._close(self._host.pop(content))

    def _source(self, content: ContentId, ticket: int | None) -> int:
        if ticket is not None:
            return self._offers[ticket].memfd
        memfd = self._host[content].weights_fd
        if memfd is None:
            raise LookupError(f"content {content}: its copy in host memory is no memfd")
        return memfd

    def _discard(self, ticket: int) -> None:
        offer = self._offers.pop(ticket)
        looked = self._looked.pop(ticket, None)
        if looked is None:
            self.closer.close_strange(offer.memfd)
        else:
            self._close(looked)

    def _close(self, shown: Shown) -> None:
        for descriptor in shown.descriptors:
            self.closer.close(descriptor)

    def _look(self, ticket: int, offer: Offered) -> None:
        """Look at an offer; on a reader's thread."""
        start = time.monotonic()
        try:
            offered.check(offer.memfd, offer.content_bytes)
            shown, device_bytes = sharing_memfd.show(offer.memfd)
            digest = offered.digest(offer.memfd)
        except (StoreError, ProtocolError, OSError, MemoryError) as error:
            problem = str(error) or repr(error)
            self._results.put(partial(self._refused, ticket, Status.INVALID, problem))
            return
        except Exception as error:  # noqa: BLE001 (what no check foresaw costs this offer alone)
            _LOG.exception("event=look_failed")
            self._results.put(partial(self._refused, ticket, Status.ERROR, repr(error)))
            return
        took_s = time.monotonic() - start
        self._results.put(partial(self._verified, ticket, shown, digest, device_bytes, took_s))

    def _refused(self, ticket: int, status: Status, problem: str) -> None:
        _LOG.warning("event=refused problem=%r", problem)
        self._perform(self._catalogue.refused(ticket, status, problem))

    def _verified(
        self, ticket: int, shown: Shown, digest: bytes, device_bytes: int, took_s: float
    ) -> None:
        self.timings.read_s += took_s
        self.timings.read_bytes += self._offers[ticket].content_bytes
        self._looked[ticket] = shown
        self._perform(self._catalogue.verified(ticket, digest, device_bytes))

    def _copy(self, content: ContentId, memfd: int) -> None:
        """Copy to the GPU; on its thread."""
        start = time.monotonic()
        try:
            shown = self._ready_device().put(memfd)
        except GpuError as error:
            fault = str(error) if self._is_fatal(error) else ""
            self._results.put(
                partial(self._failed, content, str(error), error.is_out_of_memory, fault)
            )
        except Exception as error:  # noqa: BLE001 (what no check foresaw costs this copy alone)
            _LOG.exception("event=copy_failed")
            self._results.put(partial(self._failed, content, repr(error), False, ""))  # noqa: FBT003
        else:
            took_s = time.monotonic() - start
            self._results.put(partial(self._copied, content, shown, took_s))

    def _ready_device(self) -> DeviceSharing:
        if self._device is None:
            if self._open_device is None:
                raise GpuError("this model store has no GPU")
            self._device = self._open_device()
        return self._device

    def _is_fatal(self, error: GpuError) -> bool:
        """Tell whether the context is lost, which only a new process mends."""
        return self._device is not None and not error.is_out_of_memory and not self._device.works()

    def _copied(self, content: ContentId, shown: Shown, took_s: float) -> None:
        self.timings.copy_s += took_s
        self.timings.copy_bytes += shown.mapped_bytes
        self._on_device[content] = shown
        _LOG.info(
            "event=copied digest=%s bytes=%d seconds=%.3f",
            content.digest.hex()[:12],
            shown.mapped_bytes,
            took_s,
        )
        self._perform(self._catalogue.copied(content))

    def _failed(self, content: ContentId, problem: str, is_full: bool, fault: str) -> None:  # noqa: FBT001
        _LOG.warning("event=copy_failed digest=%s problem=%r", content.digest.hex()[:12], problem)
        self.fault = self.fault or fault
        self._perform(self._catalogue.copy_failed(content, problem, out_of_memory=is_full))

    def _free(self, shown: Shown) -> None:
        """Give up a copy on the GPU; on its thread."""
        if self._device is None:
            return
        try:
            self._device.free(shown)
        except GpuError as error:
            _LOG.warning("event=free_failed problem=%r", str(error))
            if self._is_fatal(error):
                self._results.put(partial(setattr, self, "fault", str(error)))
