"""A store for CPU programs, spoken to packet by packet."""

import fcntl
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.store_client import (
    StoreProcess,
    content,
    digest_of,
    memfd,
    socket_store,
    start,
    wait_until,
)

from gshare_modelstore.protocol import Ask, Op, Status
from gshare_modelstore.sharing import SEALED

MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreProcess]:
    """Run a store with 64 MiB for weights."""
    with socket_store(tmp_path / "store.sock") as running:
        yield running


def test_what_one_stores_another_reads(store: StoreProcess) -> None:
    with store.client() as one, store.client() as other:
        one.store("m", content(b"\x07"))

        given = other.get("m")

    assert given.bytes == b"\x07" * 4096
    assert given.reply.digest == digest_of(content(b"\x07"))


def test_clients_hold_one_memory(store: StoreProcess) -> None:
    with store.client() as one, store.client() as other:
        first = one.store("m", content())
        second = other.get("m")

        inodes = {os.fstat(each.descriptors[1]).st_ino for each in (first, second)}

    assert len(inodes) == 1


def test_nobody_can_write_to_weights_that_are_shared(store: StoreProcess) -> None:
    with store.client() as client:
        fd = client.store("m", content()).descriptors[1]

        with pytest.raises(PermissionError):
            mmap.mmap(fd, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 100)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (fcntl.F_SEAL_WRITE, "not sealed"),
        (fcntl.F_SEAL_SHRINK, "not sealed"),
        (fcntl.F_SEAL_GROW, "not sealed"),
        (fcntl.F_SEAL_SEAL, "not sealed"),
    ],
    ids=["write", "shrink", "grow", "seal"],
)
def test_a_memfd_that_may_still_change_is_refused(
    store: StoreProcess, missing: int, words: str
) -> None:
    with store.client() as client:
        given = client.store("m", content(), fd=memfd(content(), SEALED & ~missing))

        assert given.status is Status.INVALID
        assert words in given.reply.text
        assert client.list() == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 7,
        b"\xff" * 64,
        content()[:-1],
        content() + b"\0",
        content().replace(b"U8", b"U9"),
    ],
    ids=["empty", "short", "header beyond its end", "cut off", "bytes behind", "unknown dtype"],
)
def test_corrupt_content_is_named_and_not_stored(store: StoreProcess, data: bytes) -> None:
    with store.client() as client, store.client() as other:
        given = client.store("m", data)

        assert given.status is Status.INVALID
        assert given.reply.text
        assert client.list() == []
        assert other.store("m", content()).status is Status.READY


def test_a_size_that_the_memfd_has_not_is_refused(store: StoreProcess) -> None:
    with store.client() as client:
        given = client.store("m", content(), content_bytes=99)

    assert (given.status, "99 were announced" in given.reply.text) == (Status.INVALID, True)


def test_a_wrong_digest_names_both(store: StoreProcess) -> None:
    with store.client() as client:
        given = client.store("m", content(), digest=b"\x12" * 32)

        assert given.status is Status.INVALID
        assert "12" * 32 in given.reply.text
        assert digest_of(content()).hex() in given.reply.text
        assert client.list() == []


def test_memory_that_is_full_is_named_and_frees_with_its_users(store: StoreProcess) -> None:
    large = content(size_bytes=40 * MIB)
    with store.client() as holder, store.client() as other:
        holder.store("a", large)
        full = other.store("b", content(b"\x02", 40 * MIB))
        holder.close()
        wait_until(lambda: all(each.references == 0 for each in other.list()))

        fits = other.store("b", content(b"\x02", 40 * MIB))

    assert full.status is Status.FULL
    assert "model default/b: 40Mi do not fit in host memory: of 64Mi" in full.reply.text
    assert fits.status is Status.READY


def test_the_next_client_loads_when_the_loader_is_killed(store: StoreProcess) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from tests.support.store_client import RawClient;"
        "print(RawClient(Path(sys.argv[1])).get('m').status.name, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(store.socket)]
    loader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert loader.stdout is not None
    assert loader.stdout.readline() == "LOAD\n"
    with store.client() as client:
        client.send(Op.GET, "m", flags=Ask.LOAD)
        loader.kill()
        loader.wait()

        assert client.receive().status is Status.LOAD


def test_progress_reaches_who_waits(store: StoreProcess) -> None:
    with store.client() as loader, store.client() as other:
        loader.get("m")
        other.send(Op.GET, "m", flags=Ask.LOAD)
        for _ in range(200):  # until the store has seen that the other waits
            loader.send(Op.PROGRESS, "m", content_bytes=1, total_bytes=2)
            time.sleep(0.001)

        reply = other.receive().reply

    assert (reply.status, reply.content_bytes, reply.total_bytes) == (Status.PROGRESS, 1, 2)


def test_a_second_store_ends_with_one_line(store: StoreProcess) -> None:
    flags = ["--socket", str(store.socket), "--no-gpu"]
    second = subprocess.run(
        [sys.executable, "-m", "gshare_modelstore", *flags],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip

    assert second.returncode == 1
    said = f"gshare-modelstore: {store.socket}: another model store serves it\n"
    assert second.stderr == said
    with store.client() as client:
        assert client.get("m").status is Status.LOAD


def test_a_killed_store_is_replaced_and_its_weights_stay_mapped(store: StoreProcess) -> None:
    flags = ["--socket", str(store.socket), "--no-gpu", "--host-memory", "64Mi"]
    client = store.client()
    given = client.store("m", content(b"\x07"))
    store.kill()

    next_store = start(*flags, at=store.socket)
    try:
        with next_store.client() as other:
            assert other.get("m").status is Status.LOAD
    finally:
        next_store.kill()
    assert given.bytes == b"\x07" * 4096


def test_a_store_that_is_ended_takes_its_socket_with_it(store: StoreProcess) -> None:
    assert store.stop() == 0
    assert not store.socket.exists()


def test_500_connections_a_second_are_served(store: StoreProcess) -> None:
    """Each with a get: the store takes less than a second of processor time for all of them."""
    with store.client() as client:
        client.store("m", content())
    before_s = store.processor_s()

    for _ in range(500):
        with store.client() as client:
            given = client.get("m")
            assert given.status is Status.READY
            given.close()

    assert store.processor_s() - before_s < 1


def test_nothing_is_left_of_clients_that_went(store: StoreProcess) -> None:
    with store.client() as client:
        client.store("m", content())
    wait_until(lambda: _settled(store))
    before = store.descriptors()

    for _ in range(50):
        with store.client() as client:
            client.get("m").close()
            assert client.get("other").status is Status.LOAD
            assert client.store("bad", b"no safetensors").status is not Status.READY

    wait_until(lambda: store.descriptors() <= before)


def test_a_load_that_takes_long_delays_nobody(store: StoreProcess) -> None:
    """While 48 MiB are hashed, others are served; and their namespace's own offers wait."""
    large = content(size_bytes=48 * MIB)
    with store.client() as slow, store.client() as other:
        other.store("small", content())
        offer = threading.Thread(target=slow.store, args=("large", large))
        offer.start()
        statuses = {other.get("small").status for _ in range(20)}
        offer.join()

    assert statuses == {Status.READY}


def _settled(store: StoreProcess) -> bool:
    with store.client() as client:
        return all(each.references == 0 for each in client.list())


def test_what_it_did_is_told_to_prometheus(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    at = tmp_path / "store.sock"
    metrics = f"127.0.0.1:{port}"
    with socket_store(at, "--metrics", metrics) as running, running.client() as client:
        client.get("m")
        client.store("m", content())
        client.get("m").close()
        page = urllib.request.urlopen(f"http://{metrics}/metrics").read().decode()

    for line in (
        'gshare_store_hits_total{gpu=""} 2.0',
        'gshare_store_loads_total{gpu=""} 1.0',
        'gshare_store_stored_total{gpu=""} 1.0',
        f'gshare_store_read_bytes_total{{gpu=""}} {float(len(content()))}',
        f'gshare_store_used_bytes{{gpu="",tier="host"}} {float(len(content()))}',
        'gshare_store_clients{gpu=""} 1.0',
    ):
        assert line in page
