"""What the arbiter promises, on random feasible timetables in virtual time."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import layouts
from tests.support.arbiter import MS, US, WINDOW
from tests.support.daemon import native
from tests.support.virtual_gpu import Client, Gpu

LIBRARY = native().arbiter
RUN = 25 * WINDOW
SETTINGS = settings(max_examples=60, deadline=None)


@SETTINGS
@given(layouts.saturated())
def test_every_saturated_lease_gets_its_request(clients):
    """On a full GPU nobody falls below its quota by more than the hand-overs cost."""
    gpu = Gpu(LIBRARY, clients)
    gpu.run(5 * WINDOW)

    began, ended = gpu.run(RUN)

    for client in clients:
        assert client.used(began, ended) >= layouts.due(clients, client, ended - began)


@SETTINGS
@given(layouts.saturated(), st.data())
def test_nobody_exceeds_its_limit(clients, data):
    """Over fifteen windows, wherever they begin, a lease stays within two points of its limit."""
    absent = data.draw(st.integers(0, len(clients) - 1))
    present = [client for at, client in enumerate(clients) if at != absent or len(clients) == 1]
    gpu = Gpu(LIBRARY, present)

    gpu.run(RUN)

    for client, shift in itertools.product(present, range(0, 40, 7)):
        began = gpu.start + shift * WINDOW // 4
        overrun = 100 * client.depth * client.kernel / (15 * WINDOW)
        assert client.percent(began, began + 15 * WINDOW) <= client.shape.limit + 2 + overrun


def bursts(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 200)), max_size=8))
    return tuple((start * MS, work * MS // 10) for start, work in pairs)


@st.composite
def mixed(draw: st.DrawFn) -> list[Client]:
    clients = draw(layouts.saturated())
    for client in clients:
        client.bursts = bursts(draw) if draw(st.booleans()) else None
    return clients


@SETTINGS
@given(mixed())
def test_holders_and_drainers_never_exceed_the_gpu(clients):
    """At every step the SM partitions of those who run add up to at most 100 percent."""
    gpu = Gpu(LIBRARY, clients)

    for _ in gpu.steps(RUN):
        assert gpu.most_sm <= 100

    assert gpu.arbiter.gpu().max_concurrent_sm_percent <= 100


@SETTINGS
@given(mixed())
def test_bursty_neighbours_cost_saturated_leases_nothing(clients):
    """Whoever always has work gets its quota, whatever the others do with theirs."""
    gpu = Gpu(LIBRARY, clients)
    gpu.run(5 * WINDOW)

    began, ended = gpu.run(RUN)

    for client in clients:
        if client.is_saturated:
            assert client.used(began, ended) >= layouts.due(clients, client, ended - began)


@SETTINGS
@given(layouts.saturated(), st.data())
def test_leases_come_and_go_at_any_step(clients, data):
    """Leases leave and come back after any step; those who stay lose one window at most."""
    gpu = Gpu(LIBRARY, clients)
    gpu.run(data.draw(st.integers(0, 3 * WINDOW // US)) * US)
    leaver = data.draw(st.integers(0, len(clients) - 1))
    pane = clients[leaver].shape
    began = gpu.now

    gpu.remove(leaver)
    gpu.run(2 * WINDOW)
    gpu.add(Client(pane), leaver)
    gpu.run(RUN)

    for at, client in enumerate(clients):
        if at != leaver:
            assert client.used(began, gpu.now) >= layouts.due(
                clients, client, gpu.now - began - WINDOW
            )
    assert gpu.most_sm <= 100
