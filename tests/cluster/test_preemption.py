"""Pods of a higher PriorityClass take the place of the cheapest lower ones, or of nobody."""

import contextlib
import time
from collections.abc import Iterator

import pytest
from tests.cluster.harness import Cluster
from tests.cluster.support import programs, workloads
from tests.cluster.support.agreement import agreement
from tests.cluster.support.scene import (
    ApiStatusError,
    Scene,
    is_running,
    name_of,
    until,
)
from tests.cluster.support.workloads import LABEL, Ask, Object

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
PRIORITIES = {"low": 10, "middle": 100, "high": 1000, "polite": 1001}
QUIET_S = 4.0
"""How long nobody may be evicted for a claim that nobody is."""


@pytest.fixture(scope="module", autouse=True)
def _priority_classes(cluster: Cluster) -> Iterator[None]:
    for name, value in PRIORITIES.items():
        body = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": f"gshare-test-{name}"},
            "value": value,
            "preemptionPolicy": "Never" if name == "polite" else "PreemptLowerPriority",
        }
        with contextlib.suppress(ApiStatusError):
            cluster.api.post(CLASSES, body)
    yield
    for name in PRIORITIES:
        cluster.api.delete(f"{CLASSES}/gshare-test-{name}")


def _ask(sm: int, quota: int, priority: str) -> Ask:
    """Return a calm pod on the first node."""
    spec = {
        "priorityClassName": f"gshare-test-{priority}",
        "nodeSelector": {"kubernetes.io/hostname": "node-1"},
    }
    return Ask(sm, quota, programs.CALM, spec=spec)


def test_the_cheapest_lower_pods_make_room(cluster: Cluster, scene: Scene) -> None:
    """One GPU is held in halves, the other in quarters: one quarter is enough, and is cheaper."""
    _fill(scene, {"half": (2, _ask(100, 50, "low")), "quarter": (4, _ask(50, 50, "low"))})

    scene.create(workloads.pod("urgent", _ask(50, 50, "high")))
    until(lambda: is_running(scene.pod("urgent")), "the urgent pod runs")

    left = _running(scene)
    assert sum(name.startswith("half") for name in left) == 2
    assert sum(name.startswith("quarter") for name in left) == 3
    agreement(cluster)


def test_both_sides_of_a_preemption_have_an_event(cluster: Cluster, scene: Scene) -> None:
    _fill(scene, {"whole": (2, _ask(100, 100, "low"))})

    scene.create(workloads.pod("urgent", _ask(100, 100, "high")))
    until(lambda: is_running(scene.pod("urgent")), "the urgent pod runs")

    (victim,) = {"whole-0", "whole-1"} - _running(scene)
    scene.wait_event(victim, "Preempted", "urgent")
    scene.wait_event("urgent", "Preempting", victim)
    agreement(cluster)


def test_lower_priorities_go_before_higher_ones(cluster: Cluster, scene: Scene) -> None:
    _fill(scene, {"middle": (1, _ask(100, 100, "middle")), "low": (1, _ask(100, 100, "low"))})

    scene.create(workloads.pod("urgent", _ask(30, 30, "high")))
    until(lambda: is_running(scene.pod("urgent")), "the urgent pod runs")

    assert _running(scene) == {"middle-0", "urgent"}
    agreement(cluster)


def test_a_disruption_budget_is_honoured(cluster: Cluster, scene: Scene) -> None:
    """Of two equal pods the one whose budget allows it goes; where none allows it, none goes."""
    _fill(scene, {"guarded": (1, _ask(100, 100, "low")), "open": (1, _ask(100, 100, "low"))})
    _guard(scene, "guarded")

    scene.create(workloads.pod("urgent", _ask(100, 100, "high")))
    until(lambda: is_running(scene.pod("urgent")), "the urgent pod runs")
    scene.create(workloads.pod("second", _ask(100, 100, "high")))
    time.sleep(QUIET_S)

    assert _running(scene) == {"guarded-0", "urgent"}
    agreement(cluster)


def test_nobody_is_evicted_in_vain(cluster: Cluster, scene: Scene) -> None:
    """What the lower pods hold together would not do, or a budget holds one of those needed."""
    _fill(
        scene,
        {
            "equal": (2, _ask(60, 100, "high")),
            "low": (1, _ask(40, 100, "low")),
            "guarded": (1, _ask(40, 50, "low")),
            "free": (1, _ask(40, 50, "low")),
        },
    )
    _guard(scene, "guarded")
    before = _running(scene)

    scene.create(workloads.pod("too-large", _ask(50, 100, "high")))
    time.sleep(QUIET_S)

    assert _running(scene) == before
    scene.wait_event("too-large", "FailedScheduling")
    agreement(cluster)


def test_a_pod_that_may_not_preempt_waits(cluster: Cluster, scene: Scene) -> None:
    _fill(scene, {"whole": (2, _ask(100, 100, "low"))})

    scene.create(workloads.pod("polite", _ask(20, 20, "polite")))
    time.sleep(QUIET_S)

    assert _running(scene) == {"whole-0", "whole-1"}
    agreement(cluster)


def _fill(scene: Scene, groups: dict[str, tuple[int, Ask]]) -> None:
    """Run pods of several kinds, one kind after the other, so that each is packed by itself."""
    total = 0
    for name, (count, ask) in groups.items():
        scene.create(*(_labelled(f"{name}-{number}", name, ask) for number in range(count)))
        total += count
        scene.wait_running(total)


def _running(scene: Scene) -> set[str]:
    """Return the names of the pods that run and that nobody has told to end."""
    return {name_of(pod) for pod in scene.pods() if is_running(pod)}


def _labelled(name: str, group: str, ask: Ask) -> Object:
    pod = workloads.pod(name, ask)
    pod["metadata"]["labels"]["group"] = group
    assert pod["metadata"]["labels"][LABEL] == name
    return pod


def _guard(scene: Scene, group: str) -> None:
    """Let the one pod of a group not be evicted, and wait until its budget knows it."""
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": group},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"group": group}}},
    }
    scene.create(budget)

    def is_known() -> bool:
        found = scene.api.get(scene.path("PodDisruptionBudget", group))
        status = found.get("status", {})
        return bool(status.get("expectedPods")) and status.get("disruptionsAllowed") == 0

    until(is_known, f"the budget of {group} is known")
