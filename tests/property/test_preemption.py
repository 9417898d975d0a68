"""Victims on GPUs of any kind: room comes with them, and not with one of them fewer."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support import plain_memory
from tests.support.ledgers import GIB, gpu, placed, put_node

from gshare.ledger import Candidate, Ledger
from gshare.models import ModelShare
from gshare.modes import RECT, Packer
from gshare.placement import Request
from gshare.preemption import Demand, Plan, Waiting, plan

NODES = ("a", "b")
URGENT = 9
models = st.none() | st.builds(
    ModelShare,
    st.sampled_from(("bert", "llama", "shared/bert")),
    st.sampled_from((None, GIB, 3 * GIB, 5 * GIB)),
    st.sampled_from(("a", "team")),
)
pods = st.tuples(
    st.sampled_from(NODES),
    st.sampled_from((10, 20, 50)),
    st.sampled_from((12, 24, 50)),
    st.integers(1, 3),
    st.sampled_from((0, 0, 0, 5, URGENT)),
    models,
)


@st.composite
def ledgers(draw):
    """Return a ledger of which every pod fitted where it stands."""
    ledger = Ledger()
    for node in NODES:
        store = draw(st.sampled_from((None, 0, GIB)))
        put_node(ledger, node, gpu(f"GPU-{node}", memory_bytes=10 * GIB, store_bytes=store))
        kept = draw(st.dictionaries(st.sampled_from(("a/bert", "shared/bert")), st.just(GIB)))
        ledger.put_resident(node, {f"GPU-{node}": kept})
    for index, (node, quota, sm, memory, priority, model) in enumerate(
        draw(st.lists(pods, min_size=4, max_size=14))
    ):
        request = Request(f"p{index}", sm, quota, memory * GIB, model)
        answer = ledger.fit(request, node)
        if isinstance(answer, Candidate):
            at = answer.placement(request)
            ledger.put(placed(request.key, node, placement=at, priority=priority))
    return ledger


@settings(max_examples=150, deadline=None)
@given(ledgers(), pods)
def test_a_plan_makes_room_and_no_victim_is_one_too_many(ledger, asked):
    _, quota, sm, memory, _, model = asked
    request = Request("urgent", sm, quota, memory * GIB, model)
    assume(not ledger.rank(request, NODES, 1).candidates)

    found = plan(ledger.grounds(NODES), Demand(request, URGENT), (), Packer(RECT), 0.0)

    assert not isinstance(found, Waiting)
    if found is None:
        _assert_nobody_could_help(ledger, request)
        return
    for victim in found.victims:
        ledger.drop_pod(victim.uid)
    _assert_fits(ledger, request, found)
    for victim in found.victims:
        ledger.put(victim)
        answer = ledger.fit(request, found.node)
        assert not isinstance(answer, Candidate) or answer.gpu_uuid != found.gpu_uuid
        ledger.drop_pod(victim.uid)


def _assert_fits(ledger: Ledger, request: Request, found: Plan) -> None:
    answer = ledger.fit(request, found.node)
    assert isinstance(answer, Candidate)
    assert answer.placement(request) == found.placement
    (offered,) = ledger.inventory(found.node)
    there = [pod.placement for pod in ledger.placed() if pod.node == found.node]
    kept = ledger.snapshots(found.node)[0].resident
    assert plain_memory.promised(offered, [*there, found.placement], kept) <= offered.memory_bytes


def _assert_nobody_could_help(ledger: Ledger, request: Request) -> None:
    """Even where all of lower priority went, there would be no room."""
    for pod in list(ledger.placed()):
        if pod.priority < URGENT:
            ledger.drop_pod(pod.uid)
    assert not ledger.rank(request, NODES, 1).candidates
