"""Pods and nodes of the API as the ledger's values."""

import pytest
from tests.support.scheduling import GIB, as_node, as_pod, gpu_node, gpu_pod, placement

from gshare import names
from gshare.annotations import Standing, Terms, encode_in_force
from gshare.errors import InputError
from gshare.ledger import PlacedPod, UnplacedPod
from gshare.models import ModelShare
from gshare.placement import Request
from gshare.policies import Preference
from gshare_extender import reading

PLAIN = {"containers": [{"name": "server", "resources": {"limits": {"cpu": "1"}}}]}


def observed(**changes):
    return reading.observed(as_pod(gpu_pod(**changes)))


def astray(**changes) -> str:
    seen = observed(**changes)
    assert isinstance(seen, UnplacedPod)
    return seen.text


def test_a_request_is_named_by_the_pods_uid():
    annotations = {names.ANNOTATION_GPU_MEM: "2Gi"}

    request = reading.request(as_pod(gpu_pod(annotations=annotations)))

    assert request == Request("uid-p", 12, 40, 2 * GIB)


def test_a_pod_that_names_none_of_our_resources_asks_nothing():
    pod = as_pod(gpu_pod(spec=PLAIN, node="a"))

    assert reading.request(pod) is None
    assert reading.observed(pod) is None


def test_a_pod_with_one_resource_is_refused():
    with pytest.raises(InputError, match="needs both"):
        reading.request(as_pod(gpu_pod(quota=None)))


def test_a_pod_that_holds_its_placement_is_seen_with_all_that_preemption_needs():
    seen = observed(node="a", placement=placement(), priority=7, deleted="2026-11-24T08:00:30Z")

    assert seen == PlacedPod(
        "uid-p",
        "team",
        "p",
        "a",
        placement(),
        priority=7,
        labels={"app": "p"},
        created="2026-11-24T08:00:00Z",
        leaves_at_s=1795507230.0,
    )


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_holds_nothing(phase):
    assert observed(node="a", placement=placement(), phase=phase) is None


def test_a_placement_counts_only_once_the_pod_is_bound():
    assert observed(placement=placement()) is None


def test_a_pod_that_went_round_the_extender_takes_units_alone():
    seen = observed(node="a", sm="60", quota="50")

    assert isinstance(seen, UnplacedPod)
    assert (seen.sm_units, seen.quota_units) == (60, 50)
    assert "was bound without gshare's extender" in seen.text


def test_a_placement_that_cannot_be_read_is_none():
    annotations = {names.ANNOTATION_PLACEMENT: "{"}

    assert "is not JSON" in astray(node="a", annotations=annotations)


def test_a_placement_of_another_size_is_none():
    assert "is not what it asks" in astray(node="a", placement=placement(sm=1))


def test_a_bound_pod_that_asks_nonsense_takes_what_the_kubelet_counts():
    seen = observed(node="a", sm="20k", quota=None, placement=placement())

    assert isinstance(seen, UnplacedPod)
    assert (seen.sm_units, seen.quota_units) == (20_000, 0)
    assert seen.text.startswith("cannot start: ")


def test_init_containers_count_by_their_maximum():
    limits = {names.RESOURCE_SM: "30", names.RESOURCE_QUOTA: "10"}
    init = [{"name": "prepare", "resources": {"limits": limits}}]

    seen = observed(node="a", sm="12", quota="40", spec={"initContainers": init})

    assert isinstance(seen, UnplacedPod)
    assert (seen.sm_units, seen.quota_units) == (30, 40)


def test_a_node_offers_what_its_annotation_and_its_allocatable_say():
    offer = reading.offer(as_node(gpu_node("a", gpus=2)))

    assert [gpu.uuid for gpu in offer.inventory] == ["GPU-a", "GPU-a-1"]
    assert (offer.units, offer.trouble) == ((3200, 3200), "")


def test_quantities_are_read_as_the_api_writes_them():
    node = gpu_node("a")
    node["status"]["allocatable"][names.RESOURCE_SM] = "16k"

    assert reading.offer(as_node(node)).units == (16_000, 1600)


def test_a_node_without_an_inventory_offers_nothing_and_is_no_trouble():
    offer = reading.offer(as_node(gpu_node("a", annotations={})))

    assert (offer.inventory, offer.trouble) == ((), "")


def test_an_inventory_that_cannot_be_read_is_trouble():
    offer = reading.offer(as_node(gpu_node("a", annotations={names.ANNOTATION_GPUS: "[1]"})))

    assert offer.inventory == ()
    assert "must be an object that describes a GPU" in offer.trouble


def test_a_running_pod_says_what_it_asks_of_its_terms():
    wishes = {names.ANNOTATION_QUOTA_REQUEST: "60", names.ANNOTATION_GPU_MEM: "2Gi"}

    running = observed(node="a", placement=placement(), annotations=wishes, phase="Running")
    waiting = observed(node="a", placement=placement(), annotations=wishes)

    assert isinstance(running, PlacedPod)
    assert isinstance(waiting, PlacedPod)
    assert (running.wishes, waiting.wishes) == (wishes, None)


def test_a_bound_pod_keeps_its_rectangle_whatever_its_annotations_say_by_now():
    wrong = {names.ANNOTATION_QUOTA_LIMIT: "much", names.ANNOTATION_QUOTA_REQUEST: "-"}

    seen = observed(node="a", placement=placement(), annotations=wrong, phase="Running")

    assert isinstance(seen, PlacedPod)


def test_a_node_says_which_terms_are_in_force():
    said = {"uid-p": Standing(Terms(30, 90, GIB))}
    node = gpu_node("a")
    node["metadata"]["annotations"][names.ANNOTATION_IN_FORCE] = encode_in_force(said)

    assert reading.offer(as_node(node)).standings == said


def test_a_node_says_which_models_its_gpus_have_in_memory():
    node = gpu_node("a")
    node["metadata"]["annotations"][names.ANNOTATION_RESIDENT] = '{"GPU-a": {"team/bert": 7}}'

    assert reading.offer(as_node(node)).resident == {"GPU-a": {"team/bert": 7}}


def test_models_that_cannot_be_read_are_trouble_and_the_gpus_are_offered():
    node = gpu_node("a")
    node["metadata"]["annotations"][names.ANNOTATION_RESIDENT] = '{"GPU-a": "bert"}'

    offer = reading.offer(as_node(node))

    assert [gpu.uuid for gpu in offer.inventory] == ["GPU-a"]
    assert offer.resident == {}
    assert offer.trouble == (
        f"annotation {names.ANNOTATION_RESIDENT} GPU-a 'bert': must be an object of models and "
        "bytes: restart gshare's node agent there"
    )


def test_a_pod_may_prefer_a_policy_and_a_model():
    texts = {names.ANNOTATION_POLICY: "affinity", names.ANNOTATION_MODEL: "bert"}

    preferred = reading.preference(as_pod(gpu_pod(annotations=texts)), "spread")
    by_default = reading.preference(as_pod(gpu_pod()), "spread")

    assert (preferred, by_default) == (Preference("affinity", "team/bert"), Preference("spread"))


def test_a_pod_asks_with_its_model_as_one_of_its_namespace():
    """Also where pods of another namespace are written alike."""
    texts = {names.ANNOTATION_MODEL: "bert=7"}

    asked = [
        reading.request(as_pod(gpu_pod(namespace=each, annotations=texts))) for each in ("a", "b")
    ]

    assert [each.model for each in asked] == [
        ModelShare("bert", 7, "a"),
        ModelShare("bert", 7, "b"),
    ]


def test_a_model_that_is_none_is_refused_by_its_annotation():
    pod = as_pod(gpu_pod(annotations={names.ANNOTATION_MODEL: "bert=lots"}))

    with pytest.raises(InputError, match=r"gshare.io/model\]: 'bert=lots': the size after bert="):
        reading.request(pod)


def test_a_placed_pod_shares_the_model_that_its_placement_names():
    """Whatever its annotation says by now."""
    at = placement(model=ModelShare("bert", 7, "team"))
    texts = {names.ANNOTATION_MODEL: "llama"}

    seen = observed(node="a", placement=at, annotations=texts)

    assert seen.placement.shared == ModelShare("bert", 7, "team")


def test_an_unknown_policy_is_refused_with_pod_annotation_and_the_known_ones():
    pod = as_pod(gpu_pod(annotations={names.ANNOTATION_POLICY: "fastest"}))

    with pytest.raises(InputError) as caught:
        reading.preference(pod, "binpack")

    assert str(caught.value) == (
        f"pod p: annotation {names.ANNOTATION_POLICY}: 'fastest': "
        "must be one of binpack, spread, affinity"
    )


def test_replicas_that_are_written_alike_share_what_they_ask_and_their_labels():
    """They are a hundred thousand, of some hundred functions."""
    replicas = [
        observed(name=name, labels={"app": "bert"}, node="a", placement=placement())
        for name in ("p", "q")
    ]

    assert replicas[0].labels is replicas[1].labels
    assert replicas[0].placement.gpu_uuid is replicas[1].placement.gpu_uuid


def test_what_one_pod_asks_wrongly_is_told_of_each_by_its_own_name():
    for name in ("p", "q"):
        with pytest.raises(InputError, match=f"pod team/{name}"):
            reading.request(as_pod(gpu_pod(name, quota=None)))


def test_pods_that_differ_in_an_annotation_ask_differently():
    asked = [
        reading.request(as_pod(gpu_pod(annotations={names.ANNOTATION_GPU_MEM: memory})))
        for memory in ("1Gi", "2Gi")
    ]

    assert [each.memory_bytes for each in asked] == [GIB, 2 * GIB]


def test_terms_that_cannot_be_read_are_trouble():
    node = gpu_node("a")
    node["metadata"]["annotations"][names.ANNOTATION_IN_FORCE] = "[]"

    offer = reading.offer(as_node(node))

    assert offer.inventory == ()
    assert f"annotation {names.ANNOTATION_IN_FORCE} must be a JSON object" in offer.trouble
