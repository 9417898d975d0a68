"""Where the tensors of safetensors content lie once they are on a device. Pure.

A file packs tensors without a gap; kernels want them at multiples of 256 bytes, as cuMemAlloc
gives them (CUDA C Programming Guide, "Device Memory Accesses"). So each moves to the next multiple,
in the order of the file. What lies between is never read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .index import DEVICE_ALIGNMENT, IndexEntry
from .safetensors import TensorSpan


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that go from a file into a window of the device's image."""

    source: int
    target: int
    """Counts from the window's first byte."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The device's image of a file."""

    sources: tuple[int, ...]
    """Where each tensor lies in the file, in the order of `entries`."""
    entries: tuple[IndexEntry, ...]
    size_bytes: int

    def windows(self, window_bytes: int) -> Iterator[tuple[int, int, list[Piece]]]:
        """Yield the image in order: where a window begins, how long it is, and what goes there."""
        first = 0
        for begin in range(0, self.size_bytes, window_bytes):
            end = min(begin + window_bytes, self.size_bytes)
            while first < len(self.entries) and _end(self.entries[first]) <= begin:
                first += 1
            yield begin, end - begin, list(self._pieces(first, begin, end))

    def _pieces(self, first: int, begin: int, end: int) -> Iterator[Piece]:
        for index in range(first, len(self.entries)):
            entry = self.entries[index]
            if entry.offset >= end:
                return
            low, high = max(begin, entry.offset), min(end, _end(entry))
            if low < high:
                source = self.sources[index] + low - entry.offset
                yield Piece(source, low - begin, high - low)


def of(spans: Sequence[TensorSpan]) -> Layout:
    """Return the device's image of a file with these tensors, in the order of their bytes."""
    entries = []
    at = 0
    for span in spans:
        entries.append(IndexEntry(at, span.size_bytes, span.dtype, span.shape, span.name))
        at += -(-span.size_bytes // DEVICE_ALIGNMENT) * DEVICE_ALIGNMENT
    return Layout(tuple(span.offset for span in spans), tuple(entries), at)


def in_file(spans: Sequence[TensorSpan]) -> tuple[IndexEntry, ...]:
    """Return the index of a file as it is."""
    return tuple(
        IndexEntry(each.offset, each.size_bytes, each.dtype, each.shape, each.name)
        for each in spans
    )


def _end(entry: IndexEntry) -> int:
    return entry.offset + entry.size_bytes
