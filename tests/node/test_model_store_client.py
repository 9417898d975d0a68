"""The client of a store on a simulated GPU: weights in device memory, with real CUDA clients."""

import shutil
import subprocess

import pytest
from tests.support import simgpu_node, store_gpu
from tests.support.simgpu_node import ROOT
from tests.support.store_gpu import CONTEXT_BYTES, MIB

WEIGHTS_MIB = 8
LOADS = f"""
store = ModelStore.connect()
weights = store.get_or_load("m", lambda: tensors({WEIGHTS_MIB}, 7.0))
tensor = weights["weight"]
"""
IPC = ("--sharing", "ipc")


@pytest.mark.parametrize("flags", [(), IPC], ids=["vmm", "ipc"])
def test_the_second_replica_reads_on_the_gpu_what_the_first_one_loaded(flags: tuple[str, ...]):
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.start(*flags)
        with gpu.running("a", f"{LOADS}\nstep('ready')"):
            said = gpu.run("b", f"{LOADS}\nprint(weights.is_shared, weights.device, last(weights))")

            assert said == "True cuda:0 7.0"


def test_weights_on_the_gpu_are_the_stores_memory_and_no_clients():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()
        with gpu.running("a", f"{LOADS}\nlast(weights)\nstep('ready')"):
            assert gpu.memory_bytes("a") == CONTEXT_BYTES
            assert gpu.memory_bytes("store") == CONTEXT_BYTES + WEIGHTS_MIB * MIB


def test_the_driver_refuses_to_write_into_shared_weights():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        said = gpu.run(
            "a",
            f"""{LOADS}
refused = [
    cuda.cuMemsetD8(tensor.address, 1, 16)[0],
    cuda.cuMemcpyHtoD(tensor.address, np.zeros(16, np.uint8), 16)[0],
]
print(*(each == cuda.CUresult.CUDA_SUCCESS for each in refused), tensor.is_read_only, last(weights))
""",
        )

        assert said == "False False True 7.0"


def test_the_map_goes_with_the_last_thing_made_of_the_weights():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        said = gpu.run(
            "a",
            f"""{LOADS}
import gc
address = tensor.address
capsule = tensor.__dlpack__()
del weights, tensor
gc.collect()
first = np.zeros(1, np.float32)
held = cuda.cuMemcpyDtoH(first, address, 4)[0].name, first[0]
del capsule
gc.collect()
print(*held, cuda.cuMemcpyDtoH(first, address, 4)[0].name, store.list()[0].references)
""",
        )

        assert said == "CUDA_SUCCESS 7.0 CUDA_ERROR_INVALID_VALUE 0"


def test_a_real_consumer_takes_the_tensors_without_a_copy():
    """NVIDIA's cuda-core, by both protocols."""
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        said = gpu.run(
            "a",
            f"""{LOADS}
from cuda.core.utils import StridedMemoryView
for view in (
    StridedMemoryView.from_dlpack(tensor, stream_ptr=-1),
    StridedMemoryView.from_cuda_array_interface(tensor, stream_ptr=-1),
):
    print(view.ptr == tensor.address, view.shape, view.dtype, view.device_id, view.readonly)
""",
        )

        assert said.splitlines() == [f"True ({WEIGHTS_MIB * MIB // 4},) float32 0 True"] * 2


def test_arrays_that_a_loader_made_on_the_gpu_are_shared():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        said = gpu.run(
            "a",
            """
cuda.cuInit(0)
cuda.cuCtxSetCurrent(cuda.cuDevicePrimaryCtxRetain(0)[1])
class OnDevice:
    def __init__(self, values):
        address = int(cuda.cuMemAlloc(values.nbytes)[1])
        cuda.cuMemcpyHtoD(address, values, values.nbytes)
        self.__cuda_array_interface__ = {
            "shape": values.shape, "typestr": values.dtype.str, "data": (address, False),
            "strides": None, "version": 3,
        }
made = np.arange(1000, dtype=np.float32)
weights = ModelStore.connect().get_or_load("m", lambda: {"weight": OnDevice(made)})
print(weights.is_shared, last(weights))
""",
        )

        assert said == "True 999.0"


def test_weights_for_the_cpu_lie_in_host_memory():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        said = gpu.run(
            "a",
            """
weights = ModelStore.connect(device="cpu").get_or_load("m", lambda: tensors(8, 7.0))
print(weights.is_shared, weights.device, weights["weight"].numpy()[-1])
""",
        )

        assert said == "True cpu 7.0"
        assert gpu.memory_bytes() == 0


PRIVATE = """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    weights = ModelStore.connect({connect}).get_or_load("m", lambda: tensors(8, 7.0))
told = [each for each in caught if 'privately' in str(each.message)]
print(weights.is_shared, weights.device, last(weights), len(told))
print(weights.why_private)
"""


def test_a_full_gpu_is_private_memory_of_the_same_kind():
    with store_gpu.store_gpu("a") as gpu:
        gpu.allow(4, host_mib=4)
        gpu.start()

        said = gpu.run("a", PRIVATE.format(connect="device='cuda'")).splitlines()

        assert said[0] == "False cuda:0 7.0 1"
        assert "do not fit on the GPU" in said[1]


def test_another_device_than_the_stores_is_private():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        with pytest.raises(AssertionError, match="CUDA_ERROR_INVALID_DEVICE"):
            gpu.run("a", PRIVATE.format(connect="device=1"))


def test_without_cuda_bindings_weights_are_shared_in_host_memory():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()
        gpu.run("a", "ModelStore.connect().store('m', tensors(8, 7.0))")

        said = gpu.run(
            "a",
            """
sys.modules["cuda.bindings"] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    weights = ModelStore.connect().get("m")
print(weights.is_shared, weights.device, last(weights), len(caught), caught[0].message)
""",
        )

        assert said.startswith("True cpu 7.0 1 ")
        assert "not installed" in said


def test_a_fork_leaves_its_parents_map_alone():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        said = gpu.run(
            "a",
            f"""{LOADS}
import gc, os
if os.fork() == 0:
    del weights, tensor
    gc.collect()
    os._exit(0)
os.wait()
print(last(weights), store.list()[0].references)
""",
        )

        assert said == "7.0 1"


def test_a_program_that_ends_with_weights_in_use_ends_well():
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()

        assert gpu.run("a", f"{LOADS}\nimport builtins; builtins.kept = tensor.__dlpack__()") == ""


def test_the_c_client_maps_weights_on_the_gpu(tmp_path):
    if shutil.which("cc") is None or shutil.which("make") is None:
        pytest.skip("no C compiler")
    folder = ROOT / "modelstore" / "c"
    subprocess.run(["make", "-s", "-C", folder, f"OUT={tmp_path}", "test"], check=True)
    program = tmp_path / "bin" / "store_weights"
    with store_gpu.store_gpu("a") as gpu:
        gpu.start()
        gpu.run("a", "ModelStore.connect().store('m', tensors(8, 7.0))")
        variables = gpu.variables("a")

        done = subprocess.run(
            [program, f"{variables['GSHARE_LEASE_DIR']}/store.sock", "m", "m"],
            env=simgpu_node.environment(gpu.node, variables),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )

        said = done.stdout.splitlines()
        assert [line.split()[:2] for line in said[::2]] == [["1", "device"]] * 2
        assert said[1] == f"weight F32 {8 * MIB // 4} {8 * MIB} device"
