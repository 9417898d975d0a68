"""What nodes and pods say that cannot be: told by event and metric, and the rest goes on.

Node `a` is the bad one, node `b` the rest of the cluster.
"""

import contextlib
import datetime as dt
import json
import platform

import pytest
from tests.support.extender import ready
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.scheduling import GIB, gpu_node, gpu_pod, placement

from gshare import names
from gshare.annotations import NodeGpu, PodPlacement, encode_inventory
from gshare_extender import reporter

V100 = NodeGpu("GPU-a", "Tesla V100", 80, 16 * GIB)


@pytest.fixture
def api():
    with FakeApiServer() as found:
        for name in ("a", "b"):
            found.put("nodes", gpu_node(name))
        yield found


@pytest.fixture
def scheduler(api, tmp_path, monkeypatch):
    monkeypatch.setattr(reporter, "_LOOK_S", 0.05)
    with ready(api, tmp_path) as found:
        yield found


def says(api, text, name="a"):
    """Have a node's inventory be `text`."""
    api.put("nodes", gpu_node(name, annotations={names.ANNOTATION_GPUS: text}))


def hold(api, name="held", quota=60, sm=60, placed=None, **changes):
    """Have a pod hold part of node a's GPU."""
    where = placed or placement("a", sm, quota)
    pod = gpu_pod(name, str(sm), str(quota), node="a", placement=where, **changes)
    return api.put("pods", pod)


def told(api):
    """Return what events say, by what they are about and their reason."""
    return {
        (each["regarding"]["kind"], each["regarding"]["name"], each["reason"]): each["note"]
        for each in api.select("events", None, {})
    }


def wait_told(api, about, reason):
    with contextlib.suppress(AssertionError):
        wait_until(lambda: (*about, reason) in told(api))
    assert (*about, reason) in told(api)
    return told(api)[(*about, reason)]


def page(scheduler):
    return scheduler.get("/metrics")[1]


def gauge(scheduler, wanted):
    lines = page(scheduler).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(wanted))


def problems(scheduler, kind):
    """Return how many inconsistencies of a kind the metric counts."""
    return gauge(scheduler, f'gshare_extender_problems{{kind="{kind}"}}')


def assert_rest_goes_on_everywhere(api, scheduler):
    """Check that a pod is offered both nodes, and bound."""
    pod = api.put("pods", gpu_pod("next", "70", "70"))
    assert set(scheduler.filter(pod, ["a", "b"])["NodeNames"]) == {"a", "b"}
    assert scheduler.bind(pod, "a") == ""


def assert_rest_goes_on(api, scheduler):
    """Check that a pod is offered node b, and only that one, and bound there."""
    pod = api.put("pods", gpu_pod("next", "70", "70"))
    assert scheduler.filter(pod, ["a", "b"])["NodeNames"] == ["b"]
    assert scheduler.bind(pod, "b") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[{", "annotation gshare.io/gpus is not JSON", id="cut off"),
        pytest.param("{}", "must be a JSON array", id="no array"),
        pytest.param("[1]", "'1': must be an object that describes a GPU", id="no object"),
        pytest.param(
            encode_inventory([V100]).replace("80", '"80"'),
            "sms '80': must be a whole number",
            id="a text for a number",
        ),
        pytest.param(
            encode_inventory([V100]).replace(f"{16 * GIB}", "-1"),
            "memory_bytes -1: must be above 0",
            id="negative memory",
        ),
        pytest.param(encode_inventory([V100, V100]), "names a GPU twice", id="a UUID twice"),
        pytest.param("[" * 5000, "is not JSON", id="nested deeply"),
    ],
)
def test_an_inventory_that_cannot_be_read_is_told_and_shuts_its_node(api, scheduler, text, said):
    says(api, text)

    note = wait_told(api, ("Node", "a"), "GpuInventoryUnreadable")
    assert said in note
    assert problems(scheduler, "inventory") == 1
    assert_rest_goes_on(api, scheduler)


def test_an_inventory_that_is_mended_is_no_problem_any_more(api, scheduler):
    says(api, "[{")
    wait_until(lambda: problems(scheduler, "inventory") == 1)

    api.put("nodes", gpu_node("a"))

    wait_until(lambda: problems(scheduler, "inventory") == 0)
    pod = api.put("pods", gpu_pod("next", "70", "70"))
    assert scheduler.filter(pod, ["a"])["NodeNames"] == ["a"]


def test_pods_on_a_node_whose_inventory_became_unreadable_keep_their_places(api, scheduler):
    hold(api)
    says(api, "[{")
    wait_until(lambda: problems(scheduler, "inventory") == 1)

    api.put("nodes", gpu_node("a"))
    wait_until(lambda: problems(scheduler, "inventory") == 0)

    assert_rest_goes_on(api, scheduler)


def test_a_pod_on_a_gpu_that_the_inventory_has_lost_is_told(api, scheduler):
    hold(api)
    says(api, "[]")

    note = wait_told(api, ("Pod", "held"), "GpuVanished")
    assert "GPU-a, which the node no longer has: delete the pod" in note
    assert problems(scheduler, "vanished_gpu") == 1
    assert_rest_goes_on(api, scheduler)


def test_a_gpu_that_two_nodes_list_is_told_and_used_by_neither(api, scheduler):
    """A machine that came back under another name, while its old Node object is still there."""
    api.put("nodes", gpu_node("c"))
    says(api, encode_inventory([V100]), "b")

    for name, other in (("a", "b"), ("b", "a")):
        note = wait_told(api, ("Node", name), "GpuListedTwice")
        assert note.startswith(f"GPU-a: is listed by {other} too and takes no new pod")
    assert problems(scheduler, "doubled_gpu") == 2
    free_area = "gshare_node_gpu_free_area"
    assert [name for name in "abc" if f'{free_area}{{node="{name}"}}' in page(scheduler)] == ["c"]
    offer = scheduler.filter(api.put("pods", gpu_pod("next", "70", "70")), ["a", "b", "c"])
    assert offer["NodeNames"] == ["c"]
    assert set(offer["FailedAndUnresolvableNodes"].values()) <= {"GPU is listed by two nodes"}

    api.drop("nodes", "a")
    wait_until(lambda: problems(scheduler, "doubled_gpu") == 0)
    assert scheduler.filter(api.put("pods", gpu_pod("all", "99", "99")), ["b"])["NodeNames"] == [
        "b"
    ]


def test_a_gpu_that_lost_memory_it_has_promised_is_told(api, scheduler):
    hold(api, quota=10, sm=10, placed=PodPlacement("GPU-a", 10, 10, 12 * GIB))
    says(api, encode_inventory([NodeGpu("GPU-a", "Tesla V100", 80, 8 * GIB)]))

    note = wait_told(api, ("Node", "a"), "GpuMemoryOvercommitted")
    assert note.startswith("GPU-a: its pods may use")
    assert problems(scheduler, "memory") == 1
    assert_rest_goes_on(api, scheduler)


def test_a_gpu_that_changed_its_model_under_its_pods_is_told_until_they_are_gone(api, scheduler):
    hold(api)
    wait_until(lambda: '"held"' in scheduler.get("/v1/cluster")[1])
    says(api, encode_inventory([NodeGpu("GPU-a", "A100", 108, 40 * GIB)]))

    note = wait_told(api, ("Node", "a"), "GpuModelChanged")
    assert "was a Tesla V100 when its pods came and is a A100 now" in note
    assert problems(scheduler, "changed_model") == 1
    assert_rest_goes_on(api, scheduler)
    api.drop("pods", "held", "team")
    wait_until(lambda: problems(scheduler, "changed_model") == 0)


def test_placements_that_contradict_each_other_are_told_and_shut_their_gpu(api, scheduler):
    hold(api, "one")
    hold(api, "two")

    note = wait_told(api, ("Node", "a"), "GpuPlacementsConflict")
    assert "no layout holds its 2 pods" in note
    assert problems(scheduler, "conflict") == 1
    assert_rest_goes_on(api, scheduler)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "gshare.io/placement is not JSON", id="malformed"),
        pytest.param(
            json.dumps({"gpu": "GPU-a", "sm": 10, "quota": 10, "memory": GIB}),
            "is not what it asks: delete the pod",
            id="not what it asks",
        ),
    ],
)
def test_a_placement_that_cannot_be_is_told(api, scheduler, text, said):
    pod = gpu_pod("odd", "60", "60", node="a")
    pod["metadata"].setdefault("annotations", {})[names.ANNOTATION_PLACEMENT] = text
    api.put("pods", pod)

    assert said in wait_told(api, ("Pod", "odd"), "GpuPlacementMissing")
    assert problems(scheduler, "unplaced_pod") == 1


@pytest.mark.parametrize(("ahead_s", "said"), [(-3600, "3600 s behind"), (3600, "3600 s ahead of")])
def test_clocks_that_differ_are_told(api, tmp_path, monkeypatch, ahead_s, said):
    monkeypatch.setattr(reporter, "_LOOK_S", 0.05)
    api.clock_ahead_s = ahead_s
    about = ("Node", platform.node(), "ClockSkewed")

    with ready(api, tmp_path) as scheduler:
        wait_until(lambda: about in told(api))
        assert abs(gauge(scheduler, "gshare_extender_clock_skew_seconds") - ahead_s) < 2
        assert_rest_goes_on_everywhere(api, scheduler)

    note = told(api)[about]
    assert note.startswith(f"the API server's clock is {said}"), note


def test_clocks_that_agree_are_not_told(api, scheduler):
    api.put("pods", gpu_pod("p", "10", "10"))
    wait_until(lambda: problems(scheduler, "inventory") == 0)

    assert gauge(scheduler, "gshare_extender_clock_skew_seconds") == 0
    assert not [about for about in told(api) if about[2] == "ClockSkewed"]


@pytest.mark.parametrize("days", [-1, 1], ids=["behind", "ahead"])
def test_a_clock_that_is_a_day_off_frees_no_place_and_takes_none(api, scheduler, days):
    """A pod that is leaving holds its rectangle until it is gone, whatever the clocks say."""
    pod = hold(api)
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    pod["metadata"]["deletionTimestamp"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    pod["metadata"]["creationTimestamp"] = pod["metadata"]["deletionTimestamp"]
    api.put("pods", pod)
    wait_until(lambda: '"is_leaving":true' in scheduler.get("/v1/cluster")[1].replace(" ", ""))

    assert_rest_goes_on(api, scheduler)
    api.drop("pods", "held", "team")
    wait_until(lambda: '"held"' not in scheduler.get("/v1/cluster")[1])
    other = api.put("pods", gpu_pod("other", "70", "70"))
    assert scheduler.filter(other, ["a"])["NodeNames"] == ["a"]
