"""Weights shared on a real cluster: within a namespace, never beyond, and counted once."""

import inspect
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.cluster import images
from tests.cluster.harness import Cluster, Node
from tests.cluster.support import programs, workloads
from tests.cluster.support.delivery import Meter
from tests.cluster.support.restarts import processes_of
from tests.cluster.support.scene import (
    Scene,
    is_running,
    name_of,
    node_of,
    placement_of,
    until,
)
from tests.cluster.support.workloads import Ask
from tests.support import model_client

from gshare import models, names
from gshare.annotations import decode_resident

MIB: Final = 2**20
WEIGHTS_MIB: Final = 64
# ViT-huge on a V100 as the paper has it: 2,101 MB a pod beside the 2,434 MB of its weights. Six
# pods are 15.3 GiB with one copy of the weights and their store, 26.6 GiB with a copy each.
PRIVATE: Final = "2101Mi"
WITH_WEIGHTS: Final = "4535Mi"
REPLICAS: Final = 6
FIT_WITHOUT: Final = 3
SMALL: Final = (8, 10)

# What a stranger tries with more than the client offers: it asks for its neighbour's weights by
# their digest, and looks for other sockets than its own.
_SPY: Final = """
import json, os, signal, sys
import numpy
from gshare_modelstore.client import ModelStore, StoreError

def said(call):
    try:
        return repr(call())
    except StoreError as error:
        return f"{type(error).__name__}: {error}"

key, digest = sys.argv[1:]
with ModelStore.connect() as store:
    print(json.dumps({
        "list": [entry.key for entry in store.list()],
        "get": said(lambda: store.get(key)),
        "by_digest": said(lambda: store.get(key, digest=digest)),
        "drop": said(lambda: store.drop(key)),
        "to_all": said(lambda: store.store("shared/ours", {"w": numpy.zeros(8)})),
        "sockets": sorted(name for name in os.listdir("/run/gshare/lease") if "store" in name),
    }), flush=True)
    signal.sigwait([signal.SIGTERM])
"""


def sharing(program: str, *arguments: object, model: str = "vit=64Mi") -> Ask:
    """Return a small pod that announces a model: of the agent's image, which has the client.

    Its user is not the store's.
    """
    sm, quota = SMALL
    command = ["python3", "-c", program, *map(str, arguments)]
    user = {"runAsUser": 65532, "runAsNonRoot": True}
    container = {
        "image": images.reference("node-agent"),
        "command": command,
        "securityContext": user,
    }
    annotations = {"gpu_mem": "1Gi", "model": model}
    return Ask(sm, quota, annotations=annotations, container=container)


def getting(key: str) -> Ask:
    """Return a pod that gets a model of the store, or loads it."""
    return sharing(inspect.getsource(model_client), "get_or_load", key, WEIGHTS_MIB)


def calm(memory: str, **announced: str) -> Ask:
    """Return a pod that holds its rectangle and a context."""
    sm, quota = SMALL
    return Ask(sm, quota, programs.CALM, annotations={"gpu_mem": memory, **announced})


@pytest.fixture
def elsewhere(cluster: Cluster, scene: Scene) -> Iterator[Scene]:
    """Yield a second namespace."""
    del scene  # its end checks that all parts agree, after ours
    found = Scene(cluster, "scenario-b")
    yield found
    found.wipe()


@pytest.fixture
def one_gpu(cluster: Cluster, scene: Scene, meter: Meter) -> str:
    """Fill all GPUs of the cluster but one, and return its UUID."""
    gpus = {gpu.uuid for node in meter.nodes.values() for gpu in node.gpus}
    whole = Ask(100, 100, programs.CALM, annotations={"gpu_mem": "1Gi"})
    scene.create(*(workloads.pod(f"whole-{number}", whole) for number in range(len(gpus) - 1)))
    taken = {gpu_of(pod) for pod in scene.wait_running(len(gpus) - 1)}
    (left,) = gpus - taken
    del cluster
    return left


def gpu_of(pod: workloads.Object) -> str:
    placed = placement_of(pod)
    assert placed is not None
    return placed.gpu_uuid


def answer(scene: Scene, pod: str) -> dict[str, Any]:
    """Return what a pod's program got of the store."""

    def found() -> list[dict[str, Any]]:
        return [line for line in scene.lines(pod) if "found" in line or "list" in line]

    return until(found, f"{pod} has asked its store")[0]


def resident(cluster: Cluster, pod: workloads.Object) -> dict[str, int]:
    """Return what the pod's node says of the models on the pod's GPU."""
    node = cluster.api.get(f"/api/v1/nodes/{node_of(pod)}")
    text = node["metadata"]["annotations"].get(names.ANNOTATION_RESIDENT, "{}")
    return dict(decode_resident(text).get(gpu_of(pod), {}))


def test_a_second_namespace_neither_sees_nor_maps_the_firsts_weights(
    cluster: Cluster, scene: Scene, elsewhere: Scene, one_gpu: str
) -> None:
    scene.create(workloads.deployment("vit", getting("vit"), replicas=2))
    pods = scene.wait_running(2, "vit")
    ours = [answer(scene, name_of(pod)) for pod in pods]
    loaders = [pod for pod in pods if {"loading": True} in scene.lines(name_of(pod))]
    name = models.scoped(scene.namespace, "vit")
    until(lambda: name in resident(cluster, pods[0]), "the node says what its GPU keeps")

    elsewhere.create(workloads.deployment("spy", sharing(_SPY, "vit", ours[0]["digest"])))
    (spy,) = elsewhere.wait_running(1)
    theirs = answer(elsewhere, name_of(spy))

    assert {gpu_of(pod) for pod in (*pods, spy)} == {one_gpu}
    assert [each["shared"] for each in ours] == [True, True]
    assert [each["bytes"] for each in ours] == [WEIGHTS_MIB * MIB] * 2
    assert len(loaders) == 1
    assert theirs["list"] == []
    assert (theirs["get"], theirs["by_digest"], theirs["drop"]) == ("None", "None", "False")
    assert "RefusedError" in theirs["to_all"]
    assert theirs["sockets"] == [names.FILE_STORE_SOCKET]


def test_a_set_that_fits_only_with_shared_weights_is_placed(
    scene: Scene, elsewhere: Scene, one_gpu: str
) -> None:
    shared = calm(PRIVATE, model="vit=2434Mi")
    scene.create(workloads.deployment("vit", shared, replicas=REPLICAS))
    running = scene.wait_running(REPLICAS, "vit")
    scene.delete("Deployment", "vit")
    until(lambda: not scene.pods("vit"), "the Deployment is gone")

    elsewhere.create(workloads.deployment("copies", calm(WITH_WEIGHTS), replicas=REPLICAS))
    until(lambda: _running(elsewhere) == FIT_WITHOUT, "as many run as have room")
    waiting = next(pod for pod in elsewhere.pods() if not is_running(pod))
    note = elsewhere.wait_event(name_of(waiting), "FailedScheduling", "0/2 nodes are available")

    assert {gpu_of(pod) for pod in running} == {one_gpu}
    assert _running(elsewhere) == FIT_WITHOUT, note


def _running(scene: Scene) -> int:
    return sum(map(is_running, scene.pods()))


def test_a_store_that_was_killed_serves_the_pods_that_are_there(
    cluster: Cluster, scene: Scene
) -> None:
    scene.create(workloads.pod("vit-0", getting("vit")))
    (first,) = scene.wait_running(1)
    answer(scene, "vit-0")
    node = next(each for each in cluster.nodes if each.name == node_of(first))
    (before,) = _stores(cluster, node)

    node.run_in(["kill", "-KILL", before])
    until(lambda: _stores(cluster, node) not in ([], [before]), "the store is started again")
    until(lambda: not resident(cluster, first), "the node says that nothing is kept")
    scene.create(workloads.pod("vit-1", getting("vit")))
    scene.wait_running(2)

    assert answer(scene, "vit-1")["shared"]
    assert {"loading": True} in scene.lines("vit-1")
    assert is_running(scene.pod("vit-0"))


def _stores(cluster: Cluster, node: Node) -> list[str]:
    """Return the process ids of a node's model stores."""
    return processes_of(cluster, node, "model-stores", "gshare_modelstore")
