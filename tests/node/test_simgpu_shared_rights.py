"""What a process may do with memory that another one has made, on the simulated GPU."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.gpu_shell import CONTEXT_MIB, GpuShell, gpu_shell, used_mib
from tests.support.simgpu_node import simulated_node

INVALID, NOT_PERMITTED = 1, 800
WRITES = {
    "a memset": "cuMemsetD8(address, 9, 8)",
    "a memset in a stream": "cuMemsetD32Async(address, 9, 8, 0)",
    "a pitched memset": "cuMemsetD2D8(address, 64, 9, 8, 2)",
    "a copy from the host": "cuMemcpyHtoD(address, bytes(8), 8)",
    "a copy on the device": "cuMemcpyDtoD(address, own, 8)",
    "a copy of any kind": "cuMemcpy(address, own, 8)",
    "a copy in a stream": "cuMemcpyHtoDAsync(address, bytes(8), 8, 0)",
    "a copy of a plane": "cuMemcpy2D(plane)",
    "a copy that takes it for the host's": "cuMemcpyDtoH(address, own, 8)",
}


@contextmanager
def owner_and_guest(tmp_path: Path, *, seal: bool = False) -> Iterator[tuple[GpuShell, GpuShell]]:
    """Run two processes; the second has imported and mapped what the first one filled with 7."""
    with (
        simulated_node() as node,
        gpu_shell(node, "owner") as owner,
        gpu_shell(node, "guest") as guest,
    ):
        owner("make()", name="made")
        owner("view(made, READ_WRITE)", name="address")
        owner("load(address, 7)")
        owner(f"give(made, {str(tmp_path / 'place')!r})", name="fd")
        if seal:
            owner("fcntl.fcntl(fd, fcntl.F_ADD_SEALS, FUTURE_WRITE)")
        guest(f"take({str(tmp_path / 'place')!r})", name="fd")
        guest("handle(fd)", name="imported")
        guest("view(imported)", name="address")
        yield owner, guest


def test_mapped_memory_gives_no_access_before_it_was_asked_for(tmp_path: Path) -> None:
    with owner_and_guest(tmp_path) as (_, guest):
        asked = "properties().location, address"

        assert guest.error("cuMemsetD8(address, 9, 8)") == INVALID
        assert guest.error("cuMemcpyDtoH(bytearray(8), address, 8)") == INVALID
        assert guest(f"ok(cuda.cuMemGetAccess({asked}))") == 0
        guest("prepare(READ)")
        assert guest(f"ok(cuda.cuMemGetAccess({asked}))") == 1
        assert guest("values(address)") == [7]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_driver_refuses_to_write_what_may_only_be_read(write: str, tmp_path: Path) -> None:
    with owner_and_guest(tmp_path) as (owner, guest):
        guest("prepare(READ)")
        guest("alloc(4096)", name="own")
        guest("cuda.CUDA_MEMCPY2D()", name="plane")
        guest(
            "[setattr(plane, *pair) for pair in dict(srcMemoryType=cuda.CUmemorytype(2), "
            "dstMemoryType=cuda.CUmemorytype(2), srcDevice=own, dstDevice=address, "
            "WidthInBytes=8, Height=1).items()]"
        )

        assert guest.error(write) == INVALID
        assert guest.error("cuCtxSynchronize()") == 0
        assert guest("values(address)") == owner("values(address)") == [7]


def test_graph_does_not_write_what_became_read_only_after_it_was_made(tmp_path: Path) -> None:
    with owner_and_guest(tmp_path) as (owner, guest):
        guest("prepare(READ_WRITE)")
        guest("ok(cuda.cuStreamCreate(1))", name="stream")
        guest("ok(cuda.cuStreamBeginCapture(stream, cuda.CUstreamCaptureMode(2)))")
        guest("ok(cuda.cuMemsetD8Async(address, 9, 8, stream))")
        guest("ok(cuda.cuGraphInstantiate(ok(cuda.cuStreamEndCapture(stream)), 0))", name="graph")
        guest("prepare(READ)")

        assert guest.error("cuGraphLaunch(graph, stream)") == 0
        assert guest.error("cuStreamSynchronize(stream)") == 0
        assert owner("values(address)") == [7]
        guest("prepare(READ_WRITE)")
        assert guest.error("cuGraphLaunch(graph, stream)") == 0
        assert owner("values(address)") == [9]


def test_program_that_writes_past_the_driver_faults(tmp_path: Path) -> None:
    with owner_and_guest(tmp_path) as (owner, guest):
        guest("prepare(READ)")
        assert guest("peek(address)") == 7

        assert guest.process.stdin is not None
        guest.process.stdin.write("_=poke(address, 9)\n")
        guest.process.stdin.flush()

        assert guest.process.wait(10) == -signal.SIGSEGV
        assert owner("values(address)") == [7]


def test_sealed_descriptor_can_be_mapped_to_read_only(tmp_path: Path) -> None:
    with owner_and_guest(tmp_path, seal=True) as (owner, guest):
        assert guest("prepare(READ_WRITE)") == NOT_PERMITTED
        assert guest("prepare(READ)") == 0
        assert guest("values(address)") == [7]
        owner("load(address, 8)")
        assert guest("values(address)") == [8]


@pytest.mark.parametrize(
    "attack",
    ["os.pwrite(fd, b'9', 0)", "os.ftruncate(fd, 0)", "os.ftruncate(fd, 1 << 30)", "share_map(fd)"],
    ids=["writing", "cutting short", "growing", "mapping"],
)
def test_who_has_a_sealed_descriptor_cannot_change_the_memory(attack: str, tmp_path: Path) -> None:
    with owner_and_guest(tmp_path, seal=True) as (owner, guest):
        assert guest(f"refusal(lambda: {attack})") == "PermissionError"
        assert owner("values(address)") == [7]


@pytest.mark.parametrize(
    "source",
    [
        "os.open('/dev/null', os.O_RDWR)",
        "os.memfd_create('gshare-simgpu-0')",
        "os.memfd_create('weights', os.MFD_ALLOW_SEALING)",
        "sealed_memfd('gshare-simgpu-7', 4096)",
        "9999",
    ],
    ids=["a device", "memory that can be cut", "other memory", "another GPU's", "no descriptor"],
)
def test_what_is_no_device_memory_is_not_imported(source: str) -> None:
    with simulated_node() as node, gpu_shell(node, "guest") as guest:
        assert guest(f"handle({source})") == "CUDA_ERROR_INVALID_VALUE"
        assert used_mib(node) == CONTEXT_MIB


def test_one_call_unmaps_mappings_side_by_side_but_no_part_of_one() -> None:
    with simulated_node() as node, gpu_shell(node, "owner") as owner:
        owner("int(ok(cuda.cuMemAddressReserve(8 << 20, 0, 0, 0)))", name="base")
        for at in (0, 4 << 20):
            owner(f"cuda.cuMemMap(base + {at}, 4 << 20, 0, make(), 0)")
        assert owner.error("cuMemMap(base + (2 << 20), 4 << 20, 0, make(), 0)") == 208
        assert owner.error("cuMemSetAccess(base, 8 << 20, [access(READ_WRITE)], 1)") == 0
        owner("load(base, 5, 8 << 20)")

        assert owner.error("cuMemSetAccess(base, 2 << 20, [access(READ)], 1)") == INVALID
        assert owner.error("cuMemUnmap(base, 2 << 20)") == INVALID
        assert owner.error("cuMemAddressFree(base, 8 << 20)") == INVALID
        assert owner.error("cuMemUnmap(base, 8 << 20)") == 0
        assert owner.error("cuMemAddressFree(base, 8 << 20)") == 0
