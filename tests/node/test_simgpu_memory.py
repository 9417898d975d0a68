"""Device memory: the bytes are real, the account is exact, and it runs out."""

import json

from tests.support.simgpu_node import counters, run, running, simulated_node

MIB = 1 << 20
CONTEXT_BYTES = 300 * MIB


def test_copies_carry_the_bytes() -> None:
    code = """
context(); source = np.arange(3_000_000, dtype=np.uint8); target = np.zeros_like(source)
first, second = (ok(cuda.cuMemAlloc(source.nbytes)) for _ in range(2))
ok(cuda.cuMemcpyHtoD(first, source, source.nbytes))
ok(cuda.cuMemcpyDtoD(second, first, source.nbytes))
ok(cuda.cuMemsetD32(int(second) + 400, 0x01020304, 100))
ok(cuda.cuMemcpyDtoH(target, second, target.nbytes))
source[400:800] = [4, 3, 2, 1] * 100
print((source == target).all())
"""
    with simulated_node() as node:
        assert run(node, code) == "True"


def test_memory_runs_out_with_the_drivers_own_error_and_returns() -> None:
    code = """
context(); free, total = ok(cuda.cuMemGetInfo()); pieces = []
while (answer := cuda.cuMemAlloc(1 << 30))[0] == cuda.CUresult.CUDA_SUCCESS:
    pieces.append(answer[1])
[ok(cuda.cuMemFree(piece)) for piece in pieces]
print([answer[0].name, len(pieces), ok(cuda.cuMemGetInfo())[0] == free, total - free])
""".replace("print(", "import json; print(json.dumps(").replace("free])", "free]))")
    with simulated_node() as node:
        assert json.loads(run(node, code)) == ["CUDA_ERROR_OUT_OF_MEMORY", 15, True, CONTEXT_BYTES]


def test_memory_is_charged_by_chunks_of_two_mebibytes() -> None:
    code = """
context(); sizes = []
for size in (100, 1000, 1 << 20, (2 << 20) + 1):
    ok(cuda.cuMemAlloc(size)); sizes.append(ok(cuda.cuMemGetInfo()))
print([(total - free) >> 20 for free, total in sizes])
"""
    with simulated_node() as node:
        assert json.loads(run(node, code)) == [302, 302, 304, 308]


def test_small_pieces_fill_the_gaps_of_freed_ones() -> None:
    code = """
context(); pieces = [int(ok(cuda.cuMemAlloc(5000))) for _ in range(300)]
gap = pieces[100]; ok(cuda.cuMemFree(gap)); again = int(ok(cuda.cuMemAlloc(4700)))
distinct = len({piece // 512 for piece in pieces}) == 300
ok(cuda.cuMemFree(pieces[0])); twice = cuda.cuMemFree(pieces[0])[0].name
print([again == gap, distinct, twice])
"""
    with simulated_node() as node:
        assert run(node, code) == "[True, True, 'CUDA_ERROR_INVALID_VALUE']"


def test_the_context_of_a_neighbour_counts() -> None:
    with (
        simulated_node() as node,
        running(node, "context(); ok(cuda.cuMemAlloc(1 << 30)); ready()", GSHARE_SIMGPU_LABEL="a"),
    ):
        seen = run(node, "context(); free, total = ok(cuda.cuMemGetInfo()); print(total - free)")
        reading = counters(node)

    assert int(seen) == 2 * CONTEXT_BYTES + 1024 * MIB
    assert reading.account("a").memory_bytes == CONTEXT_BYTES + 1024 * MIB


def test_the_mps_memory_limit_holds_for_each_process() -> None:
    code = """
context(); print([cuda.cuMemAlloc(size << 20)[0].value for size in (600, 200, 100)])
"""
    with simulated_node() as node:
        assert run(node, code, CUDA_MPS_PINNED_DEVICE_MEM_LIMIT="1=9G,0=1G") == "[0, 2, 0]"


def test_leaving_the_device_gives_its_memory_back() -> None:
    code = """
context(); ok(cuda.cuMemAlloc(1 << 30)); ok(cuda.cuDevicePrimaryCtxReset(0)); ready()
"""
    with simulated_node() as node, running(node, code):
        assert counters(node).memory_used_bytes == 0


def test_an_unwritten_allocation_costs_no_ram() -> None:
    code = """
import resource
context(); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ok(cuda.cuMemAlloc(8 << 30)); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    with simulated_node() as node:
        assert int(run(node, code)) < 4096


def test_a_rectangle_is_copied_between_pitches() -> None:
    code = """
context(); target = np.zeros((5, 7), np.uint8)
source = np.arange(600, dtype=np.uint16).astype(np.uint8).reshape(20, 30)
device, pitch = ok(cuda.cuMemAllocPitch(30, 20, 4)); kinds = cuda.CUmemorytype
there = cuda.CUDA_MEMCPY2D(); there.srcMemoryType = kinds.CU_MEMORYTYPE_HOST
there.srcHost = source.ctypes.data; there.srcPitch = 30; there.WidthInBytes = 30; there.Height = 20
there.dstMemoryType = kinds.CU_MEMORYTYPE_DEVICE; there.dstDevice = device; there.dstPitch = pitch
ok(cuda.cuMemcpy2D(there))
back = cuda.CUDA_MEMCPY2D(); back.srcMemoryType = kinds.CU_MEMORYTYPE_DEVICE
back.srcDevice = device; back.srcPitch = pitch; back.srcXInBytes = 3; back.srcY = 2
back.dstMemoryType = kinds.CU_MEMORYTYPE_HOST; back.dstHost = target.ctypes.data
back.WidthInBytes = 7; back.Height = 5; ok(cuda.cuMemcpy2D(back)); back.Height = 500
print([(source[2:7, 3:10] == target).all().item(), cuda.cuMemcpy2D(back)[0].value])
"""
    with simulated_node() as node:
        assert run(node, code) == "[True, 1]"


def test_pinned_memory_of_the_host_is_counted_apart() -> None:
    code = """
context(); kept = ok(cuda.cuMemHostAlloc(5 * 4096, 0)); gone = ok(cuda.cuMemAllocHost(4096))
own = np.zeros(3 * 4096, np.uint8); ok(cuda.cuMemHostRegister(own.ctypes.data, own.nbytes, 0))
ok(cuda.cuMemFreeHost(gone)); ready()
"""
    with simulated_node() as node, running(node, code, GSHARE_SIMGPU_LABEL="a"):
        account = counters(node).account("a")

    assert (account.host_bytes, account.memory_bytes) == (8 * 4096, CONTEXT_BYTES)


ARRAYS = """
context(); used = lambda: -ok(cuda.cuMemGetInfo())[0] >> 10
shape = cuda.CUDA_ARRAY3D_DESCRIPTOR(); shape.Width, shape.Height, shape.Depth = 100, 80, 3
shape.Format = cuda.CUarray_format.CU_AD_FORMAT_FLOAT; shape.NumChannels = 4
"""


def test_arrays_and_mipmaps_take_memory_and_give_it_back() -> None:
    code = """
before = used(); made = ok(cuda.cuMipmappedArrayCreate(shape, 3)); sizes = []
for level in range(3):
    found = ok(cuda.cuArray3DGetDescriptor(ok(cuda.cuMipmappedArrayGetLevel(made, level))))
    sizes.append([found.Width, found.Height, found.Depth])
array = ok(cuda.cuArray3DCreate(shape)); taken = used() - before
refused = cuda.cuArrayDestroy(ok(cuda.cuMipmappedArrayGetLevel(made, 1)))[0].value
ok(cuda.cuArrayDestroy(array)); ok(cuda.cuMipmappedArrayDestroy(made))
print([sizes, taken > 0, refused, used() - before])
"""
    with simulated_node() as node:
        sizes, taken, refused, left = json.loads(run(node, ARRAYS + code).replace("True", "true"))

    assert sizes == [[100, 80, 3], [50, 40, 1], [25, 20, 1]]
    assert (taken, refused, left) == (True, 400, 0)


def test_copies_reach_arrays() -> None:
    code = """
array = ok(cuda.cuArray3DCreate(shape)); source = np.arange(100 * 80 * 3 * 4, dtype=np.float32)
target = np.zeros_like(source)
def box():
    copy = cuda.CUDA_MEMCPY3D(); copy.WidthInBytes, copy.Height, copy.Depth = 1600, 80, 3
    return copy
into = box(); into.srcMemoryType = cuda.CUmemorytype.CU_MEMORYTYPE_HOST
into.srcHost = source.ctypes.data; into.dstMemoryType = cuda.CUmemorytype.CU_MEMORYTYPE_ARRAY
into.dstArray = array; ok(cuda.cuMemcpy3D(into))
back = box(); back.dstMemoryType = cuda.CUmemorytype.CU_MEMORYTYPE_HOST
back.dstHost = target.ctypes.data; back.srcMemoryType = cuda.CUmemorytype.CU_MEMORYTYPE_ARRAY
back.srcArray = array; ok(cuda.cuMemcpy3D(back)); same = (source == target).all()
ok(cuda.cuMemcpyAtoH(target, array, 400, 64)); print(same and target[0] == source[100])
into.dstXInBytes = 1700; print(cuda.cuMemcpy3D(into)[0].value)
"""
    with simulated_node() as node:
        assert run(node, ARRAYS + code).split() == ["True", "1"]


def test_batches_and_prefetches_take_time_and_count_as_one_call() -> None:
    code = """
context(); first, second = (ok(cuda.cuMemAlloc(12_000_000)) for _ in range(2))
stream = ok(cuda.cuStreamCreate(1)); where = cuda.CUmemLocation()
where.type = cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
launch(kernel(1, 200_000), 1, stream); start = event(stream)
ok(cuda.cuMemPrefetchAsync_v2(first, 12_000_000, where, 0, stream)); middle = event(stream)
attributes = cuda.CUmemcpyAttributes()
attributes.srcAccessOrder = cuda.CUmemcpySrcAccessOrder.CU_MEMCPY_SRC_ACCESS_ORDER_STREAM
ok(cuda.cuMemcpyBatchAsync([second] * 3, [first] * 3, [64] * 3, 3, [attributes], [0], 1, stream))
end = event(stream); ok(cuda.cuEventSynchronize(end))
print([ok(cuda.cuEventElapsedTime(start, middle)), ok(cuda.cuEventElapsedTime(middle, end)) > 0])
"""
    with simulated_node() as node:
        seen = run(node, code, GSHARE_SIMGPU_LABEL="a")
        account = counters(node).account("a")

    assert seen == "[1.0, True]"
    assert (account.calls, account.launches) == (3, 1)


def test_a_batch_of_boxes_is_copied() -> None:
    code = """
source = np.arange(80 * 100 * 4, dtype=np.float32); target = np.zeros_like(source)
array = ok(cuda.cuArray3DCreate(shape)); stream = ok(cuda.cuStreamCreate(1))
def box(into):
    copy = cuda.CUDA_MEMCPY3D_BATCH_OP(); copy.extent.width = 100
    copy.extent.height, copy.extent.depth = 80, 1
    copy.srcAccessOrder = cuda.CUmemcpySrcAccessOrder.CU_MEMCPY_SRC_ACCESS_ORDER_STREAM
    kinds = cuda.CUmemcpy3DOperandType
    ends = (copy.src, copy.dst) if into else (copy.dst, copy.src)
    ends[0].type = kinds.CU_MEMCPY_OPERAND_TYPE_POINTER
    ends[0].op.ptr.ptr = (source if into else target).ctypes.data
    ends[1].type = kinds.CU_MEMCPY_OPERAND_TYPE_ARRAY; ends[1].op.array.array = array
    ends[1].op.array.offset.z = 2
    return copy
ok(cuda.cuMemcpy3DBatchAsync(2, [box(True), box(False)], 0, stream))
print((source == target).all())
"""
    with simulated_node() as node:
        assert run(node, ARRAYS + code, GSHARE_SIMGPU_LABEL="a") == "True"
        assert counters(node).account("a").calls == 1
