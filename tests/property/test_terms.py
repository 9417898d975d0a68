"""A node and an extender that hear of each other late never promise more than there is.

A user writes anything on running pods; the node judges when it comes to it; what it says arrives
later still. At every step the leases lie on the GPU without overlap and their memory is there, and
the extender, from what has arrived, counts each pod as no less than its node enforces, or will
when it next judges without a further word of the user. Some pods announce a model, whose weights
are there once where the node has a model store, and in the memory of each pod where it has none.
"""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support import oracle, plain_memory
from tests.support.gpu_pods import GIB, GPU, node_gpu

from gshare import modes, terms
from gshare.annotations import NodeGpu, PodPlacement, Standing, place_on
from gshare.layout import Layout
from gshare.lease import limits_of
from gshare.models import ModelShare
from gshare.modes import Settler
from gshare.placement import Request
from gshare.terms import LIMIT, MEMORY, REQUEST
from gshare_deviceplugin import changes, lease
from gshare_deviceplugin.changes import Beside, Wish
from gshare_deviceplugin.charge import Charge
from gshare_deviceplugin.lease import Lease, Owner, Refusal

PERCENT = st.one_of(st.integers(1, 100), st.sampled_from([20, 30, 40, 60]))
TEXTS = {
    REQUEST: st.one_of(PERCENT.map(str), PERCENT.map(str), st.sampled_from([None, "0", "more"])),
    LIMIT: st.one_of(st.none(), st.none(), PERCENT.map(str), st.just("all")),
    MEMORY: st.one_of(st.integers(1, 9).map(lambda gib: f"{gib}Gi"), st.sampled_from([None, "-1"])),
}
MODELS = st.sampled_from(
    [None, None, ModelShare("bert", 2 * GIB, "team"), ModelShare("shared/bert", None, "team")]
)
RESIDENT = {"shared/bert": GIB}


class TermsMachine(RuleBasedStateMachine):
    """One GPU; each pod has annotations, a lease, and what its node last said of it."""

    card: NodeGpu = node_gpu(store_bytes=GIB // 2)

    def __init__(self) -> None:
        super().__init__()
        self.settler = Settler()
        self.layout = Layout()
        self.placed: dict[str, PodPlacement] = {}
        self.texts: dict[str, dict[str, str]] = {}
        self.used: dict[str, int] = {}
        self.leases: dict[str, Lease] = {}
        self.said: dict[str, Standing] = {}
        self.count = 0

    @initialize()
    def pods_run(self) -> None:
        for sm, quota in ((50, 40), (50, 40), (20, 30)):
            self.pod_starts(sm, quota, 4)

    @rule(
        sm=PERCENT,
        quota=PERCENT,
        gib=st.integers(1, 6),
        asked=st.sampled_from([None, {}]),
        model=MODELS,
    )
    def pod_starts(
        self,
        sm: int,
        quota: int,
        gib: int,
        asked: dict[str, str] | None = None,
        model: ModelShare | None = None,
    ) -> None:
        self.count += 1
        uid = f"p{self.count}"
        owner = Owner("team", uid, "server")
        placed = place_on(self.card.gpu, Request(uid, sm, quota, gib * GIB, model))
        memory, shared = placed.memory_bytes, placed.shared
        wanted = Lease(uid, uid, owner, uid, "f", 1, GPU, sm, quota, 100, memory, asked=asked)
        if shared is not None:
            wanted = replace(wanted, model=shared.key, model_bytes=shared.size_bytes)
        others = list(self.leases.values())
        arranged = lease.admit(wanted, others, self._charge(), self.layout, self.settler)
        if isinstance(arranged, Refusal):
            return
        self.layout, self.leases[uid], self.placed[uid] = arranged, wanted, placed
        self.texts[uid], self.used[uid] = {}, 0

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def pod_leaves(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.leases)))
        for known in (self.leases, self.placed, self.texts, self.used):
            del known[uid]  # type: ignore[attr-defined]
        self.layout = modes.remaining(self.layout, self._sizes())

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), is_judged_soon=st.booleans())
    def user_writes(self, data: st.DataObject, *, is_judged_soon: bool) -> None:
        uid = data.draw(st.sampled_from(sorted(self.leases)))
        for key in data.draw(st.sets(st.sampled_from(terms.KEYS), min_size=1)):
            text = data.draw(TEXTS[key])
            self.texts[uid].pop(key, None)
            self.texts[uid] |= {} if text is None else {key: text}
        if is_judged_soon:
            self._judge(uid, self.used[uid])

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), quota=PERCENT, has_heard=st.booleans())
    def a_request_above_the_limit_loses_its_limit(
        self, *, data: st.DataObject, quota: int, has_heard: bool
    ) -> None:
        """Have it refused for its limit, the user take the limit away, and the node look again."""
        uid = data.draw(st.sampled_from(sorted(self.leases)))
        self.texts[uid] |= {REQUEST: str(min(100, quota + 1)), LIMIT: str(quota)}
        self._judge(uid, self.used[uid])
        if has_heard:
            self.what_the_node_says_arrives()
        del self.texts[uid][LIMIT]
        self._judge(uid, self.used[uid])

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def pod_takes_memory(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.leases)))
        self.used[uid] = data.draw(st.integers(0, self.leases[uid].memory_bytes))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), is_away=st.booleans())
    def node_judges(self, *, data: st.DataObject, is_away: bool) -> None:
        uid = data.draw(st.sampled_from(sorted(self.leases)))
        self._judge(uid, None if is_away else self.used[uid])

    def _judge(self, uid: str, used: int | None) -> None:
        held = self.leases[uid]
        counted = self._counted(uid)
        changed = self._judged(held, used)
        self.layout, self.leases[uid] = changed.layout, changed.lease
        # What it comes to enforce was counted before it judged.
        if self._has_heard(uid, held):
            assert changed.lease.quota_request_percent <= counted.quota_percent
            assert changed.lease.memory_bytes <= counted.memory_bytes
        assert changed.lease.memory_bytes >= min(self.used[uid], held.memory_bytes)
        again = changes.judge(changed.lease, self._wish(uid), self._beside(uid), self.used[uid])
        assert not again.refusals or changed.is_open, "a refusal was told twice"

    @rule()
    def what_the_node_says_arrives(self) -> None:
        held = list(self.leases.values())
        self.said = changes.standings(self.said, held, self.placed, is_complete=True)

    @invariant()
    def no_share_is_promised_twice(self) -> None:
        assert set(self.layout.keys) == set(self.leases)
        assert dict(zip(self.layout.keys, self.layout.sizes, strict=True)) == self._sizes()
        assert oracle.violations(self.layout) == []
        held = [
            replace(self.placed[uid], memory_bytes=each.memory_bytes)
            for uid, each in self.leases.items()
        ]
        assert plain_memory.promised(self.card, held, RESIDENT) <= self.card.memory_bytes

    @invariant()
    def every_lease_can_be_written(self) -> None:
        for uid, each in self.leases.items():
            limits_of(each, self.layout.slices(uid), 40_000)

    @invariant()
    def the_extender_counts_no_less_than_is_enforced(self) -> None:
        for uid, each in self.leases.items():
            if self._has_heard(uid, each):
                counted = self._counted(uid)
                assert counted.quota_percent >= each.quota_request_percent
                assert counted.memory_bytes >= each.memory_bytes

    @invariant()
    def what_all_have_heard_counts_as_it_is(self) -> None:
        for uid, each in self.leases.items():
            if self._has_heard(uid, each) and each.asked == self.texts[uid]:
                assert self._counted(uid) == terms.in_force(self.placed[uid], each.standing)

    def _has_heard(self, uid: str, held: Lease) -> bool:
        """Tell whether what the node says of a lease has arrived."""
        told = held.standing if terms.differs(self.placed[uid], held.standing) else None
        return self.said.get(uid) == told

    def _counted(self, uid: str) -> PodPlacement:
        return terms.counted(self.placed[uid], self.texts[uid], self.said.get(uid))

    def _judged(self, held: Lease, used: int | None) -> changes.Changed:
        uid = held.pod_uid
        return changes.judge(held, self._wish(uid), self._beside(uid), used)

    def _wish(self, uid: str) -> Wish:
        return Wish(dict(self.texts[uid]), self.placed[uid])

    def _beside(self, uid: str) -> Beside:
        others = [replace(each) for key, each in self.leases.items() if key != uid]
        packer = self.settler.packer_of(self.layout)
        return Beside(self._charge(), others, {}, self.layout, packer)

    def _charge(self) -> Charge:
        return Charge(self.card, RESIDENT)

    def _sizes(self) -> dict[str, object]:
        return {uid: each.size for uid, each in self.leases.items()}


class StorelessMachine(TermsMachine):
    """The same on a node without a model store."""

    card = node_gpu()


TestTerms = TermsMachine.TestCase
TestTerms.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestStorelessTerms = StorelessMachine.TestCase
TestStorelessTerms.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
