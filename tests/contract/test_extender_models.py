"""Conversations of a scheduler with the extender about pods that announce a model, over real HTTP.

A pod has 2 GiB of its own and 6 GiB of weights: without sharing two fill a GPU, with it four.
"""

import json

import pytest
from tests.support.extender import ready
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.scheduling import GIB, gpu_node, gpu_pod, placement

from gshare import names
from gshare.annotations import decode_placement, encode_resident
from gshare.models import ModelShare

STORE = GIB // 2
FULL = "GPU memory is full"


@pytest.fixture
def api():
    with FakeApiServer() as found:
        found.put("nodes", gpu_node("a", store_bytes=STORE))
        found.put("nodes", gpu_node("bare"))
        yield found


@pytest.fixture
def scheduler(api, tmp_path):
    with ready(api, tmp_path) as found:
        yield found


def create(api, name="p", model="bert=6Gi", memory="2Gi", **changes):
    annotations = {names.ANNOTATION_MODEL: model, names.ANNOTATION_GPU_MEM: memory}
    return api.put("pods", gpu_pod(name, "5", "5", annotations=annotations, **changes))


def placed(api, scheduler, count, node="a"):
    """Create, filter and bind so many pods; return those that found no place, with the reason."""
    refused = {}
    for index in range(count):
        pod = create(api, f"{node}-{index}")
        offer = scheduler.filter(pod, [node])
        if offer["NodeNames"]:
            assert scheduler.bind(pod, node) == ""
        else:
            refused[pod["metadata"]["name"]] = offer["FailedAndUnresolvableNodes"][node]
    return refused


def picture_of(scheduler, node="a"):
    status, text = scheduler.get("/v1/cluster")
    assert status == 200
    (found,) = [each for each in json.loads(text)["nodes"] if each["name"] == node]
    return found["gpus"][0]


def test_a_set_that_fits_only_with_sharing_is_placed_and_not_without(api, scheduler):
    assert placed(api, scheduler, 5, "a") == {"a-4": FULL}
    assert placed(api, scheduler, 3, "bare") == {"bare-2": FULL}


def test_a_binding_says_whose_memory_the_weights_are_in(api, scheduler):
    placed(api, scheduler, 1, "a")
    placed(api, scheduler, 1, "bare")

    written = {
        name: decode_placement(
            api.find("pods", "team", name)["metadata"]["annotations"][names.ANNOTATION_PLACEMENT],
            "team",
        )
        for name in ("a-0", "bare-0")
    }

    model = ModelShare("bert", 6 * GIB, "team")
    assert written["a-0"] == placement("a", 5, 5, 2 * GIB, model)
    assert written["bare-0"].memory_bytes == 8 * GIB
    assert written["bare-0"].shared is None


def test_a_restarted_extender_counts_the_same(api, scheduler, tmp_path):
    placed(api, scheduler, 3)
    wait_until(lambda: len(picture_of(scheduler)["placements"]) == 3)
    before = picture_of(scheduler)

    again = tmp_path / "again"
    again.mkdir()
    with ready(api, again) as second:
        after = picture_of(second)

    assert after["memory_free"] == before["memory_free"] == 16 * GIB - STORE - 12 * GIB
    assert after["models"] == before["models"]


def test_the_picture_shows_what_is_charged_once_and_for_whom(api, scheduler):
    placed(api, scheduler, 2)
    wait_until(lambda: len(picture_of(scheduler)["placements"]) == 2)

    found = picture_of(scheduler)

    assert found["store"] == STORE
    assert found["models"] == [
        {
            "name": "team/bert",
            "memory": 6 * GIB,
            "resident": 0,
            "placements": ["uid-a-0", "uid-a-1"],
        }
    ]
    assert picture_of(scheduler, "bare")["store"] is None


def test_another_namespace_pays_for_weights_of_its_own(api, scheduler):
    placed(api, scheduler, 2)

    own = scheduler.filter(create(api, "q", namespace="other"), ["a"])
    plain = scheduler.filter(create(api, "r"), ["a"])

    assert own["FailedAndUnresolvableNodes"] == {"a": FULL}
    assert plain["NodeNames"] == ["a"]


def test_a_pod_without_a_size_counts_with_what_the_store_keeps(api, scheduler):
    node = api.find("nodes", "", "a")
    kept = encode_resident({"GPU-a": {"team/bert": 13 * GIB}})
    node["metadata"]["annotations"][names.ANNOTATION_RESIDENT] = kept
    api.put("nodes", node)
    pods = [create(api, name, "bert", memory) for name, memory in (("p", "3Gi"), ("q", "2Gi"))]
    wait_until(lambda: not scheduler.filter(pods[0], ["a"])["NodeNames"])

    assert scheduler.filter(pods[1], ["a"])["NodeNames"] == ["a"]


def test_a_model_that_is_none_is_refused_by_annotation_and_value(api, scheduler):
    offer = scheduler.filter(create(api, "p", "my bert"), ["a", "bare"])

    refused = offer["FailedAndUnresolvableNodes"]
    assert set(refused) == {"a", "bare"}
    for text in refused.values():
        assert "metadata.annotations[gshare.io/model]: 'my bert': the key must have" in text


def test_a_high_priority_pod_is_made_room_for_by_all_who_share_the_weights(api, scheduler):
    """One of them would free its own memory alone."""
    placed(api, scheduler, 2)
    wait_until(lambda: len(picture_of(scheduler)["placements"]) == 2)
    urgent = create(api, "urgent", "llama=1Gi", "13Gi", priority=10)

    victims = [
        scheduler.preempt(urgent, {"a": uids}) for uids in (["uid-a-0"], ["uid-a-0", "uid-a-1"])
    ]

    assert victims == [{}, {"a": ["uid-a-0", "uid-a-1"]}]
