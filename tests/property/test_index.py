"""The index answers exactly as the same rule does GPU by GPU, for any cluster and any request.

Hypothesis draws a seed and the shape of a cluster; chance then fills its GPUs until little fits and
takes some pods away again, so that many have room for a request only in a new layout.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import ledgers, plain_ranking

from gshare.ledger import Ledger
from gshare.ledger.judging import Asked
from gshare.ledger.search import Search
from gshare.models import ModelShare
from gshare.modes import MODES, Packer
from gshare.placement import Request
from gshare.policies import POLICIES, Preference

NODES = [f"n{index}" for index in range(9)]
GIB = 2**30
MI = 2**20
KEYS = ["bert", "llama", "shared/bert"]
NAMES = ["a/bert", "a/llama", "b/bert", "shared/bert"]
SIZES = [None, 1, 3 * MI, GIB, 4 * GIB]
MIXES = {"grid": [10, 20, 30, 40, 50, 60], "small": [5, 8, 12, 20, 24], "any": range(1, 101)}


def some_ledger(mode: str, chance: random.Random, nodes: int, gpus: int) -> Ledger:
    """Return a ledger with a few unwell GPUs and nodes, scarce units and pods everywhere."""
    ledger = Ledger(Packer(MODES[mode]))
    for name in chance.sample(NODES, nodes):
        inventory = [
            ledgers.gpu(
                f"GPU-{name}-{index}",
                memory_bytes=chance.choice([16, 16, 80]) * GIB,
                max_clients=chance.choice([6, 48, 48]),
                is_healthy=chance.random() < 0.9,
                store_bytes=chance.choice([None, 0, 300 * MI]),
            )
            for index in range(chance.randint(0, gpus))
        ]
        if inventory and chance.random() < 0.1:
            inventory[-1] = ledgers.gpu("GPU-of-two-nodes", memory_bytes=16 * GIB)
        units = chance.choice([0, 150, *[10_000] * 6])
        ledger.put_node(name, inventory, units, units)
        ledger.put_resident(name, residents(chance, [gpu.uuid for gpu in inventory]))
    return ledger


def residents(chance: random.Random, uuids: list[str]) -> dict[str, dict[str, int]]:
    """Return what the stores of some GPUs keep."""
    sizes = [size or 0 for size in SIZES]
    some = [uuid for uuid in uuids if chance.random() < 0.3]
    return {uuid: {chance.choice(NAMES): chance.choice(sizes)} for uuid in some}


def some_model(chance: random.Random) -> ModelShare | None:
    """Return what a pod announces, if anything."""
    if chance.random() < 0.5:
        return None
    return ModelShare(chance.choice(KEYS), chance.choice(SIZES), chance.choice("ab"))


def fill(ledger: Ledger, chance: random.Random, mix: str) -> None:
    """Put pods on every GPU until three in a row find no room, then take some away."""
    for node in ledger.nodes():
        for index in range(len(ledger.inventory(node))):
            misses = chance.choice([0, 3, 3])
            while misses:
                snapshot = ledger.snapshots(node)[index]
                uid = f"{node}-{index}-{len(snapshot.memory)}"
                quota, sm = (chance.choice(MIXES[mix]) for _ in range(2))
                pod = ledgers.placed(uid, node, quota, sm, memory=GIB // 2, gpu=snapshot.gpu.uuid)
                pod = ledgers.sharing(pod, some_model(chance))
                is_forged = chance.random() < 0.01
                if is_forged or snapshot.layout.beside(uid, pod.placement.size):
                    ledger.put(pod)
                else:
                    misses -= 1
                if is_forged:
                    break
    for pod in list(ledger.placed()):
        if chance.random() < 0.15:
            ledger.drop_pod(pod.uid)


def hold(ledger: Ledger, chance: random.Random) -> None:
    """Hold a place that a pod is to leave."""
    for pod in list(ledger.placed())[:1]:
        if chance.random() < 0.3:
            held = ledgers.reservation("urgent", pod.node, victims=frozenset({pod.uid}))
            ledger.reserve(held)


def asked(chance: random.Random, mix: str) -> tuple[Request, Preference]:
    quota, sm = (chance.choice(MIXES[mix]) for _ in range(2))
    memory = chance.choice([None, GIB // 4, GIB // 4, 9 * GIB])
    request = Request("new", sm, quota, memory, some_model(chance))
    return request, Preference(chance.choice(list(POLICIES)), chance.choice(NAMES))


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(1, 9), st.sampled_from([1, 2, 4, 12])),
    mixes=st.tuples(st.sampled_from(sorted(MIXES)), st.sampled_from(sorted(MIXES))),
    limit=st.integers(1, 9),
)
def test_the_index_ranks_as_the_plain_rule_does(mode, seed, shape, mixes, limit):
    chance = random.Random(seed)  # noqa: S311
    ledger = some_ledger(mode, chance, *shape)
    fill(ledger, chance, mixes[0])
    hold(ledger, chance)
    names = chance.sample([*NODES, "unknown"], chance.choice([1, 2, 10]))
    for _ in range(6):
        request, preference = asked(chance, mixes[1])

        ranking = ledger.rank(request, names, limit, preference)

        plain = plain_ranking.rank(ledger, request, names, limit, preference, MODES[mode])
        got = [(each.node, each.gpu_uuid, each.is_relaid) for each in ranking.candidates]
        assert (got, dict(ranking.refusals)) == plain
        for pod in chance.sample(list(ledger.placed()), min(2, len(list(ledger.placed())))):
            ledger.drop_pod(pod.uid)


def everything(ledger: Ledger, request: Request, names: list[str], preference: Preference):
    """Return all options that a search offers, in its order."""
    ledger.settle()
    index = ledger._index
    view = index.view(names)
    search, found = Search(index, ledger._boards.of(Asked.by(request, preference)), view), []
    while (option := search.next()) is not None:
        node = view.node(option.place)
        uuid = index.row(node).gpus[option.plane].uuid
        found.append((index.name(node), uuid, option.is_relaid))
    return found


def change(ledger: Ledger, chance: random.Random) -> None:
    """Take a pod away, or a node, or bring one, or other weights."""
    pods, nodes = list(ledger.placed()), list(ledger.nodes())
    kind = chance.choice(["pod", "pod", "pod", "nothing", "node", "new node", "weights"])
    if kind == "pod" and pods:
        ledger.drop_pod(chance.choice(pods).uid)
    elif kind == "node" and nodes:
        ledger.drop_node(chance.choice(nodes))
    elif kind == "weights" and nodes:
        node = chance.choice(nodes)
        ledger.put_resident(node, residents(chance, [gpu.uuid for gpu in ledger.inventory(node)]))
    elif kind == "new node":
        ledgers.put_node(ledger, chance.choice(NODES), ledgers.gpu("GPU-new"), units=10_000)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(1, 9), st.sampled_from([1, 2, 4, 12])),
    mixes=st.tuples(st.sampled_from(sorted(MIXES)), st.sampled_from(sorted(MIXES))),
)
def test_all_options_come_in_the_order_of_the_plain_rule(mode, seed, shape, mixes):
    """However often the same was asked before, and whatever has changed since."""
    chance = random.Random(seed)  # noqa: S311
    ledger = some_ledger(mode, chance, *shape)
    fill(ledger, chance, mixes[0])
    hold(ledger, chance)
    requests = [asked(chance, mixes[1]) for _ in range(2)]
    for _ in range(8):
        request, preference = chance.choice(requests)
        names = chance.sample(NODES, chance.choice([1, 4, 9]))

        found = everything(ledger, request, names, preference)

        assert found == plain_ranking.options(ledger, request, names, preference)
        change(ledger, chance)
