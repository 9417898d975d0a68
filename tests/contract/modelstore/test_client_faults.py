"""Whatever answers on the store's socket, or none, costs the client no more than sharing."""

import gc
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support import fake_store
from tests.support.fake_store import Talk

from gshare_modelstore.client import ModelStore, RefusedError, StoreAwayError, StoreError, Weights
from gshare_modelstore.errors import UnusableError
from gshare_modelstore.protocol import Mechanism, Op, Reply, Request, Status

CONTENT = np.arange(4, dtype=np.float32).tobytes()
INDEX = b"0 16 F32 2x2 w\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sock"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    before = descriptors()
    yield
    deadline = time.monotonic() + 5
    while descriptors() > before:
        gc.collect()
        assert time.monotonic() < deadline, (before, descriptors())
        time.sleep(0.01)


def load() -> dict[str, np.ndarray]:
    return {"w": np.ones(2, np.float32)}


def loaded(store: ModelStore) -> Weights:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return store.get_or_load("m", load)


def gives(talk: Talk) -> None:
    while True:
        if talk.hear().op is Op.GET:
            talk.give(CONTENT, INDEX)
        else:
            talk.say(Reply(Status.OK))


def hangs_up(talk: Talk) -> None:
    talk.hear()


def is_silent(talk: Talk) -> None:
    talk.hear()
    talk.hear()


def speaks_another_version(talk: Talk) -> None:
    talk.hear()
    talk.connection.send(b"\0" * 832)


def speaks_in_halves(talk: Talk) -> None:
    talk.hear()
    talk.connection.send(b"MODL")


def gives_no_weights(talk: Talk) -> None:
    talk.hear()
    talk.say(Reply(Status.READY, key="m", mechanism=Mechanism.MEMFD, mapped_bytes=16))


def gives_half_an_index(talk: Talk) -> None:
    talk.hear()
    talk.give(CONTENT, INDEX, index_bytes=100)
    talk.hear()


def gives_nothing_to_map(talk: Talk) -> None:
    talk.hear()
    talk.give(CONTENT, INDEX, mapped_bytes=0)
    talk.hear()


def gives_too_small_a_file(talk: Talk) -> None:
    talk.hear()
    talk.give(CONTENT, INDEX, mapped_bytes=1 << 20)
    talk.hear()


def fails(talk: Talk) -> None:
    talk.hear()
    talk.say(Reply(Status.ERROR, text="the GPU fell off the bus"))


FAULTS = [
    pytest.param(hangs_up, StoreAwayError, "ended the connection", id="hangs up"),
    pytest.param(is_silent, StoreAwayError, "no answer for 0.2 s", id="is silent"),
    pytest.param(speaks_another_version, StoreAwayError, "of this version", id="other version"),
    pytest.param(speaks_in_halves, StoreAwayError, "of this version", id="half a packet"),
    pytest.param(gives_no_weights, UnusableError, "0 descriptors", id="no descriptors"),
    pytest.param(gives_half_an_index, UnusableError, "15 of 100 bytes", id="half an index"),
    pytest.param(gives_nothing_to_map, UnusableError, "cannot be mapped", id="nothing to map"),
    pytest.param(gives_too_small_a_file, UnusableError, "cannot be mapped", id="too small a file"),
    pytest.param(fails, RefusedError, "fell off the bus", id="fails"),
]


@pytest.mark.parametrize(("script", "kind", "said"), FAULTS)
def test_get_says_what_is_wrong(path: Path, script, kind: type[StoreError], said: str):
    with (
        fake_store.serving(path, script),
        ModelStore.connect(path, silence_s=0.2) as store,
        pytest.raises(kind, match=said) as caught,
    ):
        store.get("m")

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("script", "kind", "said"), FAULTS)
def test_get_or_load_loads_privately_and_keeps_the_reason(
    path: Path, script, kind: type[StoreError], said: str
):
    del kind
    with fake_store.serving(path, script), ModelStore.connect(path, silence_s=0.2) as store:
        weights = loaded(store)

    assert not weights.is_shared
    assert said in weights.why_private
    assert weights["w"].numpy().tolist() == [1, 1]


def test_a_store_that_died_is_asked_again_once_it_is_back(path: Path):
    with fake_store.serving(path, hangs_up, gives), ModelStore.connect(path) as store:
        weights = store.get("m")

    assert weights is not None
    assert weights["w"].numpy().tolist() == [[0, 1], [2, 3]]


def test_a_tensor_outside_its_map_is_an_error_and_not_a_fault(path: Path):
    def lies(talk: Talk) -> None:
        talk.hear()
        talk.give(CONTENT, b"8 16 F32 2x2 w\n")

    with fake_store.serving(path, lies), ModelStore.connect(path) as store:
        weights = store.get("m")

    assert weights is not None
    with pytest.raises(StoreError, match="'w' lies outside its map"):
        weights["w"]


def test_another_answer_than_the_awaited_one_is_passed_over(path: Path):
    def answers_late(talk: Talk) -> None:
        asked = talk.hear()
        talk.heard.append(fake_request(asked.serial + 7))
        talk.give(b"other" + CONTENT, INDEX)
        talk.heard.append(asked)
        talk.give(CONTENT, INDEX)
        gives(talk)

    with fake_store.serving(path, answers_late) as talks, ModelStore.connect(path) as store:
        weights = store.get("m")
        assert weights is not None
        del weights
        store.get("n")

    assert [each.op for each in talks[0].heard[-3:]].count(Op.RELEASE) >= 1


def fake_request(serial: int) -> Request:
    return Request(Op.GET, "m", serial=serial)


def test_progress_of_another_load_keeps_the_wait_alive(path: Path):
    def is_slow(talk: Talk) -> None:
        talk.hear()
        for done in range(6):
            time.sleep(0.1)
            talk.say(Reply(Status.PROGRESS, content_bytes=done, total_bytes=6))
        talk.give(CONTENT, INDEX)
        talk.hear()

    with fake_store.serving(path, is_slow), ModelStore.connect(path, silence_s=0.3) as store:
        assert loaded(store).is_shared


def test_a_load_says_that_it_lives(path: Path, monkeypatch: pytest.MonkeyPatch):
    """However long a loader takes, those who wait for it hear of it."""
    monkeypatch.setattr("gshare_modelstore.client_loading.HEARTBEAT_S", 0.05)

    def asks_to_load(talk: Talk) -> None:
        talk.hear()
        talk.say(Reply(Status.LOAD))
        while talk.hear().op is not Op.STORE:
            pass
        talk.give(CONTENT, INDEX)
        talk.hear()

    def slowly() -> dict[str, np.ndarray]:
        time.sleep(0.3)
        return load()

    with fake_store.serving(path, asks_to_load) as talks, ModelStore.connect(path) as store:
        assert store.get_or_load("m", slowly).is_shared

    assert [each.op for each in talks[0].heard].count(Op.PROGRESS) >= 3


def test_a_loader_that_fails_gives_its_turn_back(path: Path):
    told = threading.Event()

    def asks_to_load(talk: Talk) -> None:
        talk.hear()
        talk.say(Reply(Status.LOAD))
        while talk.hear().op is not Op.ABANDON:
            pass
        told.set()

    def fail() -> dict[str, np.ndarray]:
        raise RuntimeError("out of luck")

    with (
        fake_store.serving(path, asks_to_load),
        ModelStore.connect(path) as store,
        pytest.raises(RuntimeError, match="out of luck"),
    ):
        store.get_or_load("m", fail)

    assert told.wait(5)


def test_a_socket_that_nobody_serves_is_tried_for_as_long_as_a_restart_takes(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gshare_modelstore.client_socket.RESTARTING_S", 0.3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
    began = time.monotonic()

    with pytest.raises(StoreAwayError, match="nobody serves it"):
        ModelStore.connect(path).get("m")

    assert 0.3 <= time.monotonic() - began < 2


def test_a_socket_may_lie_deep(tmp_path: Path):
    """A GPU's UUID and a lease's name alone take most of the 107 bytes of a socket's address."""
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)

    with fake_store.serving(folder / "store.sock", gives):
        weights = ModelStore.connect(folder / "store.sock").get("m")

    assert weights is not None


def test_a_path_that_is_no_socket_is_a_store_that_is_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gshare_modelstore.client_socket.RESTARTING_S", 0.0)
    path.write_text("")

    weights = loaded(ModelStore.connect(path))

    assert not weights.is_shared
    assert str(path) in weights.why_private


def test_without_socket_and_lease_the_reason_names_both(monkeypatch: pytest.MonkeyPatch):
    for name in ("GSHARE_STORE_SOCKET", "GSHARE_LEASE_DIR"):
        monkeypatch.delenv(name, raising=False)

    weights = loaded(ModelStore.connect())

    assert "GSHARE_STORE_SOCKET and GSHARE_LEASE_DIR are not set" in weights.why_private


@pytest.mark.parametrize(
    ("identity", "waits"),
    [
        pytest.param('{"model": "m"}', True, id="a model is announced"),
        pytest.param('{"model": null}', False, id="no model"),
        pytest.param("half of", False, id="no identity"),
    ],
)
def test_a_lease_that_announces_a_model_waits_for_its_store_to_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, identity: str, waits: object
):
    (path.parent / "identity.json").write_text(identity)
    monkeypatch.delenv("GSHARE_STORE_SOCKET", raising=False)
    monkeypatch.setenv("GSHARE_LEASE_DIR", str(path.parent))
    served = threading.Event()
    ended = threading.Event()

    def serve() -> None:
        time.sleep(0.3)
        with fake_store.serving(path, gives):
            served.set()
            ended.wait(5)

    late = threading.Thread(target=serve)
    late.start()
    with ModelStore.connect() as store:
        weights = loaded(store)
    served.wait()
    ended.set()
    late.join()

    assert weights.is_shared == waits
