"""A node's model stores: one where a pod announces a model, there before the container starts."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support import gpu_pods
from tests.support.fake_api_server import wait_until
from tests.support.node_agent import NODE, NodeAgent, agent
from tests.support.supervisor import children_of

from gshare import names
from gshare.annotations import decode_inventory, decode_resident
from gshare.models import ModelShare
from gshare.runtime import stores
from gshare_modelstore.client import ModelStore

MIB = 2**20
GIB = 2**30
VIT = ModelShare("vit", 64 * MIB)


@pytest.fixture(scope="module")
def shared() -> Iterator[NodeAgent]:
    with agent() as made:
        yield made


@pytest.fixture
def node(shared) -> Iterator[NodeAgent]:
    """Return the node without any pod or store."""
    yield shared
    shared.clear()
    if stores.is_wanted(folder(shared)):
        crowd(shared, "crowd")
        shared.clear()
    wait_until(lambda: not store_pids(shared))


def folder(node) -> Path:
    return node.state / "gpus" / node.gpus[0]


def started(node, name, model=VIT, memory=GIB):
    """Have a pod's container start; return its lease."""
    pod = gpu_pods.pod(name, sm=12, quota=10, gpu=node.gpus[0], memory=memory, model=model)
    node.api.put("pods", pod)
    node.kubelet.start(node.kubelet.admit("team", name, 12, 10))
    return node.leases[name]


def crowd(node, name):
    """Have a pod take all of the GPU's memory."""
    return started(node, name, None, offered(node).memory_bytes)


def leave(node, name):
    (container,) = [each for each in node.kubelet.listed if each.pod == name]
    node.api.drop("pods", name, "team")
    node.kubelet.remove(container)
    wait_until(lambda: name not in node.leases)


def offered(node):
    found = node.api.find("nodes", "", NODE)["metadata"]["annotations"]
    (gpu,) = decode_inventory(found[names.ANNOTATION_GPUS])
    return gpu


def resident(node):
    found = node.api.find("nodes", "", NODE)["metadata"]["annotations"]
    return decode_resident(found.get(names.ANNOTATION_RESIDENT) or "{}").get(node.gpus[0], {})


def store_pids(node):
    return children_of(node.pid("model-stores"))


def client(node, lease, device=None):
    return ModelStore.connect(node.folder(lease) / names.FILE_STORE_SOCKET, device=device)


def test_a_gpu_says_that_a_store_takes_a_client_and_a_context(node) -> None:
    assert (offered(node).max_clients, offered(node).store_bytes) == (47, stores.CONTEXT_BYTES)


def test_no_store_runs_where_no_pod_announces_a_model(node) -> None:
    lease = started(node, "plain", None)

    assert not stores.is_wanted(folder(node))
    assert store_pids(node) == []
    assert not (node.folder(lease) / names.FILE_STORE_SOCKET).exists()


def test_a_container_that_starts_has_its_store_to_ask(node) -> None:
    lease = started(node, "vit-0")

    assert json.loads((node.folder(lease) / names.FILE_IDENTITY).read_text()) == {
        "namespace": "team",
        "pod": "vit-0",
        "function": "resnet",
        "model": "vit",
        "model_bytes": 64 * MIB,
    }
    with client(node, lease) as store:
        assert store.list() == ()


def test_the_store_may_use_what_leases_and_its_context_leave(node) -> None:
    started(node, "vit-0", memory=3 * GIB)
    started(node, "plain", None, memory=5 * GIB)

    left = offered(node).memory_bytes - 8 * GIB - stores.CONTEXT_BYTES
    assert stores.budget(folder(node)) == stores.Budget(left, stores.HOST_BYTES)


def test_what_a_store_keeps_is_written_on_the_node_and_metered(node) -> None:
    with client(node, started(node, "vit-0")) as store:
        store.store("vit", {"w": np.ones(MIB, np.float32)})

        wait_until(lambda: set(resident(node)) == {"team/vit"}, 5)

        assert 4 * MIB <= resident(node)["team/vit"] <= 6 * MIB
        assert node.metrics()[names.METRIC_STORE_RESIDENT_BYTES] == resident(node)["team/vit"]
        assert node.metrics()["gshare_gpu_model_store_up"] == 1


def test_a_killed_store_is_back_for_the_same_leases(node) -> None:
    lease = started(node, "vit-0")
    (before,) = store_pids(node)

    os.kill(before, signal.SIGKILL)

    wait_until(lambda: store_pids(node) not in ([], [before]), 5)
    wait_until(lambda: stores.answers(folder(node), 1), 10)
    with client(node, lease) as store:
        assert store.list() == ()


def test_a_store_goes_with_the_program_that_keeps_it_and_comes_back(node) -> None:
    started(node, "vit-0")

    node.kill("model-stores")
    away = not stores.answers(folder(node), 1)
    node.start("model-stores")

    assert away
    wait_until(lambda: stores.answers(folder(node), 1), 10)


def test_a_store_lingers_until_its_memory_is_wanted(node) -> None:
    with client(node, started(node, "vit-0")) as store:
        store.store("vit", {"w": np.ones(MIB, np.float32)})
    leave(node, "vit-0")
    wait_until(lambda: set(resident(node)) == {"team/vit"}, 5)
    (lingering,) = store_pids(node)

    with client(node, started(node, "vit-1"), "cpu") as store:
        found = store.get("vit") is not None
    leave(node, "vit-1")
    same = store_pids(node) == [lingering]
    crowd(node, "crowd")

    assert found
    assert same
    wait_until(lambda: store_pids(node) == [], 5)
    wait_until(lambda: resident(node) == {}, 5)


def test_weights_count_once_at_the_nodes_door(node) -> None:
    """Five pods of 2 GiB, 4 GiB of weights and the store fit 16 GiB; with weights each do not."""
    weights = ModelShare("vit", 4 * GIB)

    for number in range(5):
        started(node, f"vit-{number}", weights, memory=2 * GIB)

    assert len(node.leases) == 5


@pytest.mark.parametrize(("asked", "gets"), [("7Gi", 7 * GIB), ("8Gi", GIB)])
def test_a_running_pod_gets_no_memory_that_weights_have(node, asked, gets) -> None:
    """Of 16 GiB, weights have 8 and their store 0.3."""
    lease = started(node, "vit-0", ModelShare("vit", 8 * GIB))
    pod = node.api.find("pods", "team", "vit-0")
    wishes = {**pod["metadata"]["annotations"], names.ANNOTATION_GPU_MEM: asked}

    node.api.put("pods", {**pod, "metadata": {**pod["metadata"], "annotations": wishes}})

    wait_until(lambda: node.leases["vit-0"].asked == {names.ANNOTATION_GPU_MEM: asked}, 5)
    wait_until(lambda: node.limits(lease).memory_limit_bytes == gets, 5)
    left = offered(node).memory_bytes - gets - stores.CONTEXT_BYTES
    wait_until(lambda: stores.budget(folder(node)).device_bytes == left, 5)


def test_a_container_starts_without_a_store_where_none_comes(node) -> None:
    node.kill("model-stores")

    lease = started(node, "vit-0")
    node.start("model-stores")

    assert f"event=store_not_ready lease={lease.lease_id}" in node.words()
    wait_until(lambda: stores.serves(folder(node), lease.lease_id), 10)
