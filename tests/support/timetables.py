"""Timetables of the packer on the real arbiter, in virtual time, with every function saturated."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.arbiter import MS, WINDOW, Shape
from tests.support.virtual_gpu import Client, Gpu

from gshare.modes import Timetable

SETTLE_WINDOWS = 5
RUN_WINDOWS = 50


@dataclass(frozen=True)
class Delivery:
    """What one function got of the GPU, in percent of the window, beside what it was promised."""

    key: str
    promised: int
    got: float

    @property
    def share(self) -> float:
        """What it got, in percent of its quota."""
        return 100 * self.got / self.promised


def clients_of(
    timetable: Timetable, kernel: int = MS, depth: int = 2, limit: int = 100
) -> list[Client]:
    """Return a client that always has work for each function, with its slices; in key order."""
    return [
        Client(
            Shape(size.height, size.width, max(limit, size.width), timetable.slices(key)),
            kernel=kernel,
            depth=depth,
        )
        for key, size in zip(timetable.keys, timetable.sizes, strict=True)
    ]


def delivered(
    library: Path,
    timetable: Timetable,
    kernel: int = MS,
    depth: int = 2,
    windows: int = RUN_WINDOWS,
) -> list[Delivery]:
    """Run a timetable on the arbiter, and return what each of its functions got.

    A reading of `windows` windows begins and ends in the middle of slots, which may count as one
    window less: 2 % of 50, half a percent of 200.
    """
    clients = clients_of(timetable, kernel, depth)
    gpu = Gpu(library, clients)
    gpu.run(SETTLE_WINDOWS * WINDOW)
    began, ended = gpu.run(windows * WINDOW)
    assert gpu.most_sm <= 100
    return [
        Delivery(
            key,
            client.shape.request,
            client.percent(began, ended),
        )
        for key, client in zip(timetable.keys, clients, strict=True)
    ]
