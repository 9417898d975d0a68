"""HPAs scale a function by what the autoscaler answers, under load through its Service.

Two courses: the paper's trace, in which nothing is disturbed, and one of single steps in whose
time everything is (`disturbances`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import pytest
from tests.cluster.support import disturbances, functions
from tests.cluster.support.disturbances import Played
from tests.cluster.support.figures import Figures
from tests.cluster.support.functions import SLO_MS, Function
from tests.cluster.support.offered import Offer, Request, missed_percent
from tests.cluster.support.replicas import Course, Sight
from tests.cluster.support.scene import Scene
from tests.cluster.support.stage import Stage

from gshare_example_server.load.trace import Trace

pytestmark = pytest.mark.timeout(900)

PAPER: Final = "0:0 5:30 35:60 110:110 125:100 135:90 145:70 160:50 184:21"
"""The paper's trace for ResNet-50, seconds:requests/s."""
MOST_MISSED_PERCENT: Final = 1.0
ATTEMPTS: Final = 2


@pytest.fixture
def resnet(stage: Stage, scene: Scene, tmp_path: Path) -> Iterator[Function]:  # noqa: ARG001 (it scales)
    """Yield the example in the two shapes of the paper's workload, one replica Ready."""
    found = functions.render(scene, tmp_path, ["--shape=12x100", "--shape=12x40"])
    found.apply()
    try:
        found.wait_ready(1)
        yield found
    finally:
        found.remove()


@pytest.fixture(scope="module")
def played(stage: Stage, figures: Figures, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Return what was seen of the course with disturbances, played once for its tests."""
    found = disturbances.play(stage, tmp_path_factory.mktemp("disturbances"))
    _keep_case(figures, "10 to 12 replicas, disturbed", found.course, found.requests, found.offer)
    return found


def test_the_papers_trace_keeps_its_objective_with_two_shapes(
    scene: Scene, resnet: Function, figures: Figures
) -> None:
    """All shares a machine of two cores: a run that others disturbed is made again."""
    name = "the paper's trace"
    for _ in range(ATTEMPTS):
        course, requests, offer = _play(scene, resnet, PAPER)
        _keep_case(figures, name, course, requests, offer)
        assert not offer.failures()
        outside = missed_percent(requests, SLO_MS, course.starts())
        if outside <= MOST_MISSED_PERCENT:
            break

    assert any(all(sight.ready.values()) for sight in course.sights), "never two shapes at once"
    figures.claim(
        f"{name}: requests over {SLO_MS:g} ms outside pod start-up",
        outside, "%", "<=", MOST_MISSED_PERCENT,
    )  # fmt: skip
    _claim_followed(figures, name, course, offer)


def test_replicas_follow_one_by_one_beyond_the_tolerance_of_an_hpa(played: Played) -> None:
    """From 10 to 12 and back: HPA's own tolerance of 10 % would swallow each of these steps."""
    totals = [sight.total for sight in played.scaled]

    steps = [after - before for before, after in pairwise(totals) if after != before]

    assert set(steps) <= {1, -1}, played.told()
    assert (totals[0], max(totals), totals[-1]) == (10, 12, 10), played.told()


def test_replicas_stand_while_prometheus_is_away(played: Played) -> None:
    assert "PrometheusAway" in played.said
    assert _wanted(played.without_prometheus) == {10}, played.told()


def test_replicas_stand_while_the_autoscaler_is_killed(played: Played) -> None:
    assert _wanted(played.without_autoscaler) == {12}, played.told()


def test_no_request_fails_whatever_is_disturbed(played: Played) -> None:
    assert not played.offer.failures()
    assert {request.status for request in played.requests} == {200}


def test_a_function_goes_to_zero_and_comes_back_for_a_request(played: Played) -> None:
    """No replica means nobody who counts arrivals: a gateway does, and keeps requests waiting."""
    totals = [total for total, _ in groupby(sight.total for sight in played.resting.sights)]

    assert totals == [1, 0, 1, 0]
    assert {request.status for request in played.woken} == {200}
    assert max(request.latency_ms for request in played.woken[-10:]) < 1000


def _play(scene: Scene, function: Function, trace: str) -> tuple[Course, list[Request], Offer]:
    """Offer a trace from beginning to end, until one replica is left."""
    with function.course() as course:
        offer = Offer(scene, function.url, trace)
        requests = offer.wait()
        function.wait_ready(1, timeout_s=90)
    offer.remove()
    return course, requests, offer


def _claim_followed(figures: Figures, name: str, course: Course, offer: Offer) -> None:
    """Judge how often the Ready replicas served what was offered at that moment."""
    trace = Trace.parse(PAPER)
    during = course.between(offer.began_s, offer.ends_s)
    short = [
        sight
        for sight in during
        if _capacity_rps(sight) < trace.rate_rps(sight.at_s - offer.began_s)
    ]
    figures.claim(
        f"{name}: time with Ready replicas for what was offered",
        100 * (1 - len(short) / len(during)), "%", ">=", 95,
    )  # fmt: skip


def _capacity_rps(sight: Sight) -> float:
    full = {
        deployment: functions.throughput_rps(*_shape_of(deployment)) for deployment in sight.ready
    }
    return sum(full[deployment] * count for deployment, count in sight.ready.items())


def _shape_of(deployment: str) -> tuple[int, int]:
    """Return the shape that a rendered Deployment has in its name: resnet-s12-q40."""
    _, sm, quota = deployment.rsplit("-", 2)
    return int(sm.removeprefix("s")), int(quota.removeprefix("q"))


def _wanted(sights: list[Sight]) -> set[int]:
    """Return every number of replicas that was wanted in some time."""
    return {sight.total for sight in sights}


def _keep_case(
    figures: Figures, name: str, course: Course, requests: Sequence[Request], offer: Offer
) -> None:
    """Note in the report what happened, whether the test holds or not."""
    latencies = sorted(request.latency_ms for request in requests)
    figures.cases.append(
        {
            "case": name,
            "requests": len(requests),
            "failed": len(offer.failures()),
            "p50_ms": latencies[len(latencies) // 2],
            "p99_ms": latencies[len(latencies) * 99 // 100],
            "over_slo_percent": missed_percent(requests, SLO_MS),
            "sent_late_p99_ms": sorted(each.late_ms for each in requests)[
                len(requests) * 99 // 100
            ],
            "missed_by_second": _missed_by_second(requests, offer),
            "start_up_s": [[a - offer.began_s, b - offer.began_s] for a, b in course.starts()],
            "replicas": [
                [round(sight.at_s - offer.began_s, 1), dict(sight.wanted), dict(sight.ready)]
                for sight in course.changes()
            ],
        }
    )


def _missed_by_second(requests: Sequence[Request], offer: Offer) -> dict[int, int]:
    """Return how many requests missed the objective, of the seconds in which any did."""
    return Counter(
        int(request.due_s - offer.began_s) for request in requests if request.misses(SLO_MS)
    )
