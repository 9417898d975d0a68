"""Whatever clients do, in whatever order the server gets on, the catalogue's invariants hold."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.support.store_scene import Scene, digest

from gshare_modelstore.protocol import Ask, Op, Tier
from gshare_modelstore.terms import Model, Terms

NAMESPACES = ("red", "blue")
KEYS = ("a", "b", "shared/a")
SIZES = {"w": 4, "x": 5, "y": 6, "z": 9}
WEIGHTS = tuple(SIZES)

TIGHT = Terms(device_bytes=12, host_bytes=9, quota_bytes=10, shared_from=frozenset({"red"}))

namespaces = st.sampled_from(NAMESPACES)
keys = st.sampled_from(KEYS)
weights = st.sampled_from(WEIGHTS)
tiers = st.sampled_from(tuple(Tier))
digests = st.none() | weights.map(digest)
models = st.builds(Model.seen_from, namespaces, keys)
terms = st.builds(
    Terms,
    device_bytes=st.sampled_from((0, 6, 9, 12, 20)),
    host_bytes=st.sampled_from((0, 6, 9, 20)),
    quota_bytes=st.none() | st.sampled_from((6, 10, 14)),
    shared_from=st.frozensets(namespaces),
    announced=st.dictionaries(models, st.integers(0, 10), max_size=2),
)


class Store(RuleBasedStateMachine):
    """Clients of two namespaces at one store with little memory. The scene checks every step."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(TIGHT)

    def clients(self) -> list[int]:
        return list(self.scene.clients)

    def client(self, data) -> int:
        return data.draw(st.sampled_from(self.clients()))

    @precondition(lambda self: len(self.scene.clients) < 6)
    @rule(namespace=namespaces)
    def join(self, namespace):
        self.scene.join(namespace)

    @precondition(lambda self: self.scene.clients)
    @rule(data=st.data())
    def leave(self, data):
        self.scene.leave(self.client(data))

    @precondition(lambda self: self.scene.clients)
    @rule(data=st.data(), key=keys, tier=tiers, wanted=digests, flags=st.sampled_from(Ask))
    def get(self, data, key, tier, wanted, flags):
        self.scene.ask(
            self.client(data), Op.GET, key, tier=tier, digest=wanted, flags=flags & Ask.LOAD
        )

    @precondition(lambda self: self.scene.clients)
    @rule(data=st.data(), key=keys, which=weights, tier=tiers, pins=st.booleans(), wanted=digests)
    def offer(self, data, key, which, tier, pins, wanted):
        flags = Ask.PIN if pins else Ask.NONE
        self.scene.offer(
            self.client(data), key, which, SIZES[which], tier=tier, flags=flags, digest=wanted
        )

    @precondition(lambda self: len(self.scene.clients) < 6)
    @rule(namespace=namespaces, key=keys, which=weights, tier=tiers, stays=st.booleans())
    def store(self, namespace, key, which, tier, stays):
        """Store weights in one go, and use them or leave them to whoever wants their room."""
        client = self.scene.join(namespace)
        self.scene.store(client, key, which, SIZES[which], tier=tier)
        if not stays:
            self.scene.leave(client)

    @precondition(lambda self: self.scene.clients)
    @rule(
        data=st.data(),
        op=st.sampled_from((Op.PROGRESS, Op.ABANDON, Op.RELEASE, Op.DROP, Op.PIN, Op.LIST)),
        key=keys,
        flags=st.sampled_from((Ask.NONE, Ask.PIN)),
    )
    def ask(self, data, op, key, flags):
        self.scene.ask(self.client(data), op, key, flags=flags)

    @precondition(lambda self: self.scene.verifying)
    @rule(data=st.data(), is_whole=st.booleans())
    def verify(self, data, is_whole):
        index = data.draw(st.integers(0, len(self.scene.verifying) - 1))
        if is_whole:
            self.scene.verify(index)
        else:
            self.scene.refuse(index)

    @precondition(lambda self: self.scene.copying)
    @rule(data=st.data(), outcome=st.sampled_from(("done", "done", "memory", "broken")))
    def copy(self, data, outcome):
        index = data.draw(st.integers(0, len(self.scene.copying) - 1))
        if outcome == "done":
            self.scene.copy(index)
        else:
            self.scene.fail(index, out_of_memory=outcome == "memory")

    @rule(new=terms)
    def adopt(self, new):
        self.scene.adopt(new)

    def teardown(self) -> None:
        """Once all have gone and no memory is left to the store, it holds nothing."""
        self.scene.finish()
        waiting = self.scene.catalogue._books.waiting
        for client in self.clients():
            unanswered = len(self.scene.open[client])
            is_waiting = any(client == each.client for each in waiting._waiters)
            assert is_waiting or unanswered == 0 or self.took_back(client)
            self.scene.leave(client)
        self.scene.finish()
        self.scene.adopt(Terms())
        assert not self.scene.device
        assert not self.scene.host
        assert not self.scene.tickets
        assert not waiting.loading

    def took_back(self, client: int) -> bool:
        """Tell whether the client's last request was answered: what is open was taken back."""
        return max(self.scene.open[client]) < max(
            each.serial for each in self.scene.replies[client]
        )


Store.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestCatalogue = Store.TestCase
