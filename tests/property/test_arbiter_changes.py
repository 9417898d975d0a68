"""The arbiter's promises when anything may happen after any step, in virtual time.

A lease that always wants and is left alone by changes gets its quota, but for what hand-overs cost
(see `support.layouts.due`), one window for each loss of the arbiter, and one window's quota once:
that much an exchange may have taken out of what was borrowed before, or still owe.
"""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import layouts
from tests.support.arbiter import MS, US, WINDOW, Shape
from tests.support.daemon import native
from tests.support.virtual_gpu import Client, Gpu

LIBRARY = native().arbiter
SETTINGS = settings(max_examples=60, deadline=None)


@dataclass(frozen=True)
class Change:
    """What happens to lease `lease` after `steps` more decisions."""

    steps: int
    what: str
    lease: int
    share: int
    limit: int


CHANGES = st.lists(
    st.builds(
        Change,
        st.integers(0, 60),
        st.sampled_from(["quota", "limit", "leave", "join", "restart"]),
        st.integers(0, 9),
        st.integers(10, 100),
        st.sampled_from([1, 50, 100]),
    ),
    max_size=12,
)


@st.composite
def clients(draw: st.DrawFn) -> list[Client]:
    """Draw a full GPU; each lease is saturated, or has gaps, or pauses, or wakes now and then."""
    drawn = []
    for shape in draw(layouts.sliced()):
        kernel = draw(st.sampled_from([10, 100, 300, 500])) * US
        client = Client(shape, kernel=kernel, depth=draw(st.sampled_from([1, 2, 4])))
        manner = draw(st.sampled_from(["saturated", "saturated", "gaps", "pauses", "wakes"]))
        if manner == "gaps":
            client.gap, client.depth = kernel // 4, 1
        elif manner == "pauses":
            client.pause, client.idle = draw(st.sampled_from([2, 5, 20])) * MS, 600 * US
            client.bursts = ((0, draw(st.integers(1, 8)) * MS),)
        elif manner == "wakes":
            every = draw(st.integers(12, 200))
            client.bursts = tuple((n * every * MS // 2, 3 * MS) for n in range(1, 60))
        drawn.append(client)
    return drawn


def apply(gpu: Gpu, change: Change, whole: list[Shape]) -> int | None:
    """Make the change; return the lease that it touched."""
    lease = change.lease % len(whole)
    if change.what == "restart":
        gpu.restart()
        return None
    if change.what == "join" and lease not in gpu.clients:
        gpu.add(Client(whole[lease], kernel=100 * US), lease)
    elif change.what == "leave" and lease in gpu.clients:
        gpu.remove(lease)
    elif change.what in {"quota", "limit"} and lease in gpu.clients and not gpu.leaves(lease):
        shape = layouts.shrunk(whole[lease], change.share if change.what == "quota" else 100)
        gpu.change(lease, replace(shape, limit=max(shape.request, change.limit)))
    return lease


def play(gpu: Gpu, changes: list[Change], whole: list[Shape]) -> set[int]:
    """Let the changes happen, each after its number of steps; return the leases touched."""
    touched = set()
    for change in changes:
        for count, _ in enumerate(gpu.steps(2 * WINDOW)):
            if count >= change.steps:
                break
        lease = apply(gpu, change, whole)
        touched |= {lease} if lease is not None else set()
    return touched


@SETTINGS
@given(clients(), CHANGES)
def test_the_sms_are_never_given_twice(drawn: list[Client], changes: list[Change]) -> None:
    """Whatever changes after whatever step: holders and drainers fit side by side."""
    gpu = Gpu(LIBRARY, drawn)

    play(gpu, changes, [client.shape for client in drawn])
    gpu.run(5 * WINDOW)

    assert gpu.most_sm <= 100


@SETTINGS
@given(clients(), CHANGES)
def test_who_is_not_changed_misses_no_quota(drawn: list[Client], changes: list[Change]) -> None:
    """Leases that want all the time get their quota, whatever happens to the others."""
    gpu = Gpu(LIBRARY, drawn)
    gpu.run(5 * WINDOW)
    began = gpu.now
    restarts = sum(change.what == "restart" for change in changes)

    touched = play(gpu, changes, [client.shape for client in drawn])
    gpu.run(20 * WINDOW)

    for lease, client in enumerate(drawn):
        if lease not in touched and client.is_saturated and not client.gap:
            window = client.shape.request / 100 * WINDOW
            promised = layouts.due(drawn, client, gpu.now - began)
            assert client.used(began, gpu.now) >= promised - (1 + restarts) * window


@SETTINGS
@given(clients(), st.integers(0, 200))
def test_a_new_arbiter_carries_on_after_any_step(drawn: list[Client], steps: int) -> None:
    """The state is lost after any step: nobody who always wants loses more than one window."""
    gpu = Gpu(LIBRARY, drawn)
    for count, _ in enumerate(gpu.steps(20 * WINDOW)):
        if count >= steps:
            break
    began = gpu.now

    gpu.restart()
    gpu.run(20 * WINDOW)

    for client in drawn:
        if client.is_saturated and not client.gap:
            window = client.shape.request / 100 * WINDOW
            promised = layouts.due(drawn, client, gpu.now - began)
            assert client.used(began, gpu.now) >= promised - 2 * window


@SETTINGS
@given(clients(), st.integers(0, 200), st.integers(10, 90), st.data())
def test_a_changed_quota_is_in_force_within_a_window(
    drawn: list[Client], steps: int, share: int, data: st.DataObject
) -> None:
    """After any step: from the next window on it gets the new quota, and no more by right."""
    lease = data.draw(st.integers(0, len(drawn) - 1))
    client = drawn[lease]
    client.bursts, client.pause, client.gap = None, 0, 0
    gpu = Gpu(LIBRARY, drawn)
    for count, _ in enumerate(gpu.steps(20 * WINDOW)):
        if count >= steps:
            break
    shape = layouts.shrunk(client.shape, share)

    gpu.change(lease, replace(shape, limit=shape.request))
    gpu.run(WINDOW)
    began, ended = gpu.run(20 * WINDOW)

    window = shape.request / 100 * WINDOW
    assert client.used(began, ended) >= layouts.due(drawn, client, ended - began) - window
    assert client.percent(began, ended) <= shape.request + 2 * 100 * (
        window + client.depth * client.kernel
    ) / (ended - began)
