"""A plan to free GPUs, on clusters of any kind: made in its order, it loses nothing."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.ledgers import gpu, placed, put_node

from gshare import defrag
from gshare.annotations import place_on
from gshare.defrag import Tenant
from gshare.defrag.weights import Weights
from gshare.layout import Layout
from gshare.ledger import Ledger
from gshare.models import ModelShare
from gshare.modes import RECT, Packer
from gshare.placement import Request
from gshare.preemption import Budget
from gshare.selectors import Selector

GIB = 2**30
NODES = ("a", "b", "c", "d", "e")
STORES = (None, 0, GIB // 2)
UNITS = 1000

models = st.none() | st.builds(
    ModelShare,
    st.sampled_from(("bert", "shared/bert")),
    st.sampled_from((None, 1, 3 * GIB, 4 * GIB)),
    st.sampled_from(("a", "team")),
)
residents = st.dictionaries(
    st.sampled_from(("a/bert", "team/bert", "shared/bert")), st.sampled_from((0, 1, 3 * GIB))
)
pods = st.tuples(
    st.sampled_from(NODES),
    st.sampled_from((10, 20, 30, 50, 70, 100)),
    st.sampled_from((12, 24, 50, 100)),
    st.integers(1, 4),
    st.sampled_from((0, 0, 5)),
    st.sampled_from(("web", "web", "batch", "")),
    models,
)


@st.composite
def clusters(draw):
    """Return a ledger, its tenants and budgets; every pod of it fitted where it stands."""
    ledger, tenants = Ledger(), {}
    for node in NODES:
        store = draw(st.sampled_from(STORES))
        offered = gpu(f"GPU-{node}", memory_bytes=8 * GIB, max_clients=6, store_bytes=store)
        put_node(ledger, node, offered, units=UNITS)
        ledger.put_resident(node, {offered.uuid: draw(residents)})
    for index, (node, quota, sm, memory, priority, owner, model) in enumerate(
        draw(st.lists(pods, max_size=24))
    ):
        uid = f"p{index}"
        request = Request(uid, sm, quota, memory * GIB, model)
        answer = ledger.fit(request, node)
        if type(answer).__name__ != "Candidate":
            continue
        at = answer.placement(request)
        pod = placed(uid, node, placement=at, priority=priority, labels={"app": owner})
        ledger.put(pod)
        reach = draw(st.sampled_from((None, None, frozenset({"a", "b", node}))))
        tenants[uid] = Tenant(pod, request, owner, reach)
    allowed = draw(st.integers(0, 2))
    return ledger, tenants, [Budget("team", "batch", allowed, Selector({"app": "batch"}, ()))]


def grounds(ledger):
    return list(ledger.grounds(ledger.nodes()))


@settings(max_examples=150, deadline=None)
@given(clusters())
def test_nothing_is_lost_and_every_set_is_feasible_after_each_move(given_):
    """Each successor stands beside its pod before that goes; in the end the GPUs are free."""
    ledger, tenants, budgets = given_
    before = {pod.uid for pod in ledger.placed()}
    used = {uuid for node in NODES for uuid in _used(ledger, node)}
    found = defrag.plan(grounds(ledger), tenants, budgets, Packer(RECT))

    for clearing in found.clearings:
        for move in clearing.moves:
            tenant = tenants[move.pod.uid]
            assert move.gpu_uuid in used
            assert tenant.owner
            assert budgets[0].allowed or not budgets[0].covers(move.pod)
            assert tenant.reach is None or move.node in tenant.reach
            successor = f"{move.pod.uid}+"
            (offered,) = ledger.inventory(move.node)
            at = place_on(offered.gpu, tenant.request)
            ledger.put(placed(successor, move.node, placement=at))
            assert ledger.problems() == ()
            ledger.drop_pod(move.pod.uid)
        assert _used(ledger, clearing.node) == []

    moved = {move.pod.uid for clearing in found.clearings for move in clearing.moves}
    after = {pod.uid for pod in ledger.placed()}
    assert after == (before - moved) | {f"{uid}+" for uid in moved}
    assert len(used) == len(found.clearings) + len(found.kept)
    assert {uuid for node in NODES for uuid in _used(ledger, node)} == {
        kept.gpu_uuid for kept in found.kept
    }


@settings(max_examples=50, deadline=None)
@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_in_which_gpus_are_given_does_not_matter(given_, random):
    ledger, tenants, budgets = given_
    mixed = grounds(ledger)
    random.shuffle(mixed)

    plans = [defrag.plan(each, tenants, budgets, Packer(RECT)) for each in (grounds(ledger), mixed)]

    assert plans[0] == plans[1]


@settings(max_examples=60, deadline=None)
@given(clusters(), st.lists(st.tuples(models, st.none() | st.just(GIB)), min_size=1, max_size=4))
def test_what_a_pod_adds_is_counted_for_all_gpus_as_for_each(given_, asks):
    """Also after pods have come to a GPU or left it."""
    ledger, _, _ = given_
    snapshots = [each for node in NODES for each in ledger.snapshots(node)]
    bare = [replace(each, layout=Layout(), memory=(), shares=()) for each in snapshots]
    weights = Weights(snapshots)
    for now in (snapshots, bare, snapshots):
        for place, each in enumerate(now):
            weights.write(place, each)
        for model, memory in asks:
            request = Request("new", 50, 50, memory, model)
            counted = np.broadcast_to(weights.asked(request), len(now)).tolist()

            assert counted == [each.memory_asked(request) for each in now]


def _used(ledger, node):
    return [each.gpu.uuid for each in ledger.snapshots(node) if each.layout.keys]
