"""A scale-down takes the replica whose departure frees a GPU, by the autoscaler's word."""

import json

import pytest
from tests.cluster.harness import ClusterError
from tests.cluster.support import programs, workloads
from tests.cluster.support.scene import Scene, name_of, until
from tests.cluster.support.workloads import Ask, Object

from gshare import names
from gshare.annotations import decode_placement

FUNCTION = "departing"


@pytest.mark.usefixtures("stage")
def test_the_older_replica_leaves_where_that_frees_its_gpu(scene: Scene) -> None:
    """Without costs the younger one would leave, and both GPUs would stay in use.

    A filler keeps the other pod off the first replica's GPU, and leaves; the second replica then
    goes where it fits best, beside the other pod.
    """
    scene.create(_function(Ask(40, 100, programs.CALM)))
    (older,) = scene.wait_running(1, FUNCTION)
    for name in ("filler", "other"):
        scene.create(workloads.pod(name, Ask(50, 100, programs.CALM)))
        scene.wait_running(1, name)
    scene.delete("Pod", "filler")
    scene.wait_gone("filler")
    scene.scale(FUNCTION, 2)
    replicas = scene.wait_running(2, FUNCTION)
    (younger,) = [each for each in replicas if name_of(each) != name_of(older)]
    assert _gpu(scene.pod("other")) == _gpu(younger) != _gpu(older)
    until(lambda: _costs(scene) == {name_of(older): 1, name_of(younger): 2}, "costs are written")

    scene.scale(FUNCTION, 1)
    scene.wait_gone(name_of(older))

    assert [name_of(each) for each in scene.pods(FUNCTION)] == [name_of(younger)]


@pytest.mark.parametrize(
    "change",
    [
        {"annotations": {names.ANNOTATION_QUOTA_LIMIT: "60"}},
        {"annotations": {names.ANNOTATION_DELETION_COST: "1", "other": "1"}},
        {"labels": {workloads.LABEL: "other"}},
        {"finalizers": ["other/one"]},
    ],
    ids=["an annotation", "a cost and more", "a label", "a finalizer"],
)
@pytest.mark.usefixtures("stage")
def test_the_autoscaler_may_write_nothing_else_of_a_pod(scene: Scene, change: Object) -> None:
    scene.create(workloads.pod("kept", Ask(program=programs.CALM)))
    until(lambda: not _refusal(scene, {"annotations": _COST}), "a cost may be written")

    assert "gshare: pod kept: " in until(lambda: _refusal(scene, change), "it is refused")


_COST = {names.ANNOTATION_DELETION_COST: "3"}


def _refusal(scene: Scene, metadata: Object) -> str:
    """Return why the autoscaler may not change a pod so; empty where it may."""
    account = f"system:serviceaccount:{names.NAMESPACE}:{names.PART_AUTOSCALER}"
    try:
        scene.cluster.kubectl(
            *("patch", "pod", "kept", "-n", scene.namespace, "--as", account),
            *("--type=merge", "--dry-run=server", "-p", json.dumps({"metadata": metadata})),
        )
    except ClusterError as error:
        return str(error)
    return ""


def _function(ask: Ask) -> Object:
    found = workloads.deployment(FUNCTION, ask)
    found["metadata"]["labels"] = {names.LABEL_FUNCTION: FUNCTION}
    return found


def _gpu(pod: Object) -> str:
    meta = pod["metadata"]
    placed = decode_placement(meta["annotations"][names.ANNOTATION_PLACEMENT], meta["namespace"])
    return placed.gpu_uuid


def _costs(scene: Scene) -> dict[str, int]:
    return {
        name_of(pod): int(pod["metadata"]["annotations"].get(names.ANNOTATION_DELETION_COST, 0))
        for pod in scene.pods(FUNCTION)
    }
