"""Pods that wait for room, and quota limits that change while a pod runs."""

import time

from tests.cluster.harness import Cluster
from tests.cluster.support import programs, workloads
from tests.cluster.support.agreement import agreement, record_of
from tests.cluster.support.delivery import Meter
from tests.cluster.support.figures import Figures
from tests.cluster.support.scene import Scene, is_running, node_of, until
from tests.cluster.support.workloads import Ask

from gshare import names

WHOLE = Ask(100, 100, programs.CALM)
SOON_S = 10.0


def test_a_pod_without_room_says_so_and_runs_when_there_is_some(
    cluster: Cluster, scene: Scene, meter: Meter, figures: Figures
) -> None:
    gpus = sum(len(node.gpus) for node in meter.nodes.values())
    scene.create(*(workloads.pod(f"whole-{number}", WHOLE) for number in range(gpus)))
    scene.wait_running(gpus)
    scene.create(workloads.pod("waiting", Ask(12, 40, programs.CALM)))
    note = scene.wait_event("waiting", "FailedScheduling", f"0/{len(cluster.nodes)} nodes")

    deleted = time.monotonic()
    scene.delete("Pod", "whole-0")
    until(lambda: is_running(scene.pod("waiting")), "the waiting pod runs")

    figures.conditions["event_of_a_pod_without_room"] = note
    figures.claim(
        "a whole pod is deleted: the waiting one runs",
        time.monotonic() - deleted,
        "s",
        "<=",
        SOON_S,
    )
    assert node_of(scene.pod("waiting"))
    agreement(cluster)


def test_a_quota_limit_is_in_force_two_windows_after_it_was_changed(
    cluster: Cluster, scene: Scene, meter: Meter
) -> None:
    ask = Ask(50, 30, annotations={"quota_limit": "30"})
    scene.create(workloads.pod("elastic", ask))
    (pod,) = scene.wait_running(1)
    scene.wait_launching(["elastic"])
    lease = record_of(cluster, pod).lease_id

    got = {"30": _share(meter, lease)}
    for limit in ("80", "45"):
        scene.annotate("elastic", names.ANNOTATION_QUOTA_LIMIT, limit)
        time.sleep(2 * meter.window_s)
        got[limit] = _share(meter, lease)

    assert all(int(limit) - 5 <= percent <= int(limit) + 2.5 for limit, percent in got.items()), got


def _share(meter: Meter, lease: str) -> float:
    return meter.shares(3)[lease].time_percent
