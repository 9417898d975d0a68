"""Who is charged for memory that several processes hold, whoever dies, on the simulated GPU.

Every size is told in MiB; a process's context is 300 of them, and the memory is 4.
"""

import random
import threading
from pathlib import Path

import pytest
from tests.support.gpu_shell import CONTEXT_MIB, GpuShell, gpu_shell, held_mib, used_mib
from tests.support.simgpu_node import simulated_node

SIZE_MIB = 4


def export(owner: GpuShell, place: Path) -> None:
    """Have memory made, filled with 7, and given to who asks at `place`."""
    owner("make()", name="made")
    owner("view(made, READ_WRITE)", name="address")
    owner("load(address, 7)")
    owner(f"give(made, {str(place)!r})")


def mount(guest: GpuShell, place: Path) -> None:
    """Have a guest map what is given at `place`, and keep nothing but the mapping."""
    guest(f"take({str(place)!r})", name="fd")
    guest("handle(fd)", name="imported")
    guest("os.close(fd)")
    guest("view(imported, READ)", name="address")
    guest("ok(cuda.cuMemRelease(imported))")


def open_ipc(owner: GpuShell, guest: GpuShell) -> None:
    """Have a guest open, by CUDA IPC, memory of the owner that is filled with 7."""
    owner("alloc(4 << 20)", name="address")
    owner("load(address, 7)")
    guest(f"ipc_open({owner('ipc(address)')!r})", name="address")


def share(way: str, owner: GpuShell, guest: GpuShell, place: Path) -> None:
    if way == "ipc":
        open_ipc(owner, guest)
        return
    export(owner, place)
    mount(guest, place)


WAYS = pytest.mark.parametrize("way", ["ipc", "descriptor"])


@WAYS
def test_memory_outlives_its_maker_and_is_charged_to_who_maps_it(way: str, tmp_path: Path) -> None:
    with simulated_node() as node:
        with gpu_shell(node, "owner") as owner, gpu_shell(node, "guest") as guest:
            share(way, owner, guest, tmp_path / "place")
            assert held_mib(node, "owner") == CONTEXT_MIB + SIZE_MIB
            assert held_mib(node, "guest") == CONTEXT_MIB

            owner.kill()
            assert guest("values(address, 4 << 20)") == [7]
            assert used_mib(node) == guest("used_mib()") == CONTEXT_MIB + SIZE_MIB
            assert held_mib(node, "guest") == CONTEXT_MIB + SIZE_MIB
            guest.kill()
        assert used_mib(node) == 0


def test_nvml_tells_who_is_charged(tmp_path: Path) -> None:
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest") as guest,
    ):
        export(owner, tmp_path / "place")
        mount(guest, tmp_path / "place")
        pids = owner.process.pid, guest.process.pid
        both = dict(zip(pids, (CONTEXT_MIB + SIZE_MIB, CONTEXT_MIB), strict=True))
        assert guest("nvml_mib()") == (2 * CONTEXT_MIB + SIZE_MIB, both)

        owner.kill()

        left = CONTEXT_MIB + SIZE_MIB
        assert guest("nvml_mib()") == (left, {guest.process.pid: left})


RELEASES = {
    "descriptor": "[cuda.cuMemUnmap(address, 4 << 20), cuda.cuMemRelease(made)]",
    "ipc": "cuda.cuMemFree(address)",
}


@WAYS
def test_memory_that_its_maker_releases_stays_charged_while_another_maps_it(
    way: str, tmp_path: Path
) -> None:
    closes = {
        "descriptor": "ok(cuda.cuMemUnmap(address, 4 << 20))",
        "ipc": "ok(cuda.cuIpcCloseMemHandle(address))",
    }
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest") as guest,
    ):
        share(way, owner, guest, tmp_path / "place")
        owner(RELEASES[way])

        assert held_mib(node, "owner") == CONTEXT_MIB
        assert held_mib(node, "guest") == CONTEXT_MIB + SIZE_MIB
        assert guest("values(address, 4 << 20)") == [7]
        guest(closes[way])
        assert used_mib(node) == 2 * CONTEXT_MIB


def test_new_memory_of_a_maker_is_not_seen_through_an_old_ipc_handle() -> None:
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest") as guest,
    ):
        open_ipc(owner, guest)
        owner("cuda.cuMemFree(address)")
        owner("alloc(4 << 20)", name="address")
        owner("load(address, 8)")

        assert guest("values(address)") == [7]
        assert owner("values(address)") == [8]
        assert used_mib(node) == 2 * CONTEXT_MIB + 2 * SIZE_MIB


def test_nobody_is_charged_twice_however_many_import_it(tmp_path: Path) -> None:
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "first") as first,
        gpu_shell(node, "second") as second,
    ):
        export(owner, tmp_path / "place")
        first(f"take({str(tmp_path / 'place')!r})", name="fd")
        first("[handle(fd) for _ in range(3)]", name="handles")
        first("[view(each, READ) for each in handles]", name="addresses")
        owner(f"give(made, {str(tmp_path / 'again')!r})")
        mount(second, tmp_path / "again")
        assert used_mib(node) == 3 * CONTEXT_MIB + SIZE_MIB

        owner.kill()
        assert held_mib(node, "first") + held_mib(node, "second") == 2 * CONTEXT_MIB + SIZE_MIB
        first("[cuda.cuMemUnmap(each, 4 << 20) for each in addresses]")
        first("[cuda.cuMemRelease(each) for each in handles]")
        assert held_mib(node, "second") == CONTEXT_MIB + SIZE_MIB
        second("ok(cuda.cuMemUnmap(address, 4 << 20))")
        assert used_mib(node) == 2 * CONTEXT_MIB


def test_memory_that_only_a_descriptor_kept_is_charged_to_who_imports_it(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest") as guest,
    ):
        export(owner, place)
        guest(f"take({str(place)!r})", name="fd")
        owner.kill()
        guest("alloc((16384 - 300 - 2) << 20)", name="rest")

        assert guest("handle(fd)") == "CUDA_ERROR_OUT_OF_MEMORY"
        guest("ok(cuda.cuMemFree(rest))")
        guest("view(handle(fd), READ)", name="address")
        assert guest("values(address)") == [7]
        assert held_mib(node, "guest") == CONTEXT_MIB + SIZE_MIB


def test_ipc_handle_that_is_open_yields_its_address_again_and_is_closed_as_often() -> None:
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest") as guest,
    ):
        open_ipc(owner, guest)
        again = guest(f"ipc_open({owner('ipc(address)')!r})")

        assert again == guest("address")
        assert guest.error("cuIpcCloseMemHandle(address)") == 0
        assert guest("values(address)") == [7]
        assert guest.error("cuIpcCloseMemHandle(address)") == 0
        assert guest.error("cuIpcCloseMemHandle(address)") == 1


def test_ipc_handle_of_memory_that_is_gone_opens_nothing() -> None:
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest") as guest,
    ):
        owner("alloc(4 << 20)", name="address")
        handle = owner("ipc(address)")
        owner("cuda.cuMemFree(address)")
        owner("alloc(4 << 20)", name="address")
        owner("ipc(address)")

        assert guest(f"ipc_open({handle!r})") == "CUDA_ERROR_INVALID_VALUE"


def test_memory_made_under_a_context_that_is_gone_is_charged_anew_where_it_is_exported(
    tmp_path: Path,
) -> None:
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest") as guest,
    ):
        owner("make()", name="made")
        owner("ok(cuda.cuDevicePrimaryCtxRelease(0))")
        owner("context()")
        assert held_mib(node, "owner") == CONTEXT_MIB

        export_again = f"give(made, {str(tmp_path / 'place')!r})"
        owner(export_again)
        assert held_mib(node, "owner") == CONTEXT_MIB + SIZE_MIB
        mount(guest, tmp_path / "place")
        owner("ok(cuda.cuMemRelease(made))")
        assert held_mib(node, "guest") == CONTEXT_MIB + SIZE_MIB


def test_mps_limit_is_not_undercut_by_memory_that_falls_to_a_process(tmp_path: Path) -> None:
    """What it took over is above its limit: it gets no more, and keeps what it has."""
    limit = {"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=302M"}
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest", **limit) as guest,
    ):
        export(owner, tmp_path / "place")
        mount(guest, tmp_path / "place")
        owner.kill()

        assert held_mib(node, "guest") == CONTEXT_MIB + SIZE_MIB
        assert guest.error("cuMemAlloc(4096)") == 2
        assert guest("values(address)") == [7]


MAKERS_LOOPS = {
    "descriptor": (
        "[(lambda one: (os.close(ok(cuda.cuMemExportToShareableHandle(one, FD, 0))), "
        "ok(cuda.cuMemRelease(one))))(make()) for _ in range(10**6)]"
    ),
    "ipc": (
        "[(lambda one: (ipc(one), ok(cuda.cuMemFree(one))))(alloc(4 << 20)) for _ in range(10**6)]"
    ),
}


@WAYS
def test_makers_that_are_killed_at_any_moment_leave_nothing(way: str) -> None:
    dice = random.Random(9)  # noqa: S311 (which moment is hit does not matter)
    with simulated_node() as node:
        for turn in range(4):
            with gpu_shell(node, f"maker-{turn}") as maker:
                assert maker.process.stdin is not None
                maker.process.stdin.write(f"_={MAKERS_LOOPS[way]}\n")
                maker.process.stdin.flush()
                threading.Event().wait(dice.uniform(0.01, 0.1))
                assert CONTEXT_MIB <= used_mib(node) <= CONTEXT_MIB + SIZE_MIB
                maker.kill()
            assert used_mib(node) == 0


def test_guests_that_are_killed_at_any_moment_leave_nothing(tmp_path: Path) -> None:
    """Guests import and let go without end; each is killed somewhere in it, the maker too."""
    dice = random.Random(8)  # noqa: S311 (which moment is hit does not matter)
    loop = (
        "[(lambda one: (ok(cuda.cuMemUnmap(view(one, READ), 4 << 20)), ok(cuda.cuMemRelease(one))))"
        "(handle(fd)) for _ in range(10**6)]"
    )
    with simulated_node() as node:
        with gpu_shell(node, "owner") as owner:
            export(owner, tmp_path / "0")
            for turn in range(6):
                with gpu_shell(node, f"guest-{turn}") as guest:
                    guest(f"take({str(tmp_path / str(turn))!r})", name="fd")
                    assert guest.process.stdin is not None
                    guest.process.stdin.write(f"_={loop}\n")
                    guest.process.stdin.flush()
                    threading.Event().wait(dice.uniform(0.01, 0.1))
                    guest.kill()
                assert used_mib(node) == CONTEXT_MIB + SIZE_MIB
                owner(f"give(made, {str(tmp_path / str(turn + 1))!r})")
            owner.kill()
        assert used_mib(node) == 0
