"""A store follows its GPU's folder: leases, who they are, and the budget."""

import json
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.support.store_client import (
    RawClient,
    StoreProcess,
    accepts,
    content,
    start,
    store,
    wait_until,
)
from tests.support.store_folder import GpuFolderScene

from gshare import names
from gshare_modelstore.protocol import Op, Status

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> GpuFolderScene:
    """Return a GPU's folder with 64 MiB of host memory for weights and a lease of "red"."""
    made = GpuFolderScene(tmp_path / "GPU-1")
    made.budget(host=64 * MIB, shared_from=["red"])
    made.add("r1", "red")
    return made


@pytest.fixture
def running(folder: GpuFolderScene) -> Iterator[StoreProcess]:
    """Run the folder's store."""
    with serve(folder) as process:
        yield process


def serve(folder: GpuFolderScene) -> AbstractContextManager[StoreProcess]:
    return store("--dir", str(folder.path), "--no-gpu", at=folder.socket("r1"))


def client(folder: GpuFolderScene, lease: str) -> RawClient:
    wait_until(lambda: accepts(folder.socket(lease)))
    return RawClient(folder.socket(lease))


@pytest.mark.usefixtures("running")
def test_leases_of_one_namespace_share(folder: GpuFolderScene) -> None:
    folder.add("r2", "red")
    with client(folder, "r1") as one, client(folder, "r2") as two:
        one.store("m", content())

        assert two.get("m").status is Status.READY


@pytest.mark.usefixtures("running")
def test_a_lease_of_another_namespace_sees_nothing_of_them(folder: GpuFolderScene) -> None:
    folder.add("b1", "blue")
    with client(folder, "r1") as red, client(folder, "b1") as blue:
        red.store("m", content())
        red.store("shared/m", content())

        assert [each.key for each in blue.list()] == ["shared/m"]
        assert blue.ask(Op.GET, "m").status is Status.ABSENT
        assert blue.ask(Op.DROP, "m").status is Status.ABSENT
        assert blue.ask(Op.DROP, "shared/m").status is Status.DENIED
        assert blue.ask(Op.GET, "shared/m").status is Status.READY


def test_any_user_may_connect(folder: GpuFolderScene, running: StoreProcess) -> None:
    assert folder.socket("r1").stat().st_mode & 0o777 == 0o666
    assert running.process.poll() is None


@pytest.mark.usefixtures("running")
def test_a_lease_that_ends_ends_its_connections_and_references(folder: GpuFolderScene) -> None:
    folder.add("r2", "red")
    with client(folder, "r1") as one, client(folder, "r2") as two:
        two.store("m", content())
        folder.end("r2")

        assert two.is_hung_up()
        assert [each.references for each in one.list()] == [0]


@pytest.mark.usefixtures("running")
def test_a_folder_that_is_made_again_is_served_again(folder: GpuFolderScene) -> None:
    shutil.rmtree(folder.folder("r1"))

    folder.add("r1", "red")

    with client(folder, "r1") as one:
        assert one.list() == []


@pytest.mark.usefixtures("running")
def test_a_budget_that_shrinks_is_kept_at_once(folder: GpuFolderScene) -> None:
    with client(folder, "r1") as one, client(folder, "r1") as other:
        one.store("m", content(size_bytes=8 * MIB))
        one.close()
        folder.budget(host=MIB)

        wait_until(lambda: other.list() == [])


def test_without_a_budget_nothing_is_kept(folder: GpuFolderScene) -> None:
    (folder.path / names.FILE_STORE_BUDGET).unlink()
    with serve(folder), client(folder, "r1") as one:
        assert one.store("m", content()).status is Status.FULL


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"device_bytes": "x"}', '{"host_bytes": -1}'], ids=repr
)
def test_a_budget_that_cannot_be_read_is_named_in_the_log(
    folder: GpuFolderScene, text: str
) -> None:
    (folder.path / names.FILE_STORE_BUDGET).write_text(text)
    with serve(folder) as running, client(folder, "r1") as one:
        assert one.store("m", content()).status is Status.FULL
        lines = [each for each in running.log.read_text().splitlines() if "unreadable" in each]

    assert len(lines) == 1
    assert names.FILE_STORE_BUDGET in lines[0]


@pytest.mark.parametrize(
    "identity",
    ["", "{}", '{"namespace": 1, "pod": "p", "function": "f"}', '{"namespace": "n"}'],
    ids=repr,
)
def test_a_lease_without_a_name_is_not_served_and_others_are(
    folder: GpuFolderScene, identity: str
) -> None:
    folder.add("bad", "red")
    (folder.folder("bad") / names.FILE_IDENTITY).write_text(identity)
    with serve(folder), client(folder, "r1") as one:
        assert one.store("m", content()).status is Status.READY
        assert not folder.socket("bad").exists()


@pytest.mark.usefixtures("running")
def test_a_lease_is_served_once_its_name_is_there(folder: GpuFolderScene) -> None:
    folder.leases["late"] = "red"
    folder.folder("late").mkdir()
    folder.timetable()

    folder.add("late", "red")

    assert client(folder, "late").list() == []


def test_a_name_in_the_timetable_that_leads_elsewhere_is_none(folder: GpuFolderScene) -> None:
    outside = folder.path.parent / "outside"
    outside.mkdir()
    identity = {"namespace": "red", "pod": "p", "function": "f"}
    (outside / names.FILE_IDENTITY).write_text(json.dumps(identity))
    folder.leases["../../../outside"] = "red"
    folder.timetable()
    with serve(folder), client(folder, "r1"):
        assert not (outside / names.FILE_STORE_SOCKET).exists()


def test_a_second_store_of_a_folder_ends_with_one_line(
    folder: GpuFolderScene, running: StoreProcess
) -> None:
    log = folder.path.parent / "second.log"
    with pytest.raises(AssertionError):
        start("--dir", str(folder.path), "--no-gpu", at=log.with_name("second"))

    said = f"gshare-modelstore: {folder.path}: another model store serves it\n"
    assert log.read_text() == said
    assert running.process.poll() is None


def test_a_killed_store_is_replaced_on_the_same_sockets(
    folder: GpuFolderScene, running: StoreProcess
) -> None:
    with client(folder, "r1") as one:
        given = one.store("m", content(b"\x05"))
        running.kill()

    with serve(folder), client(folder, "r1") as again:
        assert again.get("m").status is Status.LOAD
        assert given.bytes == b"\x05" * 4096


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="No such file or directory"):
        start("--dir", str(tmp_path / "none"), "--no-gpu", at=tmp_path / "x")
