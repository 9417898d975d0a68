"""Who makes way for a waking lease, and what it costs, in virtual time."""

import random

import pytest
from tests.support.arbiter import GRANT, MS, REVOKE, US, WINDOW, Arbiter, Shape
from tests.support.daemon import native
from tests.support.virtual_gpu import Client, Gpu

LIBRARY = native().arbiter
NOW = 1000 * MS


def kinds(made: Arbiter, now: int) -> list[tuple[int, int]]:
    return [(each.kind, each.lease) for each in made.advance(now)[1]]


def requests(count: int) -> tuple[tuple[int, int], ...]:
    """5 ms of work about every 100 ms, at a random phase of the window."""
    chance = random.Random(5)  # noqa: S311 (repeatable)
    starts = [100 * MS * (n + 1) + chance.randrange(80 * MS) - 40 * MS for n in range(count)]
    return tuple((start, 5 * MS) for start in starts)


def light(shape: Shape, kernel: int = 500 * US) -> Client:
    return Client(shape, kernel=kernel, bursts=requests(300), idle=600 * US)


def busy(sm: int, request: int, start: int, limit: int = 100, kernel: int = MS) -> Client:
    return Client(Shape(sm, request, limit, ((start, request),)), kernel=kernel)


BESIDE = {
    "slots together": [busy(50, 40, 10), busy(50, 40, 10)],
    "slots in turn": [busy(50, 40, 10), busy(50, 40, 50)],
    "nothing free": [busy(50, 100, 0), busy(50, 90, 10)],
    "nobody borrows": [busy(50, 100, 0), busy(50, 90, 10, limit=90)],
    "half free, nobody borrows": [busy(50, 40, 10, limit=40), busy(50, 40, 10, limit=40)],
}


@pytest.mark.parametrize("others", BESIDE.values(), ids=BESIDE)
def test_a_light_lease_waits_little_and_the_others_pay_nothing(others: list[Client]) -> None:
    client = light(Shape(50, 10, 10))
    gpu = Gpu(LIBRARY, [client, *others])
    gpu.run(5 * WINDOW)

    interval = gpu.run(30_000 * MS - 5 * WINDOW)

    waits = sorted(client.waits)
    assert waits[len(waits) // 2] <= 2.5 * MS
    assert waits[len(waits) * 99 // 100] <= 5 * MS
    for other in others:
        assert other.percent(*interval) >= 0.99 * other.shape.request


@pytest.mark.parametrize("limit", [0, 100], ids=["limit is request", "limit 100"])
def test_on_the_papers_packing_it_waits_for_one_window_at_most(limit: int) -> None:
    others = [
        busy(sm, quota, start, limit or quota, us * US)
        for sm, quota, start, us in (
            *((50, 60, 0, 1000), (50, 60, 40, 1000), (12, 40, 0, 300), (12, 40, 60, 300)),
            *((12, 40, 60, 300), (24, 40, 0, 600), (24, 40, 60, 600)),
        )
    ]
    client = light(Shape(12, 40, 40), 300 * US)
    gpu = Gpu(LIBRARY, [client, *others])
    gpu.run(5 * WINDOW)

    interval = gpu.run(30_000 * MS - 5 * WINDOW)

    assert max(client.waits) <= WINDOW
    for other in others:
        assert other.percent(*interval) >= 0.985 * other.shape.request


def waker_beside(victim: Shape, *, borrows: bool) -> Arbiter:
    """Return an arbiter in whose second window `victim` runs by right and lease 1 wakes."""
    made = Arbiter(LIBRARY, NOW)
    assert made.put(0, victim, NOW) == 0
    assert made.put(1, Shape(60, 20, 20, ((80, 20),)), NOW) == 0
    made.wants(0, wants=True, now=NOW)
    now = NOW
    while now < NOW + WINDOW + 4 * MS:
        following, instructions = made.advance(now)
        if (REVOKE, 0) in [(each.kind, each.lease) for each in instructions]:
            made.returned(0, WINDOW if borrows else 24 * MS, now)
            continue
        now = min(following, NOW + WINDOW + 4 * MS)
    made.wants(1, wants=True, now=now)
    return made


def test_a_slot_yields_if_the_victim_borrowed_as_much_before() -> None:
    made = waker_beside(Shape(60, 60, 100), borrows=True)

    assert kinds(made, NOW + WINDOW + 4 * MS) == [(REVOKE, 0)]
    made.returned(0, 4 * MS, NOW + WINDOW + 5 * MS)
    assert kinds(made, NOW + WINDOW + 5 * MS) == [(GRANT, 1)]


def test_a_slot_yields_if_the_wakers_own_slot_is_still_to_come() -> None:
    made = waker_beside(Shape(60, 60, 60), borrows=False)

    assert kinds(made, NOW + WINDOW + 4 * MS) == [(REVOKE, 0)]


def test_a_slot_that_nothing_repays_does_not_yield() -> None:
    """The victim's partition does not fit the waker's slot, and it has borrowed nothing."""
    made = waker_beside(Shape(70, 60, 60), borrows=False)

    assert kinds(made, NOW + WINDOW + 4 * MS) == []


def both_run_and_a_third_wakes(*shapes: Shape) -> list[tuple[int, int]]:
    """Return what happens when the last of three wakes 4 ms into the second window."""
    made = Arbiter(LIBRARY, NOW)
    for lease, shape in enumerate(shapes):
        assert made.put(lease, shape, NOW) == 0
        made.wants(lease, wants=lease < 2, now=NOW)
    wakes = NOW + WINDOW + 4 * MS
    for now in range(NOW, wakes, MS // 2):
        for kind, lease in kinds(made, now):
            if kind == REVOKE:
                made.returned(lease, WINDOW, now)
    made.wants(2, wants=True, now=wakes)
    return kinds(made, wakes)


WAKER = Shape(40, 20, 20, ((40, 20),))


def test_a_slot_that_the_victim_runs_through_repays_nothing() -> None:
    """Lease 0 runs on while the waker's slot would be free; lease 1 does not fit in it."""
    through, too_large = Shape(40, 60, 60), Shape(60, 40, 40)

    assert both_run_and_a_third_wakes(through, too_large, WAKER) == []


def test_a_slot_after_the_victims_own_next_one_comes_too_late() -> None:
    before = Shape(40, 40, 40, ((0, 20), (20, 20)))

    assert both_run_and_a_third_wakes(before, Shape(60, 40, 40), WAKER) == []


def test_a_slot_between_the_victims_slots_repays_it() -> None:
    between = Shape(40, 40, 40)

    assert both_run_and_a_third_wakes(between, Shape(60, 40, 40), WAKER) == [(REVOKE, 0)]


def test_the_waker_pays_with_its_slot() -> None:
    """It had the SMs for 4 ms of the other's time: its own slot of 8 ms is 4 ms."""
    made = waker_beside(Shape(60, 60, 60), borrows=False)
    now = NOW + WINDOW + 4 * MS
    made.advance(now)
    made.returned(0, 4 * MS, now)
    made.advance(now)
    now += 4 * MS
    made.wants(1, wants=False, now=now)
    made.advance(now)
    made.returned(1, 4 * MS, now)
    made.advance(now)
    now = NOW + WINDOW + 32 * MS
    made.advance(NOW + WINDOW + 24 * MS)
    made.returned(0, 16 * MS, NOW + WINDOW + 24 * MS)
    made.wants(0, wants=False, now=now)

    made.wants(1, wants=True, now=now)

    _, (grant,) = made.advance(now)
    assert (grant.kind, grant.lease, grant.deadline_ns - now) == (GRANT, 1, 4 * MS)


def test_who_spent_its_quota_takes_nobodys_slot() -> None:
    clients = [busy(60, 60, 0), busy(60, 40, 60, limit=40)]
    gpu = Gpu(LIBRARY, clients)

    interval = gpu.run(100 * WINDOW)

    assert clients[0].percent(*interval) >= 0.99 * 60
    assert gpu.revokes <= 220


def test_an_interrupted_slot_goes_on_when_the_waker_is_done() -> None:
    made = waker_beside(Shape(60, 60, 60), borrows=False)
    now = NOW + WINDOW + 4 * MS
    made.advance(now)
    made.returned(0, 4 * MS, now)
    made.advance(now)
    made.wants(1, wants=False, now=now + MS)
    made.advance(now + MS)
    made.returned(1, MS, now + MS)

    _, (grant,) = made.advance(now + MS)

    assert (grant.kind, grant.lease) == (GRANT, 0)
    assert grant.deadline_ns == NOW + WINDOW + 24 * MS
    assert made.gpu().slips == 0


def test_an_interrupted_slot_goes_on_when_the_waker_is_gone() -> None:
    made = waker_beside(Shape(60, 60, 60), borrows=False)
    now = NOW + WINDOW + 4 * MS
    made.advance(now)
    made.returned(0, 4 * MS, now)

    made.remove(1, now)

    assert (GRANT, 0) in kinds(made, now)


def test_a_slot_that_changes_shape_yields_no_longer() -> None:
    made = waker_beside(Shape(60, 60, 60), borrows=False)
    now = NOW + WINDOW + 4 * MS
    made.advance(now)
    made.put(0, Shape(60, 50, 50), now)
    made.returned(0, 4 * MS, now)

    assert (GRANT, 0) in kinds(made, now)


def test_a_waker_that_cannot_start_in_time_lets_the_slot_go_on() -> None:
    """A third holder drains for long: what was agreed is over before there is room."""
    made = Arbiter(LIBRARY, NOW)
    for lease, shape in enumerate((Shape(50, 90, 100), Shape(50, 5, 100), Shape(60, 10, 10))):
        slices = ((0, 90),) if lease == 0 else ((90, shape.request),)
        assert made.put(lease, Shape(shape.sm, shape.request, shape.limit, slices), NOW) == 0
    for lease in (0, 1):
        made.wants(lease, wants=True, now=NOW)
    made.advance(NOW)
    now = NOW + 3 * WINDOW
    for at in range(NOW, now, MS):
        for each in made.advance(at)[1]:
            if each.kind == REVOKE:
                made.returned(each.lease, WINDOW, at)
    made.wants(2, wants=True, now=now)
    revoked = [lease for kind, lease in kinds(made, now) if kind == REVOKE]
    assert 0 in revoked
    made.returned(0, 0, now)

    granted = [each for at in range(now, now + 30 * MS, MS) for each in kinds(made, at)]

    assert (GRANT, 0) in granted
    assert (GRANT, 2) not in granted
