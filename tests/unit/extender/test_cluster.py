"""What is remembered between filter and bind, who is told of room, and how long places are held."""

import time

import pytest
from tests.support.scheduling import GIB, as_node, as_pod, gpu_node, gpu_pod, placement

from gshare import names
from gshare.annotations import Standing, Terms, encode_in_force, encode_resident
from gshare.ledger import NodeRefusal, RefusalKind, Reservation
from gshare.models import ModelShare
from gshare.placement import Request
from gshare_extender.claims import Claim
from gshare_extender.cluster import Cluster, Listeners
from gshare_extender.settings import ExtenderSettings

WHOLE = Request("uid-whole", 100, 100, 1)
SMALL = Request("uid-small", 10, 10, 1)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def freed():
    return []


@pytest.fixture
def cluster(clock, freed):
    found = Cluster(ExtenderSettings(), Listeners(freed.append), clock=clock)
    for name in ("a", "b"):
        found.take_node("put", as_node(gpu_node(name)))
    return found


def see(cluster, name, **changes):
    """Show a pod to the watch; return it."""
    pod = as_pod(gpu_pod(name, **changes))
    cluster.take_pod("put", pod)
    return pod


def fill(cluster, node, name, **changes):
    held = placement(node, 100, 100)
    return see(cluster, name, sm="100", quota="100", node=node, placement=held, **changes)


def offered(cluster, request, nodes=("a", "b")):
    return [each.node for each in cluster.offer(request, nodes).candidates]


def test_the_best_node_is_held_for_a_pod_that_was_filtered(cluster):
    first, second = offered(cluster, WHOLE), offered(cluster, SMALL)

    assert first == ["a", "b"]
    assert second == ["b"]


def test_filtering_again_holds_one_place_alone(cluster):
    for _ in range(3):
        offered(cluster, WHOLE)

    assert len(cluster.ledger.reservations()) == 1


@pytest.mark.parametrize(("later_s", "told"), [(500, ["a"]), (700, [])], ids=["soon", "much later"])
def test_a_pod_that_was_refused_waits_for_room_unless_nothing_is_heard_of_it(
    cluster, clock, freed, later_s, told
):
    """The scheduler tries it again every 5 minutes; a deletion is not seen."""
    held = [fill(cluster, node, f"on-{node}") for node in ("a", "b")]
    offered(cluster, WHOLE)

    clock.now += later_s
    cluster.take_pod("drop", held[0])

    assert freed == told


def test_a_bind_on_another_node_moves_the_reservation(cluster):
    offered(cluster, WHOLE)

    claim = cluster.claim(WHOLE, "b")

    assert claim == Claim("uid-whole", "b", placement("b", 100, 100, memory=1))
    assert offered(cluster, SMALL) == ["a"]


def test_a_bind_without_a_filter_finds_a_place(cluster):
    assert isinstance(cluster.claim(SMALL, "a"), Claim)


def test_a_bind_whose_place_is_lost_is_refused(cluster):
    offered(cluster, WHOLE)
    fill(cluster, "a", "intruder")

    answer = cluster.claim(WHOLE, "a")

    assert answer == NodeRefusal("a", RefusalKind.FULL)


def test_a_reservation_expires_when_the_pod_is_not_bound(cluster, clock):
    offered(cluster, WHOLE)
    clock.now += ExtenderSettings().reservation_s

    assert cluster.tick() == 1
    assert offered(cluster, SMALL) == ["a", "b"]


def test_a_bound_pod_stays_held_until_the_watch_shows_it(cluster, clock):
    offered(cluster, WHOLE)
    cluster.claim(WHOLE, "a")
    cluster.bound("uid-whole")
    clock.now += ExtenderSettings().reservation_s
    expired = cluster.tick()

    fill(cluster, "a", "whole")

    assert expired == 0
    assert cluster.ledger.reservations() == ()
    assert cluster.seen_on("uid-whole") == "a"


def test_the_lag_of_the_watch_is_told(clock):
    lags = []
    cluster = Cluster(ExtenderSettings(), Listeners(lag=lags.append), clock=clock)
    cluster.take_node("put", as_node(gpu_node("a")))
    cluster.claim(WHOLE, "a")
    cluster.bound("uid-whole")
    clock.now += 0.25

    fill(cluster, "a", "whole")

    assert lags == [0.25]


def test_nobody_is_told_of_room_while_no_pod_waits(cluster, freed):
    pod = fill(cluster, "a", "whole")

    cluster.take_pod("drop", pod)

    assert freed == []


def test_room_is_told_while_a_refused_pod_waits(cluster, freed):
    pods = [fill(cluster, node, f"whole-{node}") for node in ("a", "b")]
    assert offered(cluster, SMALL) == []

    cluster.take_pod("drop", pods[0])

    assert freed == ["a"]


def test_room_is_told_when_a_pod_ends_and_not_when_it_is_leaving(cluster, freed):
    for node in ("a", "b"):
        fill(cluster, node, f"whole-{node}")
    offered(cluster, SMALL)

    fill(cluster, "a", "whole-a", deleted="2026-11-24T08:00:30Z")
    while_leaving = list(freed)
    fill(cluster, "a", "whole-a", phase="Succeeded")

    assert while_leaving == []
    assert freed == ["a"]


def test_a_refused_pod_that_is_gone_waits_no_more(cluster, freed):
    pods = [fill(cluster, node, f"whole-{node}") for node in ("a", "b")]
    offered(cluster, SMALL)
    cluster.take_pod("drop", as_pod(gpu_pod("small")))

    cluster.take_pod("drop", pods[0])

    assert freed == []


def test_a_bind_of_unknown_outcome_is_offered_its_node_alone(cluster):
    offered(cluster, WHOLE)
    cluster.claim(WHOLE, "b")
    cluster.uncertain("uid-whole")

    assert offered(cluster, WHOLE) == ["b"]


def test_a_place_is_nominated_only_while_its_gpu_is_as_planned(cluster, clock):
    fill(cluster, "a", "victim")
    held = Reservation(
        WHOLE.key, "a", placement("a", 100, 100), clock.now + 60, frozenset({"uid-victim"})
    )

    stale, good = cluster.nominate(held, ["uid-other"]), cluster.nominate(held, ["uid-victim"])
    again = cluster.nominate(held, ["uid-victim"])

    assert (stale, good, again) == (False, True, False)


def test_a_nominated_place_is_kept_when_the_pod_is_filtered_too_early(cluster, clock):
    for node in ("a", "b"):
        fill(cluster, node, f"victim-{node}")
    victims = frozenset({"uid-victim-a"})
    held = Reservation(WHOLE.key, "a", placement("a", 100, 100), clock.now + 60, victims)
    cluster.nominate(held, ["uid-victim-a"])

    too_early = offered(cluster, WHOLE)
    cluster.take_pod("drop", as_pod(gpu_pod("victim-a")))
    others = offered(cluster, SMALL)

    assert (too_early, others) == ([], [])
    assert offered(cluster, WHOLE) == ["a"]


def test_a_nomination_lasts_while_its_victims_use_their_grace_period(cluster, clock):
    leaving = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 300))
    fill(cluster, "a", "victim", deleted=leaving)
    victims = frozenset({"uid-victim"})
    held = Reservation(WHOLE.key, "a", placement("a", 100, 100), clock.now + 60, victims)
    cluster.nominate(held, ["uid-victim"])
    clock.now += 200

    assert cluster.tick() == 0


def test_a_nomination_lasts_a_while_after_the_last_victim_has_left(cluster, clock):
    victim = fill(cluster, "a", "victim")
    held = Reservation(
        WHOLE.key, "a", placement("a", 100, 100), clock.now + 60, frozenset({"uid-victim"})
    )
    cluster.nominate(held, ["uid-victim"])
    clock.now += 59

    cluster.take_pod("drop", victim)
    clock.now += 59

    assert cluster.tick() == 0
    clock.now += 1
    assert cluster.tick() == 1


def turn_away(cluster, node, name="astray"):
    pod = gpu_pod(name, node=node, placement=placement(node), phase="Failed")
    pod["status"]["reason"] = "UnexpectedAdmissionError"
    cluster.take_pod("drop", as_pod(pod))


def test_a_node_that_turned_a_pod_away_is_left_alone_for_a_moment(cluster, clock):
    turn_away(cluster, "a")

    at_once = cluster.offer(SMALL, ("a", "b"))
    alone = cluster.offer(SMALL, ("a",))
    claim = cluster.claim(SMALL, "a")
    clock.now += 3.0
    later = offered(cluster, SMALL)

    assert [each.node for each in at_once.candidates] == ["b"]
    assert alone.refusals == {"a": RefusalKind.RESTING}
    assert claim == NodeRefusal("a", RefusalKind.RESTING)
    assert later == ["a", "b"]


def test_pods_that_wait_for_a_resting_node_are_woken_when_its_rest_is_over(cluster, clock, freed):
    turn_away(cluster, "a")
    assert offered(cluster, SMALL, ["a"]) == []
    clock.now += 3.0

    cluster.tick()
    cluster.tick()

    assert freed == ["a"]


def test_a_node_rests_no_longer_when_what_it_offers_changes(cluster):
    turn_away(cluster, "a")

    cluster.take_node("put", as_node(gpu_node("a", units=800)))

    assert offered(cluster, SMALL) == ["a", "b"]


def test_terms_that_free_room_wake_those_that_wait(cluster, freed):
    for node in ("a", "b"):
        fill(cluster, node, f"full-{node}", phase="Running")
    assert offered(cluster, SMALL) == []
    relieved = gpu_node("a")
    said = {"uid-full-a": Standing(Terms(50, 100, GIB))}
    relieved["metadata"]["annotations"][names.ANNOTATION_IN_FORCE] = encode_in_force(said)
    asked = {names.ANNOTATION_QUOTA_REQUEST: "50"}
    fill(cluster, "a", "full-a", phase="Running", annotations=asked)
    assert offered(cluster, SMALL) == freed == []

    cluster.take_node("put", as_node(relieved))

    assert freed == ["a"]
    assert offered(cluster, SMALL) == ["a"]


def store_node(cluster, store_bytes=0, **resident):
    """Show a node with a model store that keeps models of these many GiB in all namespaces."""
    node = gpu_node("a", store_bytes=store_bytes)
    kept = {"GPU-a": {f"shared/{key}": size * GIB for key, size in resident.items()}}
    node["metadata"]["annotations"][names.ANNOTATION_RESIDENT] = encode_resident(kept)
    cluster.take_node("put", as_node(node))


def test_a_node_is_told_whose_store_gave_up_weights_that_count(cluster, freed):
    """Of a pod without a size those count that are there."""
    store_node(cluster, bert=10)
    at = placement("a", 10, 10, model=ModelShare("shared/bert"))
    see(cluster, "p", sm="10", quota="10", node="a", placement=at)
    large = Request("uid-large", 10, 10, 8 * GIB)
    assert offered(cluster, large, ["a"]) == []

    store_node(cluster, bert=10, llama=1)
    before = list(freed)
    store_node(cluster, bert=1, llama=1)

    assert (before, freed) == ([], ["a"])
    assert offered(cluster, large, ["a"]) == ["a"]


def test_a_place_beside_a_store_is_lost_with_the_store(cluster):
    """The pod would load its weights for itself, and has no memory for them there."""
    store_node(cluster)
    request = Request("uid-p", 10, 10, GIB, ModelShare("bert", GIB, "team"))
    assert offered(cluster, request, ["a"]) == ["a"]

    cluster.take_node("put", as_node(gpu_node("a")))
    claim = cluster.claim(request, "a")

    assert (claim.placement.memory_bytes, claim.placement.shared) == (2 * GIB, None)
