"""Forty pods at once: each gets its own limits, none is refused by its node, all run soon."""

import time

import pytest
from tests.cluster.harness import Cluster
from tests.cluster.support import programs, workloads
from tests.cluster.support.agreement import agreement, record_of
from tests.cluster.support.figures import Figures
from tests.cluster.support.scene import (
    Scene,
    is_over,
    is_running,
    name_of,
    node_of,
    placement_of,
    until,
)
from tests.cluster.support.workloads import Ask, Object

from gshare import names

PODS = 40
SOON_S = 60
MIB = 1 << 20


def _different(number: int) -> Ask:
    """Return a shape that few of the others have: 5-14 % of the SMs, 8-20 % of the time."""
    memory = {"gpu_mem": f"{512 + 16 * number}Mi", "quota_limit": str(30 + number)}
    return Ask(5 + number % 10, 8 + number % 13, programs.CALM, annotations=memory)


def _equal(_: int) -> Ask:
    return Ask(10, 20, programs.CALM)


@pytest.mark.parametrize(
    "kind", [pytest.param(_equal, id="equal"), pytest.param(_different, id="different")]
)
def test_forty_pods_at_once_each_see_their_own_limits(
    cluster: Cluster, scene: Scene, figures: Figures, kind: object
) -> None:
    assert callable(kind)
    began = time.monotonic()
    scene.create(*(workloads.pod(f"pod-{number}", kind(number)) for number in range(PODS)))
    pods, seconds = _all_running(scene)

    wrong = [line for pod in pods for line in _mismatches(cluster, scene, pod)]

    assert wrong == []
    what = kind.__name__.strip("_")
    figures.conditions[f"forty_{what}_created_to_running_s"] = round(time.monotonic() - began, 1)
    figures.claim(f"40 {what} pods: bind to Running of the last", seconds, "s", "<=", SOON_S)
    agreement(cluster)


def _all_running(scene: Scene) -> tuple[list[Object], float]:
    """Return all pods when they run, and the longest time that one took from bind to Running."""
    bound: dict[str, float] = {}
    running: dict[str, float] = {}

    def look() -> list[Object]:
        pods, now = scene.pods(), time.monotonic()
        failed = [pod["status"] for pod in pods if is_over(pod)]
        assert not failed, f"pods failed: {failed}"
        for pod in pods:
            if node_of(pod):
                bound.setdefault(name_of(pod), now)
            if is_running(pod):
                running.setdefault(name_of(pod), now)
        if len(running) < PODS:
            raise LookupError(f"{len(bound)} are bound, {len(running)} run")
        return pods

    pods = until(look, f"{PODS} pods run", 120)
    return pods, max(running[name] - bound[name] for name in running)


def _mismatches(cluster: Cluster, scene: Scene, pod: Object) -> list[str]:
    """Return what in a pod's page and environment is not its own."""
    sight, placed = scene.sight(name_of(pod)), placement_of(pod)
    limit = pod["metadata"]["annotations"].get(names.ANNOTATION_QUOTA_LIMIT, "100")
    assert placed
    page = sight.limits
    expected = {
        "lease": (page.lease_id, record_of(cluster, pod).lease_id),
        "owner": (page.lease_id[:8], str(pod["metadata"]["uid"])[:8]),
        "gpu": (page.gpu_uuid, placed.gpu_uuid),
        "sm": (page.sm_percent, placed.sm_percent),
        "quota": (page.quota_request_percent, placed.quota_percent),
        "limit": (page.quota_limit_percent, int(limit)),
        "memory": (page.memory_limit_bytes, placed.memory_bytes),
        names.ENV_VISIBLE_DEVICES: (sight.env[names.ENV_VISIBLE_DEVICES], placed.gpu_uuid),
        names.ENV_MPS_PERCENTAGE: (sight.env[names.ENV_MPS_PERCENTAGE], str(placed.sm_percent)),
        names.ENV_MPS_MEMORY_LIMIT: (
            sight.env[names.ENV_MPS_MEMORY_LIMIT],
            f"0={placed.memory_bytes // MIB}M",
        ),
        names.ENV_LEASE_DIR: (sight.env[names.ENV_LEASE_DIR], names.CONTAINER_LEASE_DIR),
    }
    return [
        f"{name_of(pod)}: {key} is {seen}, not {right}"
        for key, (seen, right) in expected.items()
        if seen != right
    ]
