"""What dies, lies or has no room in and around a model store costs nobody else, and leaves nothing.

All processes are real: the store on a GPU's folder, its clients on the simulated GPU.
"""

import time

import pytest
from tests.support import store_gpu
from tests.support.daemon import eventually
from tests.support.store_gpu import CONTEXT_BYTES, MIB, said, tell

WEIGHTS_MIB = 64

HOLDS = f"""
with ModelStore.connect() as store:
    weights = store.get_or_load("model", lambda: tensors({WEIGHTS_MIB}, 7.0))
    step("ready")
    while True: step(weights.is_shared, last(weights))
"""
ASKS_AGAIN = f"""
store = ModelStore.connect()
weights = store.get_or_load("model", lambda: tensors({WEIGHTS_MIB}, 7.0))
step("ready")
del weights
again = store.get_or_load("model", lambda: tensors({WEIGHTS_MIB}, 8.0))
step(again.is_shared, last(again))
"""
LOADS_SLOWLY = f"""
def loader():
    step("ready")
    return tensors({WEIGHTS_MIB}, 7.0)
weights = ModelStore.connect().get_or_load("model", loader)
step(weights.is_shared)
"""
WAITS = f"""
store = ModelStore.connect()
say("ready")
weights = store.get_or_load("model", lambda: tensors({WEIGHTS_MIB}, 8.0))
step(weights.is_shared, last(weights))
"""
STORES_FOR_EVER = f"""
say("ready")
with ModelStore.connect() as store:
    for number in range(1 << 30):
        store.store("model", tensors({WEIGHTS_MIB}, float(number)))
"""
READS_FOR_EVER = """
say("ready")
with ModelStore.connect() as store:
    while True: last(store.get("model"))
"""
READS_FOR_EVER_FROM_ANY = """
say("ready")
while True:
    try:
        weights = ModelStore.connect().get("model")
        if weights is not None: last(weights)
    except StoreError: time.sleep(0.01)
"""
KEYS = "print(*(entry.key for entry in ModelStore.connect().list()))"


def holds(value: float, *, is_shared: bool = True) -> str:
    return f"{is_shared} {value}"


def keep(gpu: store_gpu.StoreGpu, key: str = "model", value: float = 7.0) -> None:
    """Have weights kept that nobody uses."""
    gpu.run("a", f"ModelStore.connect().store({key!r}, tensors({WEIGHTS_MIB}, {value}))")


def test_clients_of_a_killed_store_keep_their_weights_and_the_next_store_loads_anew() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        first = gpu.start()
        with gpu.running("a", HOLDS) as old:
            gpu.kill(first)
            assert tell(old) == holds(7.0)

            gpu.start()
            with gpu.running("b", HOLDS) as new:
                assert tell(new) == holds(7.0)
                assert tell(old) == holds(7.0)


def test_a_client_that_was_connected_finds_the_next_store() -> None:
    with store_gpu.store_gpu("a") as gpu:
        first = gpu.start()
        with gpu.running("a", ASKS_AGAIN) as client:
            gpu.kill(first)
            gpu.start()

            assert tell(client) == holds(8.0)


def test_a_client_whose_store_does_not_come_back_loads_for_itself() -> None:
    with store_gpu.store_gpu("a") as gpu:
        store = gpu.start()
        with gpu.running("a", ASKS_AGAIN) as client:
            gpu.kill(store)

            assert tell(client) == holds(8.0, is_shared=False)


def test_memory_of_a_killed_store_is_free_when_its_last_client_ends() -> None:
    with store_gpu.store_gpu("a") as gpu:
        store = gpu.start()
        with gpu.running("a", HOLDS):
            gpu.kill(store)
            assert gpu.memory_bytes() >= CONTEXT_BYTES + WEIGHTS_MIB * MIB

        assert eventually(lambda: gpu.memory_bytes() == 0)


def test_who_waits_loads_in_place_of_a_loader_that_is_killed() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.start()
        with gpu.running("a", LOADS_SLOWLY) as loader, gpu.running("b", WAITS) as waiter:
            loader.kill()

            assert said(waiter) == holds(8.0)


def test_who_waits_gets_what_another_loads() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.start()
        with gpu.running("a", LOADS_SLOWLY) as loader, gpu.running("b", WAITS) as waiter:
            assert tell(loader) == "True"

            assert said(waiter) == holds(7.0)


@pytest.mark.parametrize("code", [STORES_FOR_EVER, READS_FOR_EVER], ids=["storing", "reading"])
def test_clients_killed_at_any_moment_cost_nobody_anything(code: str) -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        store = gpu.start()
        keep(gpu)
        for number in range(6):
            with gpu.running("b", code):
                time.sleep(0.03 * number)

        assert gpu.run("a", 'print(last(ModelStore.connect().get("model")) >= 0)') == "True"
        assert eventually(lambda: gpu.memory_bytes("b") == 0)
        assert gpu.memory_bytes() == CONTEXT_BYTES + WEIGHTS_MIB * MIB
        assert store.poll() is None


def test_stores_killed_at_any_moment_leave_nothing_and_the_last_one_serves() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        for number in range(4):
            store = gpu.start()
            with gpu.running("a", STORES_FOR_EVER), gpu.running("b", READS_FOR_EVER_FROM_ANY):
                time.sleep(0.1 + 0.04 * number)
                gpu.kill(store)
        assert eventually(lambda: gpu.memory_bytes() == 0)

        gpu.start()
        with gpu.running("a", HOLDS) as client:
            assert tell(client) == holds(7.0)
            assert gpu.memory_bytes("store") == CONTEXT_BYTES + WEIGHTS_MIB * MIB


def test_of_stores_started_at_once_one_serves() -> None:
    with store_gpu.store_gpu("a") as gpu:
        started = [gpu.spawn() for _ in range(3)]

        assert eventually(lambda: sum(each.poll() is None for each in started) == 1, 20)
        (first,) = (each for each in started if each.poll() is None)
        gpu.await_service(first)
        assert gpu.run("a", KEYS) == ""
        assert {each.returncode for each in started if each is not first} == {1}


@pytest.mark.parametrize("sharing", ["vmm", "ipc"])
def test_both_ways_of_sharing_show_the_same_weights_once(sharing: str) -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.start("--sharing", sharing)
        with gpu.running("a", HOLDS) as one, gpu.running("b", HOLDS) as two:
            assert tell(one) == tell(two) == holds(7.0)

            assert gpu.memory_bytes() == 3 * CONTEXT_BYTES + WEIGHTS_MIB * MIB


def test_what_nobody_uses_goes_when_its_memory_is_wanted() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.allow(WEIGHTS_MIB, host_mib=0)
        gpu.start()
        keep(gpu)

        keep(gpu, "other", 9.0)

        assert gpu.run("a", KEYS) == "other"


def test_a_reader_that_is_killed_no_longer_keeps_its_weights() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.allow(WEIGHTS_MIB, host_mib=0)
        gpu.start()
        with gpu.running("b", HOLDS):
            pass

        keep(gpu, "other", 9.0)

        assert gpu.run("a", KEYS) == "other"


def test_where_all_is_in_use_one_more_is_refused_and_loads_for_itself_with_one_warning() -> None:
    code = f"""
    store = ModelStore.connect()
    try: store.store("other", tensors({WEIGHTS_MIB}))
    except StoreError as error: say("other" in str(error), len(str(error).splitlines()))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        weights = store.get_or_load("other", lambda: tensors({WEIGHTS_MIB}))
    say(weights.is_shared, len(told))
    """.replace("\n    ", "\n")
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.allow(WEIGHTS_MIB, host_mib=0)
        gpu.start()
        with gpu.running("a", HOLDS) as user:
            assert gpu.run("b", code).splitlines() == ["True 1", "False 1"]

            assert tell(user) == holds(7.0)


def test_a_budget_that_shrinks_frees_what_nobody_uses_at_once() -> None:
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()
        keep(gpu)
        before = gpu.memory_bytes("store")

        gpu.allow(0, host_mib=0)

        assert before == CONTEXT_BYTES + WEIGHTS_MIB * MIB
        assert eventually(lambda: gpu.memory_bytes("store") <= CONTEXT_BYTES)


def test_a_second_store_ends_with_one_line_and_the_first_goes_on() -> None:
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()
        with gpu.running("a", HOLDS) as client:
            _, err = gpu.spawn().communicate(timeout=store_gpu.START_S)

            assert len(err.strip().splitlines()) == 1, err
            assert str(gpu.folder) in err
            assert tell(client) == holds(7.0)
            assert gpu.run("a", KEYS) == "model"


BAD = {
    "cut off": "head + values[:-1]",
    "header of another size": "bytes([255]) + (head + values)[1:]",
    "no JSON": "head.replace(b'dtype', b'dt\"pe') + values",
    "empty": "b''",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_corrupt_file_is_a_named_error_and_nothing_is_stored(content: str) -> None:
    code = f"""
    import json, tempfile
    text = json.dumps({{"w": {{"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}}}).encode()
    head, values = len(text).to_bytes(8, "little") + text, bytes(16)
    file = tempfile.NamedTemporaryFile(suffix=".safetensors")
    file.write({content}); file.flush()
    try: ModelStore.connect().store("bad", file.name)
    except StoreError as error: say(len(str(error).splitlines()))
    """.replace("\n    ", "\n")
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()
        with gpu.running("a", HOLDS) as neighbour:
            assert gpu.run("a", code) == "1"

            assert gpu.run("a", KEYS) == "model"
            assert tell(neighbour) == holds(7.0)


def test_content_of_another_digest_is_a_named_error_and_is_not_stored() -> None:
    code = """
    wrong = "ab" * 32
    try: ModelStore.connect().store("bad", tensors(1), digest=wrong)
    except StoreError as error: say("bad" in str(error) and "digest" in str(error), str(error))
    """.replace("\n    ", "\n")
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        assert gpu.run("a", code).startswith("True")
        assert gpu.run("a", KEYS) == ""


def test_another_namespace_neither_sees_nor_gets_the_weights() -> None:
    code = 'say(ModelStore.connect().get("model"), *ModelStore.connect().list())'
    with store_gpu.store_gpu("a", other="rivals") as gpu:
        gpu.start()
        with gpu.running("a", HOLDS):
            assert gpu.run("other", code) == "None"


def test_nothing_is_left_when_all_have_ended() -> None:
    before = store_gpu.files()
    with store_gpu.store_gpu("a", "b") as gpu:
        store = gpu.start()
        with gpu.running("a", HOLDS), gpu.running("b", HOLDS):
            ours = store_gpu.files() - before
        store.terminate()

        assert store.wait(5) == 0
        assert gpu.memory_bytes() == 0
        assert not list(gpu.folder.glob("leases/*/store.sock"))
        assert len(ours) == 1, "the folder of this test alone"
    assert store_gpu.files() == before
