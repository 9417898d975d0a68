"""The example server's weights by a model store: once on the GPU for all replicas, else its own."""

import contextlib
from collections.abc import Iterator

from tests.support import example_server, store_gpu
from tests.support.example_server import Server
from tests.support.store_gpu import CONTEXT_BYTES, MIB, StoreGpu

from gshare_example_server import models

MODEL = models.load("resnet50")
SHARES = ("--model=resnet50", "--model-store")


@contextlib.contextmanager
def replica(gpu: StoreGpu, lease: str, *options: str) -> Iterator[Server]:
    environment = {**gpu.node.environment(), **gpu.variables(lease), "CUDA_VISIBLE_DEVICES": "0"}
    with example_server.running(environment, *options) as server:
        yield server


def test_replicas_hold_the_weights_once_and_serve() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.start()
        with replica(gpu, "a", *SHARES) as first, replica(gpu, "b", *SHARES) as second:
            held = [gpu.memory_bytes(label) for label in ("a", "b")]

            assert gpu.memory_bytes("store") == CONTEXT_BYTES + MODEL.weights_mib * MIB
            for each in held:
                assert each < CONTEXT_BYTES + (MODEL.workspace_mib + 10) * MIB
            assert [server.get("/infer")[0] for server in (first, second)] == [200, 200]


def test_a_replica_that_ends_gives_its_reference_back() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.start()
        with replica(gpu, "a", *SHARES) as server:
            server.process.terminate()
            assert server.process.wait(20) == 0

        said = gpu.run("b", "print(*(each.references for each in ModelStore.connect().list()))")
        assert said == "0"


def test_functions_with_a_key_of_their_own_share_by_it() -> None:
    with store_gpu.store_gpu("a", "b") as gpu:
        gpu.start()
        with replica(gpu, "a", "--model=resnet50", "--model-store=team/tuned"):
            said = gpu.run("b", "print(*(each.key for each in ModelStore.connect().list()))")

            assert said == "team/tuned"


def test_without_a_store_the_server_has_weights_of_its_own_and_says_so_once() -> None:
    with store_gpu.store_gpu("a") as gpu, replica(gpu, "a", *SHARES) as server:
        weights = MODEL.weights_mib * MIB

        assert gpu.memory_bytes("a") >= CONTEXT_BYTES + weights + MODEL.workspace_mib * MIB
        assert server.get("/infer")[0] == 200
        server.process.terminate()
        said = server.process.communicate(timeout=20)[1]
        assert said.count("is loaded privately") == 1


def test_a_key_that_is_none_is_one_line_and_exit_code_1() -> None:
    with store_gpu.store_gpu("a") as gpu:
        environment = {**gpu.node.environment(), **gpu.variables("a")}
        process = example_server.start(environment, "--model-store=no key")

        said = process.communicate(timeout=30)[1].splitlines()

    assert process.returncode == 1
    assert said[-1].startswith("gshare-example-server: resnet50: model 'no key': no key")
