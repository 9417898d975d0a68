"""What a decision costs: the token daemon has 10 % of a core for 48 leases."""

import time

import pytest
from tests.support.arbiter import US, WINDOW, Arbiter, Instruction, Shape
from tests.support.daemon import native
from tests.support.virtual_gpu import Client, Gpu

WINDOWS = 20


class MeteredArbiter(Arbiter):
    """The arbiter; its decisions are timed by this thread's own CPU, whatever else runs."""

    spent_ns = 0
    calls = 0

    def advance(self, now: int) -> tuple[int, list[Instruction]]:
        """Decide, and add up what that took."""
        began = time.thread_time_ns()
        answer = super().advance(now)
        self.spent_ns += time.thread_time_ns() - began
        self.calls += 1
        return answer


@pytest.mark.parametrize("limit", [20, 100], ids=["limit is request", "limit 100"])
def test_a_decision_among_forty_eight_leases_takes_fifteen_microseconds(limit: int) -> None:
    """Counted with the call from Python."""
    library = native().arbiter
    shapes = [Shape(10, 20, limit, ((20 * (n % 5), 20),)) for n in range(48)]
    gpu = Gpu(library, [])
    gpu.arbiter = metered = MeteredArbiter(library, gpu.now)
    for shape in shapes:
        gpu.add(Client(shape, kernel=500 * US))

    gpu.run(WINDOWS * WINDOW)

    assert metered.calls >= WINDOWS * len({shape.slices for shape in shapes})
    assert metered.spent_ns / metered.calls <= 15 * US
