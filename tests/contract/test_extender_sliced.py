"""Conversations of a scheduler with an extender in mode `sliced`, over real HTTP.

The worked example: 60, 60 and 80 % of the time on half of the SMs each. Every two of them overlap
in time, so three rectangles never hold it; in slices it fills a GPU to the last percent.
"""

import json
from collections import defaultdict

import pytest
from tests.support.extender import ready
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.scheduling import gpu_node, gpu_pod

from gshare import names
from gshare.annotations import decode_mode

QUOTAS = {"p": 60, "q": 60, "r": 80}
FULL = "GPU rectangles are full"


@pytest.fixture
def api():
    with FakeApiServer() as found:
        found.put("nodes", gpu_node("a"))
        yield found


def create(api, name, quota, sm=50):
    annotations = {names.ANNOTATION_GPU_MEM: "1Gi"}
    return api.put("pods", gpu_pod(name, str(sm), str(quota), annotations=annotations))


def place_all(api, scheduler):
    """Filter, prioritize and bind each pod of the example; return the errors."""
    errors = []
    for name, quota in QUOTAS.items():
        pod = create(api, name, quota)
        offer = scheduler.filter(pod, ["a"])
        assert offer["NodeNames"] == ["a"]
        assert scheduler.prioritize(pod, ["a"]) == {"a": 10}
        errors.append(scheduler.bind(pod, "a"))
    return errors


def picture(scheduler):
    return json.loads(scheduler.get("/v1/cluster")[1])


def problems(scheduler):
    return [each["kind"] for each in picture(scheduler)["problems"]]


def placements(scheduler):
    """Return what lies on the GPU, by pod; its problems must be none."""
    found = picture(scheduler)
    assert found["problems"] == []
    (gpu,) = found["nodes"][0]["gpus"]
    return {each["pod"]: each for each in gpu["placements"] if not each["is_reserved"]}


def wait_seen(scheduler, *pods):
    wait_until(lambda: set(placements(scheduler)) == set(pods))


def test_slices_hold_three_pods_that_rectangles_do_not(api, tmp_path):
    with ready(api, tmp_path, mode="sliced") as scheduler:
        errors = place_all(api, scheduler)
        wait_seen(scheduler, *QUOTAS)
        held = placements(scheduler)
        refused = scheduler.filter(create(api, "one", 1, 1), ["a"])

    assert errors == ["", "", ""]
    assert {name: each["quota"] for name, each in held.items()} == QUOTAS
    assert_played_by_a_token_daemon(held)
    assert refused["FailedAndUnresolvableNodes"] == {"a": FULL}


def assert_played_by_a_token_daemon(held):
    """Check that each pod has its quota, and at no percent more than 100 % of the SMs are given."""
    given = defaultdict(int)
    for each in held.values():
        percents = [x for piece in each["pieces"] for x in _percents(piece)]
        assert len(percents) == len(set(percents)) == each["quota"]
        for x in percents:
            given[x] += each["sm"]
    assert max(given.values()) <= 100


def _percents(piece):
    return range(piece["x"], piece["x"] + piece["quota"])


def test_rectangles_refuse_the_third(api, tmp_path):
    with ready(api, tmp_path, mode="rect") as scheduler:
        for name in ("p", "q"):
            pod = create(api, name, QUOTAS[name])
            scheduler.filter(pod, ["a"])
            assert scheduler.bind(pod, "a") == ""
        offer = scheduler.filter(create(api, "r", QUOTAS["r"]), ["a"])

    assert offer["FailedAndUnresolvableNodes"] == {"a": FULL}


@pytest.mark.parametrize("mode", ["rect", "sliced"])
def test_a_placement_names_the_mode_in_which_it_was_made(api, tmp_path, mode):
    with ready(api, tmp_path, mode=mode) as scheduler:
        pod = create(api, "p", 60)
        scheduler.filter(pod, ["a"])
        assert scheduler.bind(pod, "a") == ""

    bound = api.find("pods", "team", "p")["metadata"]["annotations"]
    assert decode_mode(bound[names.ANNOTATION_PLACEMENT]) == mode


def test_an_extender_that_starts_again_finds_every_slice_and_goes_on(api, tmp_path):
    with ready(api, tmp_path, mode="sliced") as scheduler:
        place_all(api, scheduler)
    with ready(api, tmp_path, mode="sliced") as scheduler:
        wait_seen(scheduler, *QUOTAS)
        full = scheduler.filter(create(api, "s", 60), ["a"])
        api.drop("pods", "q", "team")
        wait_seen(scheduler, "p", "r")
        pod = create(api, "t", 60)
        offer = scheduler.filter(pod, ["a"])
        error = scheduler.bind(pod, "a")
        wait_seen(scheduler, "p", "r", "t")
        assert_played_by_a_token_daemon(placements(scheduler))

    assert full["NodeNames"] == []
    assert (offer["NodeNames"], error) == (["a"], "")


def test_a_set_in_slices_is_told_by_an_extender_that_knows_only_rectangles(api, tmp_path):
    """After a change of mode the GPU takes nothing new until pods leave; the pods go on."""
    with ready(api, tmp_path, mode="sliced") as scheduler:
        place_all(api, scheduler)
    with ready(api, tmp_path, mode="rect") as scheduler:
        wait_until(lambda: problems(scheduler) == ["conflict"])
        shut = scheduler.filter(create(api, "one", 1, 1), ["a"])
        api.drop("pods", "q", "team")
        wait_until(lambda: problems(scheduler) == [])
        wait_seen(scheduler, "p", "r")

    assert shut["FailedAndUnresolvableNodes"] == {"a": "placements on the GPU conflict"}
