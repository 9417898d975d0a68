"""The C arbiter through ctypes, one method a call."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

NEVER = 2**64 - 1
MS = 1_000_000
US = 1_000
WINDOW = 40 * MS

GRANT, EXTEND, REVOKE, FORGET = 1, 2, 3, 4


class _Slice(ctypes.Structure):
    _fields_ = (("start", ctypes.c_uint16), ("width", ctypes.c_uint16))


class _Shape(ctypes.Structure):
    _fields_ = (
        ("sm", ctypes.c_uint32),
        ("request", ctypes.c_uint32),
        ("limit", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("slices", _Slice * 8),
    )


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("lease", ctypes.c_uint32),
        ("deadline_ns", ctypes.c_uint64),
    )


class Account(ctypes.Structure):
    """The arbiter's own account of a lease."""

    _fields_ = (
        ("used_ns", ctypes.c_uint64),
        ("busy_ns", ctypes.c_uint64),
        ("reserved_ns", ctypes.c_uint64),
        ("borrowed_ns", ctypes.c_uint64),
        ("grants", ctypes.c_uint64),
        ("balance_ns", ctypes.c_int64),
        ("holds", ctypes.c_uint32),
        ("wants", ctypes.c_uint32),
    )


class GpuAccount(ctypes.Structure):
    """The arbiter's own account of the GPU."""

    _fields_ = (
        ("grants", ctypes.c_uint64),
        ("slips", ctypes.c_uint64),
        ("sm_in_use", ctypes.c_uint32),
        ("max_concurrent_sm_percent", ctypes.c_uint32),
    )


@dataclass(frozen=True)
class Shape:
    """What a lease is promised: percents; slices are (start, width) of the window."""

    sm: int = 50
    request: int = 40
    limit: int = 100
    slices: tuple[tuple[int, int], ...] = ()

    def c(self) -> _Shape:
        pieces = self.slices or ((0, self.request),)
        shape = _Shape(self.sm, self.request, self.limit, len(pieces))
        for at, (start, width) in enumerate(pieces):
            shape.slices[at] = _Slice(start, width)
        return shape


@dataclass(frozen=True)
class Instruction:
    kind: int
    lease: int
    deadline_ns: int


class Arbiter:
    """The library's calls, one to one."""

    def __init__(self, library: Path, now: int, window: int = WINDOW, timeout: int = 0) -> None:
        self._c = ctypes.CDLL(str(library))
        self._c.gshare_arbiter_size.restype = ctypes.c_uint64
        self._c.gshare_arbiter_advance.restype = ctypes.c_uint64
        self._c.gshare_arbiter_lease.restype = ctypes.c_bool
        self._c.gshare_shape_is_valid.restype = ctypes.c_bool
        self._state = ctypes.create_string_buffer(self._c.gshare_arbiter_size())
        self._c.gshare_arbiter_init(self._state, _u64(window), _u64(timeout or window), _u64(now))

    def put(self, lease: int, shape: Shape, now: int) -> int:
        return int(
            self._c.gshare_arbiter_put(self._state, lease, ctypes.byref(shape.c()), _u64(now))
        )

    def remove(self, lease: int, now: int) -> None:
        self._c.gshare_arbiter_remove(self._state, lease, _u64(now))

    def wants(self, lease: int, wants: bool, now: int) -> None:  # noqa: FBT001 (as in C)
        self._c.gshare_arbiter_wants(self._state, lease, ctypes.c_bool(wants), _u64(now))

    def gave_back(self, lease: int, now: int) -> None:
        self._c.gshare_arbiter_gave_back(self._state, lease, _u64(now))

    def returned(self, lease: int, used_ns: int, now: int, busy_ns: int | None = None) -> None:
        busy = used_ns if busy_ns is None else busy_ns
        self._c.gshare_arbiter_returned(self._state, lease, _u64(used_ns), _u64(busy), _u64(now))

    def advance(self, now: int) -> tuple[int, list[Instruction]]:
        following = int(self._c.gshare_arbiter_advance(self._state, _u64(now)))
        first = ctypes.POINTER(_Instruction)()
        count = self._c.gshare_arbiter_instructions(self._state, ctypes.byref(first))
        return following, [
            Instruction(first[at].kind, first[at].lease, first[at].deadline_ns)
            for at in range(count)
        ]

    def account(self, lease: int) -> Account | None:
        account, shape = Account(), _Shape()
        found = self._c.gshare_arbiter_lease(
            self._state, lease, ctypes.byref(account), ctypes.byref(shape)
        )
        return account if found else None

    def gpu(self) -> GpuAccount:
        account = GpuAccount()
        self._c.gshare_arbiter_gpu(self._state, ctypes.byref(account))
        return account


def _u64(value: int) -> ctypes.c_uint64:
    return ctypes.c_uint64(value)
