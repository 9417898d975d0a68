"""The ledger under any order of events promises nothing twice, and a restart changes nothing.

The machine plays an API server, reduced to what it holds, and the extender's part of each bind; its
watch tells the ledger of pods late. Some pods are bound round the extender (`forged`), so only GPUs
with one of those may be in trouble. In truth, by what the API server holds and not by the ledger's
books, every other GPU can play what stands on it. Pods announce models, and the stores of GPUs load
them where memory is left, as far as the ledger knows too.
"""

import functools
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support import ledger_books, ledgers, oracle, plain_memory, plain_ranking
from tests.support.ledger_books import gpu

from gshare import exact
from gshare.annotations import NodeGpu, PodPlacement
from gshare.ledger import Candidate, Ledger, PlacedPod, Problem, ProblemKind, Reservation
from gshare.models import ModelShare
from gshare.modes import RECT, SLICED, Layout, Mode, Packer, Settler
from gshare.placement import Request
from gshare.policies import Preference

NODES = ("a", "b", "c")
SIDES = st.one_of(st.integers(1, 100), st.sampled_from([6, 12, 20, 24, 40, 50, 60]))
MEMORY = st.sampled_from([None, 2**30, 2**30, 8 * 2**30, 8 * 2**30 + 1])
KEYS = ("bert", "shared/bert")
NAMES = ("a/bert", "b/bert", "shared/bert")
WEIGHTS = [None, None, 2**21 + 1, 6 * 2**30, 7 * 2**30]
MODEL = st.none() | st.builds(
    ModelShare, st.sampled_from(KEYS), st.sampled_from(WEIGHTS), st.sampled_from("ab")
)
STORE = 300 * 2**20
GPUS = 2
CHANGES = ("lost", "back", "unwell", "doubled", "storeless")
UNITS = 500
HELD_S = 30
PROBES = (
    Request("probe", 50, 60, 2**30),
    Request("probe", 24, 20, 2**30, ModelShare("bert", 6 * 2**30, "a")),
    Request("probe", 24, 20, None, ModelShare("shared/bert", None, "a")),
)
is_feasible = functools.lru_cache(4096)(exact.is_feasible)


class LedgerMachine(RuleBasedStateMachine):
    """An API server, reduced to what it holds, and a ledger that hears of it."""

    mode: Mode = RECT

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(Packer(self.mode))
        self.nodes: dict[str, list[NodeGpu]] = {}
        self.resident: dict[str, dict[str, dict[str, int]]] = {}
        """What the stores keep, by node, GPU and model."""
        self.pods: dict[str, PlacedPod] = {}
        self.unseen: set[str] = set()
        """Bound, and the watch has not shown it yet."""
        self.lingering: dict[str, PlacedPod] = {}
        """Deleted, and the watch has not shown it yet."""
        self.asked: dict[str, Request] = {}
        self.forged: set[str] = set()
        self.now_s = 0.0
        self.count = 0

    # Nodes.

    @initialize()
    def two_nodes_are_there(self) -> None:
        for node in NODES[:2]:
            self.node_comes(node)

    @rule(node=st.sampled_from(NODES))
    def node_comes(self, node: str) -> None:
        stores = (STORE, None)
        self._offer(node, [gpu(node, index, store_bytes=stores[index]) for index in range(GPUS)])

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def node_goes(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.nodes)))
        del self.nodes[node]
        self.resident.pop(node, None)
        self.ledger.drop_node(node)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), index=st.integers(0, GPUS - 1), what=st.sampled_from(CHANGES))
    def inventory_changes(self, data: st.DataObject, index: int, what: str) -> None:
        """Have a GPU be lost, or come back, perhaps unwell; or list one that another node has.

        One that comes back may have lost its store, and one that had none may have got one.
        """
        node = data.draw(st.sampled_from(sorted(self.nodes)))
        if what == "doubled":
            listed = gpu(data.draw(st.sampled_from(NODES)), index)
        else:
            store = None if what == "storeless" else STORE
            listed = gpu(node, index, is_healthy=what != "unwell", store_bytes=store)
            if not self._has_room(node, listed, self.resident.get(node, {})):
                return
        others = [each for each in self.nodes[node] if each.uuid != listed.uuid]
        self._offer(node, others if what == "lost" else [*others, listed])

    def _offer(self, node: str, gpus: list[NodeGpu]) -> None:
        self.nodes[node] = gpus
        self.ledger.put_node(node, gpus, UNITS, UNITS)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), size=st.sampled_from(WEIGHTS))
    def a_store_loads(self, data: st.DataObject, size: int | None) -> None:
        """Have a store load a model, or give it up; a pod without a size counts with it."""
        node = data.draw(st.sampled_from(sorted(self.nodes)))
        if not self.nodes[node]:
            return
        each = data.draw(st.sampled_from(self.nodes[node]))
        there = ledger_books.holders(self.ledger, node, each.uuid).values()
        wanted = sorted({at.shared.name for at in there if at.shared and not at.shared.size_bytes})
        name = data.draw(st.sampled_from(wanted or NAMES))
        loaded = {**self.resident.get(node, {})}
        loaded[each.uuid] = {**loaded.get(each.uuid, {}), name: size or 0}
        if self._has_room(node, each, loaded):
            self.resident[node] = loaded
            self.ledger.put_resident(node, loaded)

    def _has_room(self, node: str, each: NodeGpu, resident: dict[str, dict[str, int]]) -> bool:
        """Tell whether all that is known or true of a GPU's pods leaves its store that memory."""
        holders = ledger_books.holders(self.ledger, node, each.uuid)
        waiting = {
            held.uid: held.placement
            for held in self.ledger.reservations()
            if (held.node, held.placement.gpu_uuid) == (node, each.uuid)
        }
        true = {
            pod.uid: pod.placement
            for pod in self.pods.values()
            if ledger_books.is_on(pod, node, each.uuid)
        }
        there = {**waiting, **holders, **true}
        kept = resident.get(each.uuid, {})
        return plain_memory.promised(each, there.values(), kept) <= each.memory_bytes

    # The extender's verbs.

    @rule(quota=SIDES, sm=SIDES, memory=MEMORY, model=MODEL)
    def pod_is_filtered(
        self, quota: int, sm: int, memory: int | None, model: ModelShare | None
    ) -> None:
        uid = self._new("p")
        self.asked[uid] = Request(uid, sm, quota, memory, model)
        self._filter(uid)

    @precondition(lambda self: self._held())
    @rule(data=st.data(), is_given_up=st.booleans())
    def pod_is_filtered_again(self, *, data: st.DataObject, is_given_up: bool) -> None:
        uid = data.draw(st.sampled_from(self._held()))
        self.ledger.cancel(uid)
        if not is_given_up:
            self._filter(uid)

    def _filter(self, uid: str) -> None:
        ranking = self.ledger.rank(self.asked[uid], NODES, 2)
        if ranking.candidates:
            self._reserve(uid, ranking.candidates[0], self.now_s + HELD_S)

    def _reserve(self, uid: str, best: Candidate, expires_s: float) -> None:
        before = self.ledger.problems()
        assert best.gpu_uuid in {each.uuid for each in self.nodes[best.node]}
        assert (best.node, best.gpu_uuid) not in ledger_books.shut_by(before)
        placement = best.placement(self.asked[uid])
        self.ledger.reserve(Reservation(uid, best.node, placement, expires_s))
        assert self.ledger.problems() == before, "an admitted pod made a problem"
        assert self.ledger.is_sound(uid)
        self._assert_its_node_takes_it(best)

    def _assert_its_node_takes_it(self, best: Candidate) -> None:
        """Have the node agent lay out the same pods: from the sizes alone, in either mode."""
        holders = ledger_books.holders(self.ledger, best.node, best.gpu_uuid)
        sizes = {uid: placement.size for uid, placement in holders.items()}
        assert Settler().settled(Layout(), sizes) is not None

    @precondition(lambda self: self._held())
    @rule(data=st.data(), answer=st.sampled_from(["bound", "bound", "refused", "unknown"]))
    def bind_is_sent(self, data: st.DataObject, answer: str) -> None:
        """Claim the place as the extender does, anew on its node where it is not sound by now."""
        uid = data.draw(st.sampled_from(self._held()))
        if not self._claim(uid):
            return
        held = self.ledger.reservation(uid)
        if answer == "bound":
            self._bind(uid, held.node, held.placement)
            self.unseen.add(uid)
        elif answer == "refused":
            self.ledger.cancel(uid)

    @precondition(lambda self: self._held())
    @rule(data=st.data(), node=st.sampled_from(NODES))
    def bind_conflicts(self, data: st.DataObject, node: str) -> None:
        """Somebody else has bound the pod; the extender reads it and believes the API server."""
        uid = data.draw(st.sampled_from(self._held()))
        size = self.asked[uid].size
        placement = PodPlacement(f"GPU-{node}-0", size.height, size.width, 2**30)
        self._bind(uid, node, placement)
        self.forged.add(uid)
        self.ledger.put(self.pods[uid])

    def _claim(self, uid: str) -> bool:
        held = self.ledger.reservation(uid)
        if self.ledger.is_sound(uid):
            at = held.placement
            best = Candidate(
                held.node, at.gpu_uuid, at.memory_bytes, 0, has_own_weights=at.has_own_weights
            )
        else:
            self.ledger.cancel(uid)
            best = self.ledger.fit(self.asked[uid], held.node)
        if isinstance(best, Candidate):
            self._reserve(uid, best, ledgers.LATER_S)
        return isinstance(best, Candidate)

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def a_place_is_made(self, data: st.DataObject) -> None:
        """Hold the place of a pod of lower priority for one that asks the same, as it goes."""
        victim = self.pods[data.draw(st.sampled_from(sorted(self.pods)))]
        grounds = self.ledger.grounds(sorted(self.nodes))
        troubled = {each.gpu_uuid for each in self.ledger.problems()}
        is_sound = victim.placement.gpu_uuid not in troubled
        if not (is_sound and any(victim.uid in ground.pods for ground in grounds)):
            return
        uid = self._new("urgent")
        asked = victim.placement
        own = asked.memory_bytes - asked.own_weights_bytes
        self.asked[uid] = Request(uid, asked.sm_percent, asked.quota_percent, own, asked.model)
        gone = frozenset({victim.uid})
        held = Reservation(uid, victim.node, asked, self.now_s + HELD_S, gone, 1)
        self.ledger.reserve(held)
        probe = self.ledger.fit(Request("probe", 1, 1, 1), victim.node)
        assert getattr(probe, "gpu_uuid", "") != asked.gpu_uuid, "somebody else got in"

    @rule(seconds=st.sampled_from([1, HELD_S]))
    def time_passes(self, seconds: int) -> None:
        """Places expire when their time is over, and no other."""
        self.now_s += seconds
        before = self.ledger.reservations()

        over = self.ledger.expire(self.now_s)

        assert set(over) == {each for each in before if each.expires_s <= self.now_s}
        assert set(self.ledger.reservations()) == set(before) - set(over)

    # The watch.

    @precondition(lambda self: self.unseen)
    @rule(data=st.data())
    def pod_is_seen(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.unseen)))
        self.unseen.discard(uid)
        self.ledger.put(self.pods[uid])

    @precondition(lambda self: self.pods)
    @rule(data=st.data(), is_seen=st.booleans())
    def pod_goes(self, *, data: st.DataObject, is_seen: bool) -> None:
        uid = data.draw(st.sampled_from(sorted(self.pods)))
        pod = self.pods.pop(uid)
        if is_seen or uid in self.unseen:
            self.unseen.discard(uid)
            self._see_gone(uid)
        else:
            self.lingering[uid] = pod

    @precondition(lambda self: self.lingering)
    @rule(data=st.data())
    def pod_is_seen_to_be_gone(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.lingering)))
        del self.lingering[uid]
        self._see_gone(uid)

    def _see_gone(self, uid: str) -> None:
        self.forged.discard(uid)
        self.ledger.drop_pod(uid)

    @rule(node=st.sampled_from(NODES), quota=SIDES, sm=SIDES)
    def pod_goes_round_us(self, node: str, quota: int, sm: int) -> None:
        uid = self._new("forged")
        self._bind(uid, node, PodPlacement(f"GPU-{node}-0", sm, quota, 2**30))
        self.forged.add(uid)
        self.ledger.put(self.pods[uid])

    @rule(seed=st.integers(0, 99))
    def the_extender_starts_again(self, seed: int) -> None:
        """Go on with a ledger that was built from the API's objects alone, in any order."""
        before = (
            None
            if self.unseen or self.lingering or self._held()
            else ledger_books.books(self.ledger)
        )
        self.ledger = Ledger(Packer(self.mode))
        events = [lambda pod=pod: self.ledger.put(pod) for pod in self.pods.values()]
        events += [lambda node=node: self._offer(node, self.nodes[node]) for node in self.nodes]
        events += [lambda node=node: self._tell_resident(node) for node in self.resident]
        random.Random(seed).shuffle(events)  # noqa: S311
        for event in events:
            event()
        self.unseen.clear()
        self.lingering.clear()
        self.forged &= set(self.pods)
        assert before is None or ledger_books.agree(before, ledger_books.books(self.ledger))

    # What holds at every moment.

    @invariant()
    def no_gpu_is_promised_twice(self) -> None:
        """In truth: everything that is bound to a GPU can be played, and has memory and clients."""
        for node, gpus in self.nodes.items():
            for each in gpus:
                here = [
                    pod for pod in self.pods.values() if ledger_books.is_on(pod, node, each.uuid)
                ]
                if not self.forged & {pod.uid for pod in here}:
                    assert is_feasible(tuple(sorted(pod.placement.size for pod in here)))
                    placements = [pod.placement for pod in here]
                    kept = self.resident.get(node, {}).get(each.uuid, {})
                    assert plain_memory.promised(each, placements, kept) <= each.memory_bytes
                    assert len(here) <= each.max_clients

    @invariant()
    def every_layout_is_a_timetable(self) -> None:
        """At no percent of the window are more than 100 percent of the SMs promised."""
        for node in self.ledger.nodes():
            for snapshot in self.ledger.snapshots(node):
                assert oracle.violations(snapshot.layout) == []

    @invariant()
    def the_ledger_holds_what_the_api_has_shown(self) -> None:
        shown = {uid: pod for uid, pod in self.pods.items() if uid not in self.unseen}
        assert {pod.uid: pod for pod in self.ledger.placed()} == shown | self.lingering
        assert self.ledger.nodes() == tuple(sorted(self.nodes))
        for node, gpus in self.nodes.items():
            assert self.ledger.inventory(node) == tuple(gpus)
        assert self.unseen <= {each.uid for each in self.ledger.reservations()}

    @invariant()
    def a_gpu_has_those_who_hold_it_and_nobody_else(self) -> None:
        shut = {(each.node, each.gpu_uuid) for each in self.ledger.problems()}
        for node in self.nodes:
            for snapshot in self.ledger.snapshots(node):
                if (node, snapshot.gpu.uuid) not in shut:
                    holders = ledger_books.holders(self.ledger, node, snapshot.gpu.uuid)
                    assert dict(snapshot.memory) == {
                        uid: placement.memory_bytes for uid, placement in holders.items()
                    }

    @invariant()
    def memory_is_what_all_holders_leave_of_it(self) -> None:
        """However it came about, it is what counting anew gives: models once, the store once."""
        lost = {
            (each.node, each.gpu_uuid)
            for each in self.ledger.problems()
            if each.kind is ProblemKind.CONFLICT
        }
        for node, gpus in self.nodes.items():
            for each, snapshot in zip(gpus, self.ledger.snapshots(node), strict=True):
                if (node, each.uuid) not in lost:
                    there = ledger_books.holders(self.ledger, node, each.uuid)
                    kept = self.resident.get(node, {}).get(each.uuid, {})
                    promised = plain_memory.promised(each, there.values(), kept)
                    assert snapshot.memory_free_bytes == each.memory_bytes - promised

    @invariant()
    def a_gpu_that_two_nodes_list_is_told_of_each(self) -> None:
        listed = [(each.uuid, node) for node, gpus in self.nodes.items() for each in gpus]
        uuids = [uuid for uuid, _ in listed]
        twice = {(node, uuid) for uuid, node in listed if uuids.count(uuid) > 1}
        found = [each for each in self.ledger.problems() if each.kind is ProblemKind.DOUBLED]
        assert {(each.node, each.gpu_uuid) for each in found} == twice

    @invariant()
    def only_forgers_make_problems(self) -> None:
        """GPUs on which nobody went round us have a layout of all, memory and clients for all."""
        for problem in self.ledger.problems():
            if problem.kind in ledger_books.SHUT and problem.kind is not ProblemKind.DOUBLED:
                assert self.forged & set(problem.pods) or self._is_lost_layout(problem), problem

    def _is_lost_layout(self, problem: Problem) -> bool:
        """Tell whether it is what remained of an admitted set, and a new ledger finds no layout.

        Searches are heuristic: the GPU then waits.
        """
        sizes = sorted(
            each.size
            for each in ledger_books.holders(self.ledger, problem.node, problem.gpu_uuid).values()
        )
        return problem.kind is ProblemKind.CONFLICT and self.mode.find_longer(sizes) is None

    @invariant()
    def a_gpu_with_a_problem_takes_nothing(self) -> None:
        shut = ledger_books.shut_by(self.ledger.problems())
        for node in self.ledger.nodes():
            answer = self.ledger.fit(Request("probe", 1, 1, 1), node)
            if isinstance(answer, Candidate):
                assert (node, answer.gpu_uuid) not in shut

    @invariant()
    def a_question_asked_again_is_answered_as_by_the_plain_rule(self) -> None:
        """Whatever has happened since it was asked last."""
        for request in PROBES:
            found = self.ledger.rank(request, NODES, 2).candidates
            plain, _ = plain_ranking.rank(self.ledger, request, NODES, 2, Preference(), self.mode)
            assert [(each.node, each.gpu_uuid, each.is_relaid) for each in found] == plain

    def teardown(self) -> None:
        """Once all is gone, nothing is left: no node, no pod, no place, no row of any table."""
        for uid in [*self.pods, *self.lingering]:
            self.ledger.drop_pod(uid)
        for uid in self._held():
            self.ledger.cancel(uid)
        for node in self.nodes:
            self.ledger.drop_node(node)
        self.ledger.settle()

        assert ledger_books.left_in(self.ledger) == {}

    def _new(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def _bind(self, uid: str, node: str, placement: PodPlacement) -> None:
        namespace = placement.model.namespace if placement.model else "team"
        self.pods[uid] = PlacedPod(uid, namespace, uid, node, placement)

    def _tell_resident(self, node: str) -> None:
        self.ledger.put_resident(node, self.resident[node])

    def _held(self) -> list[str]:
        """Return the pods that have a place and are not bound, as far as is known."""
        uids = [each.uid for each in self.ledger.reservations()]
        return [uid for uid in uids if uid not in self.pods and uid not in self.lingering]


class SlicedMachine(LedgerMachine):
    """The same in slices."""

    mode = SLICED


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSlicedLedger = SlicedMachine.TestCase
TestSlicedLedger.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
