"""The client and the real server, in host memory: what replicas share, what they are refused."""

import gc
import hashlib
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support import store_server
from tests.support.store_server import StoreServer

from gshare_modelstore import client_arrays, client_content, safetensors
from gshare_modelstore.client import ModelStore, RefusedError, SafetensorsError, Weights

OTHER = "ab" * 32


@pytest.fixture(scope="module")
def only_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with store_server.serving(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
def server(only_server: StoreServer) -> Iterator[StoreServer]:
    """Return a server that keeps nothing; no test may kill it."""
    yield only_server
    gc.collect()
    with ModelStore.connect(only_server.socket) as store:
        for entry in store.list():
            store.drop(entry.key)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[StoreServer]:
    """Return a server of the test's own."""
    with store_server.serving(tmp_path) as server:
        yield server


@pytest.fixture
def store(server: StoreServer) -> Iterator[ModelStore]:
    with ModelStore.connect(server.socket) as store:
        yield store


def model(value: float = 7.0) -> dict[str, np.ndarray]:
    return {"a": np.full((2, 3), value, np.float32), "b": np.array([1, 2], np.int64)}


def never() -> dict[str, np.ndarray]:
    raise AssertionError("loaded, though the store has it")


def file_of(folder: Path, value: float = 7.0) -> Path:
    content = client_content.of_arrays(
        safetensors.encode(client_arrays.read_all(model(value))), lambda *_: None
    )
    file = folder / "model.safetensors"
    file.write_bytes(os.pread(content.descriptor, content.size_bytes, 0))
    content.close()
    return file


def references(store: ModelStore) -> dict[str, int]:
    return {entry.key: entry.references for entry in store.list()}


def test_the_second_replica_gets_what_the_first_one_loaded(server: StoreServer):
    with ModelStore.connect(server.socket) as first, ModelStore.connect(server.socket) as second:
        loaded = first.get_or_load("m", model)
        found = second.get_or_load("m", never)

    assert loaded.is_shared
    assert found.is_shared
    assert found["a"].numpy().tolist() == model()["a"].tolist()
    assert found.digest == loaded.digest


def test_a_file_and_the_arrays_in_it_are_one_content(store: ModelStore, tmp_path: Path):
    file = file_of(tmp_path)

    assert store.store("a", file) == store.store("b", model())
    assert store.get_or_load("c", file).digest == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_nobody_stored_is_none(store: ModelStore):
    assert store.get("m") is None


def test_weights_outlive_store_and_server(mortal: StoreServer):
    with ModelStore.connect(mortal.socket) as store:
        array = store.get_or_load("m", model)["a"].numpy()
    mortal.kill()
    gc.collect()

    assert array.tolist() == model()["a"].tolist()


def test_one_loads_while_the_others_wait(server: StoreServer):
    loads, found = [], []
    begun = threading.Barrier(4)

    def load() -> dict[str, np.ndarray]:
        loads.append(1)
        threading.Event().wait(0.2)
        return model()

    def replica() -> None:
        with ModelStore.connect(server.socket) as store:
            begun.wait()
            found.append(store.get_or_load("m", load).is_shared)

    threads = [threading.Thread(target=replica) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(loads), found) == (1, [True] * 4)


def test_the_next_one_loads_where_a_loader_fails(server: StoreServer):
    waits = threading.Event()
    found: list[Weights] = []

    def fail() -> dict[str, np.ndarray]:
        waits.set()
        threading.Event().wait(0.2)
        raise OSError("no such bucket")

    def wait() -> None:
        waits.wait()
        found.append(ModelStore.connect(server.socket).get_or_load("m", model))

    other = threading.Thread(target=wait)
    other.start()
    with pytest.raises(OSError, match="no such bucket"):
        ModelStore.connect(server.socket).get_or_load("m", fail)
    other.join()

    assert found[0].is_shared


def test_references_go_with_the_last_thing_made_of_the_weights(
    server: StoreServer, store: ModelStore
):
    weights = store.get_or_load("m", model)
    array = weights["a"].numpy()
    watcher = ModelStore.connect(server.socket)

    del weights
    gc.collect()
    assert references(watcher) == {"m": 1}

    del array
    gc.collect()
    assert references(watcher) == {"m": 0}


def test_references_stay_when_the_client_is_closed(server: StoreServer):
    with ModelStore.connect(server.socket) as store:
        weights = store.get_or_load("m", model)
    watcher = ModelStore.connect(server.socket)
    assert references(watcher) == {"m": 1}

    del weights
    gc.collect()

    assert references(watcher) == {"m": 0}


def test_weights_that_are_mapped_are_not_mapped_again(store: ModelStore):
    first = store.get_or_load("m", model)
    again = [store.get("m") for _ in range(3)]

    assert {weights["a"].address for weights in again if weights} == {first["a"].address}
    del again
    gc.collect()
    assert references(store) == {"m": 1}


def test_a_list_says_what_is_kept_and_how(store: ModelStore):
    digest = store.store("m", model(), pin=True)

    [entry] = store.list()

    assert (entry.key, entry.digest, entry.tier) == ("m", digest, "host")
    assert (entry.references, entry.is_pinned) == (0, True)


def test_pins_are_taken_off_and_keys_dropped(store: ModelStore):
    store.store("m", model(), pin=True)

    assert store.pin("m", on=False)
    assert not store.list()[0].is_pinned
    assert store.drop("m")
    assert not store.drop("m")
    assert not store.pin("m")


def test_a_key_of_other_weights_than_the_digest_is_none(store: ModelStore):
    store.store("m", model())

    assert store.get("m", digest=OTHER) is None


def test_a_new_digest_replaces_what_a_key_had(store: ModelStore, tmp_path: Path):
    store.store("m", model(1.0))
    wanted = hashlib.sha256(file_of(tmp_path, 2.0).read_bytes()).hexdigest()

    found = store.get_or_load("m", lambda: model(2.0), digest=wanted)

    assert (found.digest, found["a"].numpy()[0, 0]) == (wanted, 2.0)


@pytest.mark.parametrize("call", ["store", "get_or_load"])
def test_a_wrong_digest_is_named_and_nothing_is_stored(store: ModelStore, call: str):
    with pytest.raises(RefusedError, match="digest") as caught:
        getattr(store, call)("m", model(), digest=OTHER)

    assert caught.value.status == "INVALID"
    assert OTHER in str(caught.value)
    assert store.list() == ()


@pytest.mark.parametrize("digest", ["00" * 32, "abc", "zz" * 32, "ab" * 31])
def test_what_is_no_digest_is_refused(store: ModelStore, digest: str):
    with pytest.raises(RefusedError, match="64 hexadecimal digits"):
        store.get_or_load("m", model, digest=digest)


@pytest.mark.parametrize("key", ["", "/m", "a b", "a" * 201, "ä", "shared/"])
def test_what_is_no_key_is_refused_before_anything_is_loaded(store: ModelStore, key: str):
    with pytest.raises(RefusedError, match="no key"):
        store.get_or_load(key, never)


def test_a_corrupt_file_is_named_and_costs_nobody_else(store: ModelStore, tmp_path: Path):
    file = file_of(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(SafetensorsError, match=r"model\.safetensors: content of \d+ bytes"):
        store.get_or_load("m", file)

    assert store.get_or_load("m", model).is_shared


def test_a_file_that_is_not_there_is_an_error_of_the_system(store: ModelStore, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        store.get_or_load("m", tmp_path / "none.safetensors")


def test_full_is_one_warning_that_says_why_and_private_weights(tmp_path: Path):
    arrays = {"a": np.ones(1 << 19, np.float32)}
    with (
        store_server.serving(tmp_path, "--host-memory=1Mi") as server,
        ModelStore.connect(server.socket) as store,
        pytest.warns(RuntimeWarning, match="do not fit") as caught,
    ):
        weights = store.get_or_load("m", lambda: arrays)

    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not weights.is_shared
    assert "do not fit" in weights.why_private
    assert weights["a"].address == arrays["a"].ctypes.data


def test_without_a_store_all_models_are_private_with_one_warning(tmp_path: Path):
    file = file_of(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with ModelStore.connect(tmp_path / "store.sock") as store:
            one = store.get_or_load("one", model)
            other = store.get_or_load("other", file)

    assert len(caught) == 1
    assert (one.is_shared, other.is_shared) == (False, False)
    assert other["a"].numpy().tolist() == one["a"].numpy().tolist()


def test_a_digest_is_kept_to_without_a_store_too(tmp_path: Path):
    with (
        pytest.warns(RuntimeWarning, match="no such socket"),
        pytest.raises(RefusedError, match="was asked for"),
    ):
        ModelStore.connect(tmp_path / "store.sock").get_or_load("m", model, digest=OTHER)


def test_a_client_finds_the_server_that_follows_a_killed_one(mortal: StoreServer):
    store = ModelStore.connect(mortal.socket)
    old = store.get_or_load("m", model)
    mortal.kill()
    threading.Timer(0.3, mortal.start).start()

    new = store.get_or_load("m", lambda: model(8.0))

    assert new.is_shared
    assert (old["a"].numpy()[0, 0], new["a"].numpy()[0, 0]) == (7.0, 8.0)


def test_a_load_outlives_the_server_that_asked_for_it(mortal: StoreServer):
    """What was loaded is stored in the next server, and not loaded again."""
    store = ModelStore.connect(mortal.socket)
    loads = []

    def load() -> dict[str, np.ndarray]:
        loads.append(1)
        mortal.kill()
        mortal.start()
        return model()

    weights = store.get_or_load("m", load)

    assert (weights.is_shared, len(loads)) == (True, 1)
    assert references(store) == {"m": 1}


def test_a_loader_may_use_the_store_itself(store: ModelStore):
    weights = store.get_or_load("tuned", lambda: store.get_or_load("base", model))

    assert weights.is_shared
    assert {entry.key for entry in store.list()} == {"base", "tuned"}


def test_threads_share_a_client(server: StoreServer, store: ModelStore):
    store.store("m", model())
    failures = []

    def work() -> None:
        for _ in range(50):
            weights = store.get("m")
            if weights is None or weights["a"].numpy()[0, 0] != 7.0:
                failures.append(weights)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()

    assert failures == []
    assert references(ModelStore.connect(server.socket)) == {"m": 0}


def test_weights_given_back_while_their_connection_is_waited_on_are_given_back(
    server: StoreServer, store: ModelStore
):
    held = store.get_or_load("held", model)
    watcher = ModelStore.connect(server.socket)
    loading, done = threading.Event(), threading.Event()

    def load() -> dict[str, np.ndarray]:
        loading.set()
        done.wait()
        return model(8.0)

    waiting = threading.Thread(target=lambda: store.get_or_load("m", load))
    waiting.start()
    loading.wait()
    del held
    gc.collect()
    assert references(watcher)["held"] == 1

    done.set()
    waiting.join()
    assert references(watcher)["held"] == 0


def test_an_interrupted_wait_leaves_nothing_behind(server: StoreServer, store: ModelStore):
    """As Ctrl-C does it: the client goes on, and what comes late is given back."""
    loading, done = threading.Event(), threading.Event()

    def load() -> dict[str, np.ndarray]:
        loading.set()
        done.wait()
        return model()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    loader = threading.Thread(
        target=lambda: ModelStore.connect(server.socket).get_or_load("m", load)
    )
    loader.start()
    loading.wait()
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(KeyboardInterrupt):
        store.get_or_load("m", never)
    done.set()
    loader.join()

    assert store.get_or_load("other", model).is_shared
    gc.collect()
    assert references(store) == {"m": 0, "other": 0}


FORKS = """
import os, sys
import numpy as np
from gshare_modelstore.client import ModelStore

store = ModelStore.connect(sys.argv[1])
weights = store.get_or_load("m", lambda: {"a": np.full(4, 7.0, np.float32)})
child = os.fork()
if child == 0:
    found = store.get_or_load("other", lambda: {"a": np.full(4, 8.0, np.float32)})
    assert weights["a"].numpy()[0] == 7.0 and found["a"].numpy()[0] == 8.0
    del weights
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print({entry.key: entry.references for entry in store.list()}, store.get("m")["a"].numpy()[0])
"""


def test_a_fork_uses_the_store_beside_its_parent(server: StoreServer):
    assert run(FORKS, server.socket) == "{'m': 1, 'other': 0} 7.0"


WRITES = """
import ctypes, sys
import numpy as np
from gshare_modelstore.client import ModelStore

weights = ModelStore.connect(sys.argv[1]).get_or_load("m", lambda: {"a": np.zeros(4)})
print("writes", flush=True)
ctypes.memset(weights["a"].address, 1, 8)
"""


def test_a_write_into_shared_weights_faults(server: StoreServer):
    done = subprocess.run(
        [sys.executable, "-c", WRITES, server.socket],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.stdout == "writes\n"
    assert done.returncode == -signal.SIGSEGV


def run(code: str, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
