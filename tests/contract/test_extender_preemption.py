"""Room for pods of higher priority, by the Eviction API, against a FakeApiServer."""

import json
import time

import pytest
from tests.support.extender import ready
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.scheduling import gpu_node, gpu_pod, placement

from gshare import names

QUIET_S = 0.5
SMALL = {names.ANNOTATION_GPU_MEM: "1Gi"}


@pytest.fixture
def api():
    with FakeApiServer() as found:
        found.put("nodes", gpu_node("a"))
        yield found


@pytest.fixture
def scheduler(api, tmp_path):
    with ready(api, tmp_path) as found:
        yield found


def hold(api, name, quota, sm=100, **changes):
    """Have a pod hold part of the GPU."""
    return api.put(
        "pods",
        gpu_pod(
            name,
            str(sm),
            str(quota),
            node="a",
            placement=placement("a", sm, quota),
            annotations=SMALL,
            **changes,
        ),
    )


def urgent(api, name="urgent", quota=100, sm=100, **changes):
    return api.put("pods", gpu_pod(name, str(sm), str(quota), annotations=SMALL, **changes))


def picture(scheduler):
    return json.loads(scheduler.get("/v1/cluster")[1])


def wait_seen(scheduler, count):
    def seen():
        (gpu,) = picture(scheduler)["nodes"][0]["gpus"]
        return len(gpu["placements"]) == count

    wait_until(seen)


def evictions(api):
    """Return the names of pods evicted in earnest, in order."""
    return [
        each.path.split("/")[-2]
        for each in api.asked
        if each.path.endswith("/eviction") and "dryRun" not in each.params
    ]


def trials(api):
    return [each for each in api.asked if "dryRun" in each.params]


def events(api):
    return {
        (each["regarding"]["name"], each["reason"]): each["note"]
        for each in api.select("events", None, {})
    }


def refused(scheduler, pod):
    return scheduler.filter(pod, ["a"])["NodeNames"] == []


def test_lower_pods_make_room_and_both_sides_are_told(api, scheduler):
    hold(api, "low", 50)
    hold(api, "lower", 50, priority=-5)
    wait_seen(scheduler, 2)
    pod = urgent(api, quota=50, priority=10)

    assert refused(scheduler, pod)
    wait_until(lambda: len(events(api)) == 2)

    assert evictions(api) == ["lower"]
    assert len(trials(api)) == 1
    assert (
        "for pod team/urgent of higher priority (10, this one has -5)"
        in events(api)["lower", "Preempted"]
    )
    assert "evicted pod team/lower on a (GPU-a)" in events(api)["urgent", "Preempting"]


def test_the_place_is_held_until_the_preemptor_has_it(api, scheduler):
    hold(api, "low", 100)
    wait_seen(scheduler, 1)
    pod = urgent(api, quota=90, priority=10)
    assert refused(scheduler, pod)
    wait_until(lambda: evictions(api) == ["low"])
    while_leaving = scheduler.filter(urgent(api, "small", 50, 50), ["a"])

    api.drop("pods", "low", "team")
    wait_until(
        lambda: api.find("nodes", "", "a")["metadata"]["annotations"].get(names.ANNOTATION_FREED)
    )
    after = scheduler.filter(urgent(api, "small", 50, 50), ["a"])

    assert while_leaving["FailedAndUnresolvableNodes"] == {
        "a": "GPU is held for a pod that preempts"
    }
    assert after["NodeNames"] == []
    assert scheduler.filter(pod, ["a"])["NodeNames"] == ["a"]
    assert scheduler.bind(pod, "a") == ""


def test_filtering_again_evicts_nobody_else(api, scheduler):
    for name in ("one", "two"):
        hold(api, name, 50)
    wait_seen(scheduler, 2)
    pod = urgent(api, quota=50, priority=10)

    for _ in range(3):
        assert refused(scheduler, pod)
        time.sleep(QUIET_S / 3)

    assert len(evictions(api)) == 1


def test_a_budget_that_refuses_moves_the_choice(api, scheduler):
    """What the budget's status allows may be gone when the trial asks: the next set is tried."""
    hold(api, "guarded", 50, priority=-5)
    hold(api, "free", 50)
    api.guarded.add("guarded")
    wait_seen(scheduler, 2)

    assert refused(scheduler, urgent(api, quota=50, priority=10))
    wait_until(lambda: evictions(api))

    assert evictions(api) == ["free"]


def test_nobody_goes_where_a_budget_holds_one_who_is_needed(api, scheduler):
    for name in ("guarded", "free"):
        hold(api, name, 50)
    api.guarded.add("guarded")
    wait_seen(scheduler, 2)
    pod = urgent(api, priority=10)

    assert refused(scheduler, pod)
    wait_until(lambda: trials(api))
    time.sleep(QUIET_S)

    assert evictions(api) == []
    assert picture(scheduler)["reservations"] == []


def test_a_budget_of_the_api_is_kept_without_asking(api, scheduler):
    hold(api, "guarded", 100)
    api.put(
        "poddisruptionbudgets",
        {
            "metadata": {"name": "guard", "namespace": "team"},
            "spec": {"selector": {"matchLabels": {"app": "guarded"}}},
            "status": {"disruptionsAllowed": 0},
        },
    )
    wait_seen(scheduler, 1)

    assert refused(scheduler, urgent(api, priority=10))
    time.sleep(QUIET_S)

    assert trials(api) == []
    assert evictions(api) == []


@pytest.mark.parametrize(
    "changes",
    [{"priority": 0}, {"priority": 10, "spec": {"preemptionPolicy": "Never"}}],
    ids=["an equal priority", "a pod that may not preempt"],
)
def test_nobody_is_evicted_for(api, scheduler, changes):
    hold(api, "low", 100)
    wait_seen(scheduler, 1)

    assert refused(scheduler, urgent(api, **changes))
    time.sleep(QUIET_S)

    assert trials(api) == []


@pytest.mark.parametrize("ahead_s", [0, -3600, 3600], ids=["", "behind", "ahead"])
def test_pods_that_leave_anyway_are_waited_for(api, tmp_path, ahead_s):
    """The API server says until when, by its own clock."""
    api.clock_ahead_s = ahead_s
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead_s + 30))
    hold(api, "leaving", 50, deleted=soon)
    hold(api, "staying", 50)
    with ready(api, tmp_path) as scheduler:
        wait_seen(scheduler, 2)

        assert refused(scheduler, urgent(api, quota=50, priority=10))
        time.sleep(QUIET_S)

    assert trials(api) == []


@pytest.mark.parametrize("ahead_s", [0, -3600, 3600], ids=["", "behind", "ahead"])
def test_pods_that_should_be_gone_long_ago_are_not_waited_for(api, tmp_path, ahead_s):
    api.clock_ahead_s = ahead_s
    past = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead_s - 600))
    hold(api, "late", 50, deleted=past)
    hold(api, "staying", 50)
    with ready(api, tmp_path) as scheduler:
        wait_seen(scheduler, 2)

        assert refused(scheduler, urgent(api, quota=50, priority=10))
        wait_until(lambda: evictions(api))

    assert evictions(api) == ["staying"]


def test_a_place_that_is_being_made_is_overruled_by_a_higher_priority(api, scheduler):
    """The victim leaves once, for whoever is first when it has gone."""
    hold(api, "low", 100)
    wait_seen(scheduler, 1)
    assert refused(scheduler, urgent(api, "urgent", priority=10))
    wait_until(lambda: evictions(api) == ["low"])
    wait_until(lambda: picture(scheduler)["nodes"][0]["gpus"][0]["placements"][0]["is_leaving"])
    higher = urgent(api, "higher", priority=20)
    assert refused(scheduler, higher)
    wait_until(lambda: not picture(scheduler)["reservations"])

    api.drop("pods", "low", "team")
    wait_until(lambda: not picture(scheduler)["nodes"][0]["gpus"][0]["placements"])

    assert scheduler.filter(higher, ["a"])["NodeNames"] == ["a"]
    assert evictions(api) == ["low"]
