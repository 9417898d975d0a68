"""The C client gets what Python stored, under the address sanitizer, and trusts no index."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support import fake_store, store_server
from tests.support.fake_store import Talk
from tests.support.store_server import StoreServer

from gshare_modelstore.client import ModelStore
from gshare_modelstore.protocol import Op, Reply, Status

CLIENT = Path(__file__).resolve().parents[3] / "modelstore" / "c"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program that prints weights, built with ASan and UBSan."""
    if shutil.which("cc") is None or shutil.which("make") is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("native")
    words = ["make", "-s", "-C", CLIENT, f"OUT={folder}", "SANITIZE=address,undefined", "test"]
    subprocess.run(words, check=True, capture_output=True)
    return folder / "bin" / "store_weights"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with store_server.serving(tmp_path_factory.mktemp("store")) as server:
        yield server


def lines(program: Path, socket: Path, *keys: str) -> list[str]:
    done = subprocess.run(
        [program, socket, *keys], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_it_gets_every_tensor_that_was_stored(program: Path, server: StoreServer):
    arrays = {
        "layer 0": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "scalar": np.float64(1),
        "empty": np.zeros((0, 4), np.int32),
    }
    digest = ModelStore.connect(server.socket).store("m", arrays)

    assert lines(program, server.socket, "m") == [
        f"3 host {digest}",
        f"scalar F64 - 8 {0xF0 + 0x3F}",
        "empty I32 0x4 0 0",
        "layer 0 U8 2x3 6 15",
    ]


def test_it_says_what_it_does_not_get(program: Path, server: StoreServer, tmp_path: Path):
    assert lines(program, server.socket, "none") == ["-2 model none: nothing is kept as that"]
    assert lines(program, server.socket, "not a key")[0].startswith("-22 model not a key: ")
    assert lines(program, server.socket, "k" * 300) == ["-22 a key has at most 200 characters"]
    assert lines(program, tmp_path / "no.sock")[0].startswith("-2 ")


def test_its_reference_lasts_as_long_as_it_does(program: Path, server: StoreServer):
    store = ModelStore.connect(server.socket)
    store.store("held", {"w": np.zeros(4)})
    words = [program, server.socket, "held", "-"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout
        held.stdout.readline()
        assert {each.key: each.references for each in store.list()}["held"] == 1
        held.communicate("\n", timeout=30)

    while {each.key: each.references for each in store.list()}["held"]:
        pass
    assert held.returncode == 0


def test_it_cannot_write(tmp_path: Path, server: StoreServer):
    """Without the sanitizer, which would report the fault instead of dying of it."""
    if shutil.which("cc") is None or shutil.which("make") is None:
        pytest.skip("no C compiler")
    subprocess.run(["make", "-s", "-C", CLIENT, f"OUT={tmp_path}", "test"], check=True)
    ModelStore.connect(server.socket).store("written", {"w": np.zeros(4)})

    done = subprocess.run(
        [tmp_path / "bin" / "store_weights", server.socket, "written!"],
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == -signal.SIGSEGV


def test_the_library_exports_its_three_functions_and_no_more(tmp_path: Path):
    if shutil.which("nm") is None or shutil.which("make") is None:
        pytest.skip("no C compiler")
    subprocess.run(["make", "-s", "-C", CLIENT, f"OUT={tmp_path}"], check=True)

    words = ["nm", "-D", "--defined-only", tmp_path / "lib" / "libgshare_store.so"]
    found = subprocess.run(words, check=True, capture_output=True, text=True).stdout

    names = {line.split()[-1] for line in found.splitlines()}
    assert names == {"gshare_store_open", "gshare_store_get", "gshare_store_close"}


CONTENT = bytes(16)
BAD = [
    pytest.param(b"0 16 F32 2x2", "0 tensors", id="no end"),
    pytest.param(b"0 17 F32 2x2 w\n", "line 1 of the index is none", id="beyond the map"),
    pytest.param(b"16 1 U8 1 w\n", "line 1 of the index is none", id="behind the map"),
    pytest.param(
        b"18446744073709551615 2 U8 2 w\n", "line 1 of the index is none", id="wraps around"
    ),
    pytest.param(b"99999999999999999999 1 U8 1 w\n", "line 1 of the index", id="too long a number"),
    pytest.param(b"0 16 F32 2x2\n", "line 1 of the index is none", id="no name"),
    pytest.param(b"0 16 F32 2xx2 w\n", "line 1 of the index is none", id="no side"),
    pytest.param(b"0 16 F32 -2 w\n", "line 1 of the index is none", id="a negative side"),
    pytest.param(b"0 16 F32 x w\n", "line 1 of the index is none", id="a shape of nothing"),
    pytest.param(b"\n\n", "line 1 of the index is none", id="empty lines"),
    pytest.param(b"0 16 F32 2x2 w\nrest\n", "line 2 of the index is none", id="a second line"),
    pytest.param(b"0 16 F32 2x2 w\n\0\0\n", "line 2 of the index is none", id="zeros"),
]


@pytest.mark.parametrize(("index", "said"), BAD)
def test_an_index_that_is_none_is_an_error(program: Path, tmp_path: Path, index: bytes, said: str):
    def gives(talk: Talk) -> None:
        talk.hear()
        talk.give(CONTENT, index)
        talk.hear()

    with fake_store.serving(tmp_path / "s", gives):
        [line, *_] = lines(program, tmp_path / "s", "m")

    assert said in line or (said == "0 tensors" and line.startswith("0 host"))


FAULTS = [
    pytest.param(lambda talk: talk.hear(), "-104 the store ended", id="hangs up"),
    pytest.param(lambda talk: (talk.hear(), talk.connection.send(b"x")), "-71 ", id="half a word"),
    pytest.param(
        lambda talk: (talk.hear(), talk.say(Reply(Status.READY, mapped_bytes=16))),
        "-71 weights by mechanism 0",
        id="nothing to map",
    ),
    pytest.param(
        lambda talk: (talk.hear(), talk.say(Reply(Status.FULL, text="no room"))),
        "-12 model m: no room",
        id="full",
    ),
]


@pytest.mark.parametrize(("script", "said"), FAULTS)
def test_a_fault_of_the_store_is_an_error(program: Path, tmp_path: Path, script, said: str):
    with fake_store.serving(tmp_path / "s", script):
        [line] = lines(program, tmp_path / "s", "m")

    assert line.startswith(said)


def test_progress_is_passed_over(program: Path, tmp_path: Path):
    def is_slow(talk: Talk) -> None:
        assert talk.hear().op is Op.GET
        talk.say(Reply(Status.PROGRESS))
        talk.give(CONTENT, b"0 16 F32 2x2 w\n")
        talk.hear()

    with fake_store.serving(tmp_path / "s", is_slow):
        assert lines(program, tmp_path / "s", "m")[1] == "w F32 2x2 16 0"
