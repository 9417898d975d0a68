"""What parts leave for each other on nodes and pods."""

import json

import pytest

from gshare.annotations import (
    MOST_GPUS,
    NodeGpu,
    PodPlacement,
    decode_inventory,
    decode_mode,
    decode_placement,
    decode_resident,
    encode_inventory,
    encode_placement,
    encode_resident,
    place_on,
)
from gshare.models import ModelShare
from gshare.placement import Gpu, Request
from gshare.rectangles import Size

GIB = 2**30
V100 = NodeGpu("GPU-0", "Tesla V100", 80, 16 * GIB)
ILL = NodeGpu("GPU-1", "Tesla V100", 80, 16 * GIB, 16, is_healthy=False, note="XID 79")
PLACED = PodPlacement("GPU-0", 12, 40, GIB)


def entry(**changes: object) -> dict[str, object]:
    (fields,) = json.loads(encode_inventory([V100]))
    return {**fields, **changes}


def test_an_inventory_is_read_as_it_was_written():
    simulated = NodeGpu("GPU-2", "Tesla V100", 80, 16 * GIB, is_simulated=True)

    assert decode_inventory(encode_inventory([V100, ILL, simulated])) == (V100, ILL, simulated)


def gpus(count: int) -> str:
    return json.dumps([entry(uuid=f"GPU-{index}") for index in range(count)])


def test_an_inventory_has_as_many_gpus_as_the_index_has_room_for():
    assert len(decode_inventory(gpus(MOST_GPUS))) == 64


def test_models_in_memory_are_read_as_they_were_written():
    resident = {"GPU-1": {}, "GPU-0": {"team/bert": 5, "shared/llama": GIB}}

    assert decode_resident(encode_resident(resident)) == resident


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"GPU-0": ["bert"]}', "GPU-0 .*bert.*: must be an object of models and bytes"),
        ('{"GPU-0": null}', "GPU-0 'None': must be an object of models and bytes"),
        ('{"GPU-0": {"a/b": "1Gi"}}', "GPU-0 a/b '1Gi': must be bytes, 0 to 512Ti"),
        ('{"GPU-0": {"a/b": true}}', "GPU-0 a/b 'True': must be bytes, 0 to 512Ti"),
        (json.dumps({"GPU-0": {"a/b": 2**62}}), "must be bytes, 0 to 512Ti"),
        ('{"GPU-0": {"a/b": -1}}', "GPU-0 a/b '-1': must be bytes, 0 to 512Ti"),
    ],
    ids=[
        "cut off",
        "an array",
        "a list of names",
        "null for an object",
        "a text for bytes",
        "a boolean for bytes",
        "more than there is",
        "less than nothing",
    ],
)
def test_models_in_memory_that_are_none_are_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        decode_resident(text)


def test_a_gpu_says_what_its_model_store_takes():
    stored = NodeGpu("GPU-2", "Tesla V100", 80, 16 * GIB, store_bytes=300 * 2**20)

    assert decode_inventory(encode_inventory([stored, V100])) == (stored, V100)
    assert stored.gpu.store_bytes == 300 * 2**20
    assert V100.gpu.store_bytes is None


def test_an_inventory_may_be_empty():
    assert decode_inventory(encode_inventory([])) == ()


def test_a_placement_is_read_as_it_was_written():
    assert decode_placement(encode_placement(PLACED), "team") == PLACED


def test_a_placement_says_quota_and_sm_by_name():
    written = json.loads(encode_placement(PLACED))

    assert written == {"gpu": "GPU-0", "sm": 12, "quota": 40, "memory": GIB}
    assert PLACED.size == Size(width=40, height=12)


@pytest.mark.parametrize("own", [False, True], ids=["of the store", "of its own"])
@pytest.mark.parametrize("size", [None, 7], ids=["no size", "a size"])
def test_a_placement_names_the_model(size, own):
    placed = PodPlacement("GPU-0", 12, 40, GIB, ModelShare("bert", size, "team"), own)

    read = decode_placement(encode_placement(placed), "team")

    assert read == placed
    assert read.model.name == "team/bert"
    assert (read.shared is None) == own
    assert read.own_weights_bytes == (7 if size and own else 0)


def test_a_model_is_charged_to_the_pod_where_the_gpu_has_no_store():
    request = Request("p", 12, 40, GIB, ModelShare("bert", 7, "team"))
    stored = NodeGpu("GPU-0", "Tesla V100", 80, 16 * GIB, store_bytes=1).gpu

    alone, shared = place_on(V100.gpu, request), place_on(stored, request)

    assert (alone.memory_bytes, alone.shared, alone.own_weights_bytes) == (GIB + 7, None, 7)
    assert (shared.memory_bytes, shared.shared) == (GIB, request.model)


def test_a_placement_may_name_the_mode_in_which_it_was_made():
    written = encode_placement(PLACED, "sliced")

    assert decode_mode(written) == "sliced"
    assert decode_mode(encode_placement(PLACED)) == ""
    assert decode_placement(written, "team") == PLACED


def test_placement_needs_little_of_a_gpu():
    assert ILL.gpu == Gpu("GPU-1", 16 * GIB, 80, max_clients=16, is_healthy=False)


def test_fields_that_a_newer_writer_adds_are_skipped():
    inventory = json.dumps([entry(nvlink="yes")])
    placement = json.dumps({**json.loads(encode_placement(PLACED)), "phase": 7})

    assert decode_inventory(inventory) == (V100,)
    assert decode_placement(placement, "team") == PLACED


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("{}", "must be a JSON array"),
        ("[3]", "must be an object that describes a GPU"),
        (json.dumps([entry(uuid=None)]), "uuid None: must be a text"),
        (json.dumps([entry(uuid="")]), "must be a name that prints on one line"),
        (json.dumps([entry(uuid="a\nb")]), "must be a name that prints on one line"),
        (json.dumps([entry(memory="16Gi")]), "memory '16Gi': must be a whole number"),
        (json.dumps([entry(memory=0)]), "memory_bytes 0: must be above 0"),
        (json.dumps([entry(sms=True)]), "sms True: must be a whole number"),
        (json.dumps([entry(store=-1)]), "store_bytes -1: must be 0 to 512Ti"),
        (json.dumps([entry(store=None)]), "store None: must be a whole number"),
        (json.dumps([entry(), entry()]), "names a GPU twice"),
        (gpus(MOST_GPUS + 1), "names 65 GPUs: must be at most 64"),
    ],
    ids=[
        "cut off",
        "an object",
        "a number for a GPU",
        "no uuid",
        "an empty uuid",
        "a uuid of two lines",
        "memory as a text",
        "no memory",
        "a boolean",
        "a store of less than nothing",
        "a store of nothing known",
        "one GPU twice",
        "more GPUs than a server holds",
    ],
)
def test_an_inventory_that_is_none_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        decode_inventory(text)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"gpu": ""}, "must be a UUID"),
        ({"gpu": 0}, "gpu 0: must be a text"),
        ({"sm": 0}, "1-100"),
        ({"quota": 101}, "1-100"),
        ({"quota": "40"}, "quota '40': must be a whole number"),
        ({"memory": 0}, "memory 0: must be above 0"),
        ({"memory": 1.5}, "must be a whole number"),
        ({"model": 7}, "model 7: must be a text"),
        ({"model": "/bert"}, "model '/bert': the key must have"),
        ({"model": "bert", "weights": 0}, "size 0: must be above 0"),
        ({"model": "bert", "weights": 2**50}, "must be above 0 and at most 512Ti"),
        ({"model": "b", "weights": GIB, "own_weights": True}, "above the .* of its own weights"),
    ],
    ids=[
        "an empty uuid",
        "a number for a uuid",
        "no SMs",
        "too much time",
        "a text for time",
        "no memory",
        "half a byte",
        "a number for a model",
        "a key that is none",
        "no weights",
        "weights that no GPU has",
        "weights that leave nothing",
    ],
)
def test_a_placement_that_is_none_is_refused(changes, problem):
    text = json.dumps({**json.loads(encode_placement(PLACED)), **changes})

    with pytest.raises(ValueError, match=problem):
        decode_placement(text, "team")


def test_brackets_without_end_are_refused_like_any_other_text():
    with pytest.raises(ValueError, match="is not JSON"):
        decode_placement("[" * 100_000, "team")
