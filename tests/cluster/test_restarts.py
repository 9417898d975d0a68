"""Each part is killed while pods run and while pods arrive; nobody but the part notices."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.cluster.harness import Cluster
from tests.cluster.support import programs, workloads
from tests.cluster.support.agreement import agreement, record_of
from tests.cluster.support.delivery import Meter
from tests.cluster.support.figures import Figures
from tests.cluster.support.pulse import Pulse
from tests.cluster.support.restarts import PARTS, Part, part
from tests.cluster.support.scene import (
    Scene,
    container_of,
    is_over,
    is_running,
    name_of,
    node_of,
    until,
)
from tests.cluster.support.workloads import Ask, Object

ARRIVING = 3
SOON_S = 10.0
LATER_S = 30.0
"""For pods whose start was interrupted: the kubelet itself tries again after 10-15 s."""
DEAD_S = 1.0
WATCHED_S = 6.0
"""Those who run are watched for so long at least."""
MOST_FAILED = 2 * ARRIVING
"""Pods that a kubelet without its plugin refused for good; their Deployment replaces them."""
QUOTA = 45
LEAST_KEPT_PERCENT = 95
LONGEST_GAP_WINDOWS = 3


@dataclass(frozen=True, slots=True)
class Residents:
    """Pods that run, saturated, through all restarts: a GPU's two halves, taken in turns."""

    scene: Scene
    containers: dict[str, tuple[str, int]]
    leases: dict[str, str]
    node: str


@pytest.fixture(scope="module")
def residents(cluster: Cluster) -> Iterator[Residents]:
    scene = Scene(cluster, "residents")
    scene.create(*(workloads.pod(f"resident-{n}", Ask(60, QUOTA, cpu="300m")) for n in (1, 2)))
    pods = scene.wait_running(2)
    scene.wait_launching(map(name_of, pods))
    yield Residents(
        scene,
        _containers(scene),
        {name_of(pod): record_of(cluster, pod).lease_id for pod in pods},
        node_of(pods[0]),
    )
    scene.wipe()
    agreement(cluster)


@pytest.mark.parametrize("name", PARTS)
def test_running_pods_go_on_and_new_ones_soon_run(
    cluster: Cluster,
    scene: Scene,
    meter: Meter,
    figures: Figures,
    residents: Residents,
    name: str,
) -> None:
    mortal = part(cluster, cluster.node(residents.node), name)

    with Pulse(meter, residents.leases.values()) as pulse:
        seconds = _kill_while_pods_arrive(scene, mortal)
    beats = pulse.beats()

    assert _containers(residents.scene) == residents.containers
    least = min(beat.time_percent for beat in beats.values()) / QUOTA * 100
    longest = max(beat.longest_gap_s for beat in beats.values())
    failed = [pod for pod in scene.pods() if is_over(pod)]
    figures.cases.append(
        {
            "killed": name,
            "back_after_s": round(seconds["back"], 1),
            "new_pods_ran_after_s": round(seconds["new"], 1),
            "all_pods_ran_after_s": round(seconds["all"], 1),
            "least_kept_percent": round(least, 1),
            "longest_gap_s": round(longest, 3),
            "failed_pods": len(failed),
        }
    )
    agreement(cluster)
    assert len(failed) <= MOST_FAILED
    assert longest <= LONGEST_GAP_WINDOWS * meter.window_s, beats
    assert least >= LEAST_KEPT_PERCENT, beats
    assert seconds["all"] <= LATER_S
    figures.claim(f"{name} killed: new pods run", seconds["new"], "s", "<=", SOON_S)


def _kill_while_pods_arrive(scene: Scene, mortal: Part) -> dict[str, float]:
    """Let pods arrive before, while and after a part is dead.

    Return the seconds from the kill until the part is back and until all pods run, and from their
    creation, once it is back, until the new ones run.
    """
    arriving = Ask(8, 10, programs.CALM)
    scene.create(workloads.deployment("before", arriving, ARRIVING))
    time.sleep(0.5)  # some are bound, some are being started
    mortal.kill()
    killed = time.monotonic()
    if not mortal.is_of_api:
        scene.create(workloads.deployment("while", arriving, ARRIVING))
    time.sleep(DEAD_S)
    mortal.revive()
    new = workloads.deployment("new", arriving, ARRIVING)
    until(lambda: _created(scene, new), "the API server takes a Deployment")
    created = time.monotonic()
    seconds = {"back": created - killed}
    until(lambda: _running(scene, "new") == ARRIVING, "the new pods run")
    seconds["new"] = time.monotonic() - created
    wanted = scene.deployments() * ARRIVING
    until(lambda: _running(scene) == wanted, "all pods run")
    seconds["all"] = time.monotonic() - killed
    time.sleep(max(0.0, WATCHED_S - seconds["all"]))
    return seconds


def _containers(scene: Scene) -> dict[str, tuple[str, int]]:
    return {name_of(pod): container_of(pod) for pod in scene.wait_running(2)}


def _created(scene: Scene, deployment: Object) -> bool:
    scene.create(deployment)
    return True


def _running(scene: Scene, name: str = "") -> int:
    return sum(is_running(pod) for pod in scene.pods(name))
