"""The edge to libgshare_simgpu.so; its structs are those of src/control/control.h."""

import ctypes
import os
from pathlib import Path

from .counters import Account, GpuCounters, Span, Spans
from .errors import SimulatedGpuError

_MAX_ACCOUNTS = 1024
_MAX_SPANS = 1 << 16
_u64 = ctypes.c_uint64


class _Totals(ctypes.Structure):
    _fields_ = (
        ("now_ns", _u64),
        ("busy_ns", _u64),
        ("kernel_ns", _u64),
        ("sm_time_ns", _u64),
        ("overcommitted_ns", _u64),
        ("stalled_ns", _u64),
        ("memory_used_bytes", _u64),
    )


class _Account(ctypes.Structure):
    _fields_ = (
        ("label", ctypes.c_char * 64),
        ("busy_ns", _u64),
        ("kernel_ns", _u64),
        ("sm_time_ns", _u64),
        ("calls", _u64),
        ("launches", _u64),
        ("kernels", _u64),
        ("memory_bytes", _u64),
        ("host_bytes", _u64),
        ("processes", _u64),
    )


class _Span(ctypes.Structure):
    _fields_ = (
        ("begin_ns", _u64),
        ("end_ns", _u64),
        ("account", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class Control:
    """The control library, from the folder of the simulated drivers."""

    def __init__(self, driver: Path) -> None:
        path = driver / "libgshare_simgpu.so"
        try:
            self._library = ctypes.CDLL(str(path), use_errno=True)
        except OSError as error:
            raise SimulatedGpuError(f"{path}: {error}: run `make native` first") from error
        self._library.gshare_simgpu_open.restype = ctypes.c_void_p
        self._library.gshare_simgpu_close.argtypes = (ctypes.c_void_p,)
        self._library.gshare_simgpu_close.restype = None
        self._library.gshare_simgpu_report_xid.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        self._library.gshare_simgpu_report_xid.restype = None
        self._library.gshare_simgpu_set_lost.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self._library.gshare_simgpu_set_lost.restype = None
        self._library.gshare_simgpu_holder.argtypes = (ctypes.c_void_p,)
        self._library.gshare_simgpu_holder.restype = ctypes.c_uint32
        self._library.gshare_simgpu_spans.argtypes = (
            ctypes.c_void_p,
            _u64,
            ctypes.POINTER(_u64),
            ctypes.POINTER(_Span),
            ctypes.c_int,
        )
        self._library.gshare_simgpu_counters.argtypes = (
            ctypes.c_void_p,
            ctypes.POINTER(_Totals),
            ctypes.POINTER(_Account),
            ctypes.c_int,
        )

    def create(self, directory: Path) -> int:
        """Make the state files of the GPUs of `directory`/topology; return how many."""
        count = int(self._library.gshare_simgpu_create(os.fsencode(directory)))
        if count <= 0:
            raise SimulatedGpuError(f"{directory}: cannot make GPUs: {os.strerror(-count)}")
        return count

    def open(self, directory: Path, index: int) -> int:
        """Return a handle of GPU `index`, to be closed."""
        handle = self._library.gshare_simgpu_open(os.fsencode(directory), index)
        if not handle:
            reason = os.strerror(ctypes.get_errno())
            raise SimulatedGpuError(f"{directory}: cannot open GPU {index}: {reason}")
        return int(handle)

    def close(self, handle: int) -> None:
        """Unmap a GPU."""
        self._library.gshare_simgpu_close(handle)

    def report_xid(self, handle: int, xid: int) -> None:
        """Have NVML tell of a fault."""
        self._library.gshare_simgpu_report_xid(handle, xid)

    def set_lost(self, handle: int, *, lost: bool) -> None:
        """Have NVML answer that the GPU is lost, or that it is back."""
        self._library.gshare_simgpu_set_lost(handle, int(lost))

    def holder(self, handle: int) -> int:
        """Return who holds the GPU's lock at this instant: a number, 0 for nobody."""
        return int(self._library.gshare_simgpu_holder(handle))

    def spans(self, handle: int, start: int) -> Spans:
        """Return the spans from number `start` on."""
        first, spans = _u64(), (_Span * _MAX_SPANS)()
        count = self._library.gshare_simgpu_spans(
            handle, start, ctypes.byref(first), spans, _MAX_SPANS
        )
        labels = [account.label for account in self.counters(handle).accounts]
        read = (spans[index] for index in range(count))
        return Spans(
            first.value,
            tuple(Span(labels[each.account], each.begin_ns, each.end_ns) for each in read),
        )

    def counters(self, handle: int) -> GpuCounters:
        """Read all counters of one instant, under the GPU's lock."""
        totals = _Totals()
        accounts = (_Account * _MAX_ACCOUNTS)()
        count = self._library.gshare_simgpu_counters(
            handle, ctypes.byref(totals), accounts, _MAX_ACCOUNTS
        )
        return GpuCounters(
            now_ns=totals.now_ns,
            busy_ns=totals.busy_ns,
            kernel_ns=totals.kernel_ns,
            sm_time_ns=totals.sm_time_ns,
            overcommitted_ns=totals.overcommitted_ns,
            stalled_ns=totals.stalled_ns,
            memory_used_bytes=totals.memory_used_bytes,
            accounts=tuple(_reading(accounts[index]) for index in range(count)),
        )


def _reading(account: _Account) -> Account:
    return Account(
        label=account.label.decode(errors="replace"),
        busy_ns=account.busy_ns,
        kernel_ns=account.kernel_ns,
        sm_time_ns=account.sm_time_ns,
        calls=account.calls,
        launches=account.launches,
        kernels=account.kernels,
        memory_bytes=account.memory_bytes,
        host_bytes=account.host_bytes,
        processes=account.processes,
    )
