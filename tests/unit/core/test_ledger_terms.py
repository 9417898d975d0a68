"""The ledger counts a pod by its placement, its annotations and what its node says of it."""

from tests.support.ledgers import GIB, asks, fit, ledger_of, placed, put_node

from gshare.annotations import PodPlacement, Standing, Terms
from gshare.ledger import PlacedPod, RefusalKind
from gshare.models import ModelShare
from gshare.terms import MEMORY, REQUEST


def quota_of(ledger, uid="p") -> int:
    pod = ledger.pod(uid)
    assert isinstance(pod, PlacedPod)
    return pod.placement.quota_percent


def test_a_raise_counts_before_its_node_has_judged_it():
    ledger = ledger_of()

    ledger.put(placed(quota=60, sm=100, wishes={REQUEST: "80"}))

    assert fit(ledger, asks(quota=40, sm=100)) == RefusalKind.FULL
    assert fit(ledger, asks(quota=20, sm=100)) == "GPU-a"


def test_a_reduction_counts_once_its_node_says_so():
    ledger = ledger_of()
    ledger.put(placed(quota=60, sm=100, wishes={REQUEST: "30"}))
    assert fit(ledger, asks(quota=70, sm=100)) == RefusalKind.FULL

    ledger.put_terms("a", {"p": Standing(Terms(30, 100, GIB))})

    assert fit(ledger, asks(quota=70, sm=100)) == "GPU-a"


def test_terms_may_be_seen_before_the_pod():
    ledger = ledger_of()
    ledger.put_terms("a", {"p": Standing(Terms(30, 100, 2 * GIB))})

    ledger.put(placed(quota=60, wishes={REQUEST: "30", MEMORY: "2Gi"}))

    assert quota_of(ledger) == 30
    assert ledger.snapshots("a")[0].memory_free_bytes == 14 * GIB


def test_terms_that_are_no_longer_said_count_no_more():
    ledger = ledger_of()
    ledger.put(placed(quota=60, wishes={}))
    ledger.put_terms("a", {"p": Standing(Terms(80, 100, GIB))})

    ledger.put_terms("a", {})

    assert quota_of(ledger) == 60


def test_a_node_that_comes_anew_says_its_terms_anew():
    ledger = ledger_of()
    ledger.put(placed(quota=60, wishes={}))
    ledger.put_terms("a", {"p": Standing(Terms(80, 100, GIB))})

    ledger.drop_node("a")
    put_node(ledger, "a")

    assert quota_of(ledger) == 60


def test_the_kubelet_counts_what_the_container_asks():
    ledger = ledger_of(())
    put_node(ledger, "a", units=100)
    ledger.put(placed(quota=60, wishes={}))

    ledger.put_terms("a", {"p": Standing(Terms(10, 100, GIB))})

    assert fit(ledger, asks(quota=50)) == RefusalKind.UNITS


def test_a_raise_that_does_not_fit_shuts_the_gpu_until_it_is_refused():
    ledger = ledger_of()
    ledger.put(placed("other", quota=50, sm=100))
    ledger.put(placed(quota=40, sm=100, wishes={REQUEST: "60"}))
    assert fit(ledger, asks(quota=10, sm=100)) == RefusalKind.CONFLICT

    ledger.put_terms("a", {"p": Standing(Terms(40, 100, GIB), {REQUEST: "60"})})

    assert fit(ledger, asks(quota=10, sm=100)) == "GPU-a"
    assert ledger.problems() == ()


def test_terms_below_a_pods_own_weights_are_what_its_node_enforces():
    """An older agent does not know of weights in a pod's own memory: nobody else is hurt by it."""
    ledger = ledger_of()
    model = ModelShare("bert", 6 * GIB, "team")
    held = PodPlacement("GPU-a", 12, 40, 8 * GIB, model, has_own_weights=True)
    ledger.put(placed(placement=held, wishes={MEMORY: "2Gi"}))

    ledger.put_terms("a", {"p": Standing(Terms(40, 100, 2 * GIB))})

    assert ledger.snapshots("a")[0].memory_free_bytes == 8 * GIB
    ledger.put_terms("a", {"p": Standing(Terms(40, 100, 2 * GIB), {MEMORY: "2Gi"})})
    assert ledger.snapshots("a")[0].memory_free_bytes == 14 * GIB
