"""Gaps in a hold: slots pay for them, free time makes them good, in virtual time."""

import pytest
from tests.support.arbiter import GRANT, MS, REVOKE, US, WINDOW, Arbiter, Shape
from tests.support.daemon import native
from tests.support.virtual_gpu import Client, Gpu

LIBRARY = native().arbiter
NOW = 1000 * MS

GAPS = {
    "synchronises after each kernel": {"gap": 12 * US, "depth": 1},
    "computes for 2 ms between bursts": {"pause": 2 * MS, "idle": 600 * US},
}


def client(quota: int, kernel: int, gaps: dict[str, int]) -> Client:
    burst = ((0, max(kernel, MS)),) if "pause" in gaps else None
    shape = Shape(50, quota, quota)
    return Client(shape, kernel=kernel, bursts=burst, wake=22 * US, detect=10 * US, **gaps)


def measured(each: Client) -> float:
    gpu = Gpu(LIBRARY, [each])
    gpu.run(20 * WINDOW)
    return each.percent(*gpu.run(250 * WINDOW))


@pytest.mark.parametrize("quota", [5, 10, 20, 40, 60, 80])
@pytest.mark.parametrize("kernel", [10 * US, 100 * US, 1370 * US, 7300 * US], ids=str)
@pytest.mark.parametrize("gaps", GAPS.values(), ids=GAPS)
def test_alone_it_gets_its_quota_in_gpu_time(quota: int, kernel: int, gaps: dict[str, int]) -> None:
    """Its quota, or what it reaches without limits if that is less."""
    most = measured(client(100, kernel, gaps))

    got = measured(client(quota, kernel, gaps))

    assert got == pytest.approx(min(quota, most), abs=0.1)


def test_gaps_of_one_cost_the_other_nothing() -> None:
    waster = Client(Shape(60, 40, 40), kernel=10 * US, gap=40 * US, depth=1)
    other = Client(Shape(60, 60, 60, ((40, 60),)), kernel=500 * US)
    gpu = Gpu(LIBRARY, [waster, other])
    gpu.run(20 * WINDOW)

    interval = gpu.run(100 * WINDOW)

    assert other.percent(*interval) >= 0.99 * 60


def test_the_limit_is_one_of_busy_time() -> None:
    each = Client(Shape(60, 30, 45), kernel=100 * US, gap=50 * US, depth=1)

    assert measured(each) == pytest.approx(45, abs=0.3)


def test_who_turns_from_wasteful_to_dense_stays_within_its_limit() -> None:
    each = Client(Shape(60, 30, 45), kernel=100 * US, gap=300 * US, depth=1)
    gpu = Gpu(LIBRARY, [each])
    gpu.run(50 * WINDOW)
    each.gap = 0
    gpu.run(2 * WINDOW)

    assert each.percent(*gpu.run(15 * WINDOW)) <= 45.5


def test_an_idle_gpu_is_granted_at_once() -> None:
    made = Arbiter(LIBRARY, NOW)
    assert made.put(0, Shape(50, 10, 10, ((50, 10),)), NOW) == 0
    now = NOW + 10 * WINDOW + MS
    made.advance(now - MS)
    made.wants(0, wants=True, now=now)

    assert [(each.kind, each.lease) for each in made.advance(now)[1]] == [(GRANT, 0)]


def test_unspent_quota_revokes_a_loan_on_a_full_gpu_at_once() -> None:
    made = Arbiter(LIBRARY, NOW)
    assert made.put(0, Shape(100, 10, 100), NOW) == 0
    assert made.put(1, Shape(50, 10, 10, ((10, 10),)), NOW) == 0
    made.wants(0, wants=True, now=NOW)
    for at in range(0, 3 * WINDOW, MS):
        for each in made.advance(NOW + at)[1]:
            if each.kind == REVOKE:
                made.returned(0, WINDOW, NOW + at)
    now = NOW + 2 * WINDOW + 30 * MS
    made.advance(now)
    made.wants(1, wants=True, now=now)

    assert [(each.kind, each.lease) for each in made.advance(now)[1]] == [(REVOKE, 0)]
