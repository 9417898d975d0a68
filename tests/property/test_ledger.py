"""The ledger under any order of events promises nothing twice, and a restart changes nothing."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.support import ledgers, oracle

from gshare import layout
from gshare.ledger import Candidate, Ledger, PlacedPod, ProblemKind, Reservation
from gshare.placement import Request

NODES = ("a", "b", "c")
SIDES = st.one_of(st.integers(1, 100), st.sampled_from([12, 20, 24, 40, 50, 60]))
MEMORY = st.sampled_from([None, 2**30, 3 * 2**30, 9 * 2**30])
GPUS = 2
CLIENTS = 5
UNITS = 500


def gpus_of(node: str, count: int):
    return [ledgers.gpu(f"GPU-{node}-{index}", max_clients=CLIENTS) for index in range(count)]


class LedgerMachine(RuleBasedStateMachine):
    """An API server, reduced to what it holds, and a ledger that hears of it."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.nodes: dict[str, int] = {}
        self.pods: dict[str, PlacedPod] = {}
        self.unseen: dict[str, PlacedPod] = {}
        self.forged: set[str] = set()
        self.count = 0

    @rule(node=st.sampled_from(NODES))
    def node_comes(self, node: str) -> None:
        self.nodes[node] = GPUS
        ledgers.put_node(self.ledger, node, *gpus_of(node, GPUS), units=UNITS)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def node_goes(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.nodes)))
        del self.nodes[node]
        self.ledger.drop_node(node)

    @rule(quota=SIDES, sm=SIDES, memory=MEMORY)
    def pod_is_filtered(self, quota: int, sm: int, memory: int | None) -> None:
        self.count += 1
        request = Request(f"p{self.count}", sm, quota, memory)
        ranking = self.ledger.rank(request, NODES, 2)
        if ranking.candidates:
            self._reserve(request, ranking.candidates[0])

    def _reserve(self, request: Request, best: Candidate) -> None:
        assert best.node in self.nodes
        before = self.ledger.problems()
        held = self.ledger.placement_for(best, request)
        self.ledger.reserve(Reservation(request.key, best.node, held, ledgers.LATER_S))
        assert self.ledger.problems() == before, "an admitted pod made a problem"
        assert self.ledger.is_sound(request.key)

    @precondition(lambda self: self.ledger.reservations())
    @rule(data=st.data())
    def pod_is_bound(self, data: st.DataObject) -> None:
        """Let the API server have it; the watch shows it later."""
        held = data.draw(st.sampled_from(self.ledger.reservations()))
        self.unseen[held.uid] = PlacedPod(held.uid, "team", held.uid, held.node, held.placement)
        self.pods[held.uid] = self.unseen[held.uid]

    @precondition(lambda self: self.unseen)
    @rule(data=st.data())
    def pod_is_seen(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.unseen)))
        self.ledger.put(self.unseen.pop(uid))

    @precondition(lambda self: self.ledger.reservations())
    @rule(data=st.data())
    def pod_is_given_up(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.ledger.reservations()))
        if held.uid not in self.pods:
            self.ledger.cancel(held.uid)

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def pod_goes(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.pods)))
        del self.pods[uid]
        self.unseen.pop(uid, None)
        self.forged.discard(uid)
        self.ledger.drop_pod(uid)

    @rule(node=st.sampled_from(NODES), quota=SIDES, sm=SIDES)
    def pod_goes_round_us(self, node: str, quota: int, sm: int) -> None:
        self.count += 1
        uid = f"forged{self.count}"
        pod = ledgers.placed(uid, node, quota, sm, gpu=f"GPU-{node}-0")
        self.pods[uid] = pod
        self.forged.add(uid)
        self.ledger.put(pod)

    @invariant()
    def every_layout_is_a_timetable(self) -> None:
        """At no percent of the window are more than 100 percent of the SMs promised."""
        for node in self.ledger.nodes():
            for snapshot in self.ledger.snapshots(node):
                assert oracle.violations(snapshot.layout) == []

    @invariant()
    def only_forgers_make_problems(self) -> None:
        """GPUs on which nobody went round us have a layout of all, memory and clients for all."""
        for problem in self.ledger.problems():
            if problem.kind is not ProblemKind.VANISHED:
                assert self.forged & set(problem.pods), problem

    @invariant()
    def a_gpu_with_a_problem_takes_nothing(self) -> None:
        smallest = Request("probe", 1, 1, 1)
        shut = {
            (problem.node, problem.gpu_uuid)
            for problem in self.ledger.problems()
            if problem.kind in {ProblemKind.CONFLICT, ProblemKind.MEMORY, ProblemKind.CLIENTS}
        }
        for node in self.ledger.nodes():
            answer = self.ledger.fit(smallest, node)
            if isinstance(answer, Candidate):
                assert (node, answer.gpu_uuid) not in shut

    @rule()
    def a_restart_changes_nothing(self) -> None:
        """Build a ledger from the API's objects alone: it holds what this one has seen of them."""
        rebuilt = Ledger()
        for pod in reversed(self.pods.values()):
            rebuilt.put(pod)
        for node, count in self.nodes.items():
            ledgers.put_node(rebuilt, node, *gpus_of(node, count), units=UNITS)

        assert rebuilt.nodes() == self.ledger.nodes()
        assert {pod.uid for pod in rebuilt.placed()} == set(self.pods)
        for problem in rebuilt.problems():
            if problem.kind is ProblemKind.CONFLICT and not self.forged & set(problem.pods):
                # What remained of an admitted set may not be found again: the GPU then waits.
                sizes = sorted(self.pods[uid].placement.size for uid in problem.pods)
                assert layout.find_longer(sizes) is None


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
