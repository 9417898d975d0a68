"""Reads and writes the pages that node, token daemon and hook share: twin of `gshare/wire.h`.

A page is a buffer (bytes, or a writable map). Offsets and sizes are compared with the C
compiler's in `tests/contract/test_wire.py`. Times are CLOCK_MONOTONIC nanoseconds.
"""

import struct
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Page: TypeAlias = bytes | bytearray | memoryview

MAGIC: Final = 0x45524853
VERSION: Final = 1
LEASE_ID_BYTES: Final = 40
UUID_BYTES: Final = 48
MAX_SLICES: Final = 8
MAX_SLOTS: Final = 64
QUEUE_BUDGETS_IN_WINDOW: Final = 80  # 500 us in the usual 40 ms

HEADER: Final = struct.Struct("=II")
LIMITS: Final = struct.Struct(f"=II8IQ{2 * MAX_SLICES}H{LEASE_ID_BYTES}s{UUID_BYTES}s")
GRANT: Final = struct.Struct("=IIIIQQ")
SLOT: Final = struct.Struct("=IIIIQQQQQQQQ48x")
COUNTERS_HEAD: Final = struct.Struct("=III116x")
DOORBELL: Final = struct.Struct("=III")
HELLO: Final = struct.Struct("=IIiI")
WELCOME: Final = struct.Struct("=IIiI")

LIMITS_BYTES: Final = LIMITS.size
GRANT_BYTES: Final = GRANT.size
COUNTERS_BYTES: Final = COUNTERS_HEAD.size + MAX_SLOTS * SLOT.size

WELCOME_OK: Final = 0
WELCOME_FULL: Final = 1
WELCOME_REFUSED: Final = 2

# Where a process finds the words that it waits on or changes one at a time.
GRANT_EPOCH_OFFSET: Final = 8
GRANT_REVOKE_COUNT_OFFSET: Final = 12
GRANT_DEADLINE_OFFSET: Final = 16
DOORBELL_RINGS_OFFSET: Final = 8
SLOT_OFFSETS: Final = {
    "pid": 0,
    "wants": 4,
    "active_epoch": 8,
    "acked_epoch": 12,
    "used_ns": 16,
    "launches": 24,
    "memory_bytes": 32,
    "waits": 40,
    "wait_ns": 48,
    "busy_ns": 56,
    "host_bytes": 64,
    "imported_bytes": 72,
}


class WireError(ValueError):
    """A page or message that is not one of ours: too short, or of another magic or version."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of a lease's quota within the window, in percent of the window."""

    start_percent: int
    width_percent: int

    def __post_init__(self) -> None:
        """Refuse what does not lie within the window."""
        end = self.start_percent + self.width_percent
        if self.start_percent < 0 or self.width_percent < 1 or end > 100:
            raise ValueError(
                f"slice {self.start_percent}+{self.width_percent}: must lie within 0-100 percent"
            )


@dataclass(frozen=True, slots=True)
class Limits:
    """What a lease may have; the limits page. Slice widths add up to the quota request."""

    lease_id: str
    gpu_uuid: str
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    slices: tuple[Slice, ...]
    memory_limit_bytes: int = 0
    window_us: int = 40_000
    launch_depth: int = 2
    queue_budget_us: int = 500

    def __post_init__(self) -> None:
        """Refuse limits that no page may hold."""
        if not 1 <= self.sm_percent <= 100:
            raise ValueError(f"sm_percent {self.sm_percent}: must be 1-100")
        if not 1 <= self.quota_request_percent <= self.quota_limit_percent <= 100:
            raise ValueError(
                f"quota request {self.quota_request_percent}, limit {self.quota_limit_percent}: "
                "must be 1 <= request <= limit <= 100"
            )
        if not 1 <= len(self.slices) <= MAX_SLICES:
            raise ValueError(f"{len(self.slices)} slices: must be 1-{MAX_SLICES}")
        if sum(each.width_percent for each in self.slices) != self.quota_request_percent:
            raise ValueError("slice widths must add up to the quota request")
        _text(self.lease_id, LEASE_ID_BYTES)
        _text(self.gpu_uuid, UUID_BYTES)


@dataclass(frozen=True, slots=True)
class Grant:
    """The grant page: `epoch` is 0 without a token."""

    epoch: int = 0
    revoke_count: int = 0
    deadline_ns: int = 0
    daemon_start_ns: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """What one process of a lease holds and has used; `pid` is 0 in a free slot."""

    pid: int = 0
    wants: int = 0
    active_epoch: int = 0
    acked_epoch: int = 0
    used_ns: int = 0
    launches: int = 0
    memory_bytes: int = 0
    waits: int = 0
    wait_ns: int = 0
    busy_ns: int = 0
    host_bytes: int = 0
    imported_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters page: the slots that were ever used, in order."""

    slots: tuple[Slot, ...] = ()

    @property
    def memory_bytes(self) -> int:
        """Device memory that the lease's processes hold together."""
        return sum(slot.memory_bytes for slot in self.slots)

    @property
    def processes(self) -> int:
        """How many processes have a slot."""
        return sum(slot.pid != 0 for slot in self.slots)


@dataclass(frozen=True, slots=True)
class Welcome:
    """The daemon's answer to a hello: `slot` is -1 unless `status` is WELCOME_OK."""

    slot: int
    status: int


def queue_budget_us(window_us: int) -> int:
    """Return how much time may be queued ahead, which grows with the window."""
    return max(1, window_us // QUEUE_BUDGETS_IN_WINDOW)


def pack_limits(limits: Limits, sequence: int = 0) -> bytes:
    """Return the page's bytes. `sequence` must be even: the page is whole."""
    slices = [number for each in limits.slices for number in _numbers(each)]
    slices += [0] * (2 * MAX_SLICES - len(slices))
    return LIMITS.pack(
        MAGIC,
        VERSION,
        sequence,
        limits.sm_percent,
        limits.quota_request_percent,
        limits.quota_limit_percent,
        limits.window_us,
        limits.launch_depth,
        limits.queue_budget_us,
        len(limits.slices),
        limits.memory_limit_bytes,
        *slices,
        _text(limits.lease_id, LEASE_ID_BYTES),
        _text(limits.gpu_uuid, UUID_BYTES),
    )


def unpack_limits(page: Page) -> Limits:
    """Read a limits page. Raises WireError for what is no such page, ValueError for its values."""
    values = _unpack(LIMITS, page)
    sm, request, limit, window, depth, budget, count, memory = values[3:11]
    flat = values[11 : 11 + 2 * min(count, MAX_SLICES)]
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return Limits(
        lease_id=_from_text(values[-2]),
        gpu_uuid=_from_text(values[-1]),
        sm_percent=sm,
        quota_request_percent=request,
        quota_limit_percent=limit,
        slices=tuple(Slice(start, width) for start, width in pairs),
        memory_limit_bytes=memory,
        window_us=window,
        launch_depth=depth,
        queue_budget_us=budget,
    )


def pack_grant(grant: Grant) -> bytes:
    """Return the grant page's bytes."""
    return GRANT.pack(
        MAGIC,
        VERSION,
        grant.epoch,
        grant.revoke_count,
        grant.deadline_ns,
        grant.daemon_start_ns,
    )


def unpack_grant(page: Page) -> Grant:
    """Read a grant page. Raises WireError."""
    return Grant(*_unpack(GRANT, page)[2:])


def pack_counters(counters: Counters) -> bytes:
    """Return the counters page's bytes."""
    slots = b"".join(pack_slot(slot) for slot in counters.slots)
    head = COUNTERS_HEAD.pack(MAGIC, VERSION, len(counters.slots))
    return (head + slots).ljust(COUNTERS_BYTES, b"\0")


def unpack_counters(page: Page) -> Counters:
    """Read a counters page. Raises WireError. A mark beyond the last slot counts as the last."""
    if memoryview(page).nbytes < COUNTERS_BYTES:
        raise WireError(f"counters page of {memoryview(page).nbytes} bytes: too short")
    used = min(_unpack(COUNTERS_HEAD, page)[2], MAX_SLOTS)
    return Counters(
        tuple(Slot(*SLOT.unpack_from(page, slot_offset(index))) for index in range(used))
    )


def pack_slot(slot: Slot) -> bytes:
    """Return one slot's bytes."""
    return SLOT.pack(
        slot.pid,
        slot.wants,
        slot.active_epoch,
        slot.acked_epoch,
        slot.used_ns,
        slot.launches,
        slot.memory_bytes,
        slot.waits,
        slot.wait_ns,
        slot.busy_ns,
        slot.host_bytes,
        slot.imported_bytes,
    )


def slot_offset(index: int) -> int:
    """Where slot `index` begins in the counters page."""
    return COUNTERS_HEAD.size + index * SLOT.size


def pack_hello(slot: int, pid: int) -> bytes:
    """Return a client's first message. `slot` is -1, or the one kept from an earlier daemon."""
    return HELLO.pack(MAGIC, VERSION, slot, pid)


def unpack_welcome(message: Page) -> Welcome:
    """Read the daemon's answer. Raises WireError."""
    return Welcome(*_unpack(WELCOME, message)[2:])


def _numbers(piece: Slice) -> tuple[int, int]:
    return piece.start_percent, piece.width_percent


def _unpack(layout: struct.Struct, page: Page) -> tuple[Any, ...]:
    size = memoryview(page).nbytes
    if size < layout.size:
        raise WireError(f"{size} bytes where {layout.size} belong")
    values = layout.unpack_from(page)
    if values[:2] != (MAGIC, VERSION):
        raise WireError(f"magic {values[0]:#x}, version {values[1]}: not a page of ours")
    return values


def _text(value: str, size: int) -> bytes:
    raw = value.encode()
    if not 1 <= len(raw) < size or b"\0" in raw:
        raise ValueError(f"{value!r}: must be 1-{size - 1} bytes without NUL")
    return raw


def _from_text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")
