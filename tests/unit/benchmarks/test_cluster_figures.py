"""What the trials of the cluster benchmark promise together."""

import pytest
from benchmarks.cluster import figures, objects
from benchmarks.cluster import trial as trials
from benchmarks.cluster.figures import Drain, Latency, Trial
from benchmarks.cluster.histograms import Scrape

SETTINGS = {"clientConnection": {"kubeconfig": "k"}, "extenders": ["another"], "kind": "K"}


def trial(nodes=1000, pods=2000, seconds=20.0, conflicts=0, busy=0.0, *, has_extender=True):
    """Return a trial that only says what matters here."""
    some = Latency(pods, 1, 1, 1, 1)
    drain = Drain(pods, seconds, {}, {}, busy)
    return Trial(nodes, has_extender, drain, 0, {}, some, some, {}, conflicts, 0)


def verdicts(*trials):
    """Return what holds, by the claim's name."""
    return {claim.name: claim.holds for claim in figures.claims(trials)}


@pytest.mark.parametrize(
    ("nodes", "seconds", "holds"),
    [
        pytest.param(1000, 20 / 0.85, True, id="1,000 nodes at the bar"),
        pytest.param(1000, 20 / 0.849, False, id="1,000 nodes below it"),
        pytest.param(5000, 20 / 0.96, True, id="5,000 nodes above the bar"),
        pytest.param(5000, 20 / 0.949, False, id="5,000 nodes below it"),
    ],
)
def test_the_throughput_is_judged_against_that_without_the_extender(nodes, seconds, holds):
    found = verdicts(trial(nodes, has_extender=False), trial(nodes, seconds=seconds))

    assert found[f"throughput_ratio_{nodes}_nodes"] is holds


def test_rounds_count_by_all_their_pods_and_seconds():
    rounds = [trial(pods=1000, seconds=10), trial(pods=1000, seconds=30)]

    assert figures.pods_per_s(rounds) == 50


def test_100_nodes_have_no_bar_for_throughput():
    found = verdicts(trial(100, has_extender=False), trial(100, seconds=2000))

    assert found == {"bind_conflicts_100_nodes": True}


@pytest.mark.parametrize(("conflicts", "holds"), [(20, True), (21, False)])
def test_conflicts_are_judged_in_the_worst_round(conflicts, holds):
    without = trial(has_extender=False)

    found = verdicts(without, trial(conflicts=0), without, trial(conflicts=conflicts))

    assert found["bind_conflicts_1000_nodes"] is holds


def test_an_attempt_that_bound_no_pod_is_counted_and_not_timed():
    name = "scheduler_scheduling_attempt_duration_seconds"
    series = [("scheduled", 3, 0.3), ("unschedulable", 2, 9.0)]
    scrape = Scrape.parse(
        "".join(
            f'# TYPE {name} histogram\n{name}_bucket{{result="{result}",le="+Inf"}} {count}\n'
            f'{name}_sum{{result="{result}"}} {total}\n'
            f'{name}_count{{result="{result}"}} {count}\n'
            for result, count, total in series
        )
    )

    assert figures.attempts(scrape) == {"scheduled": 3, "unschedulable": 2}
    assert figures.attempt(scrape).mean_ms == pytest.approx(100)


def test_without_the_extender_the_scheduler_counts_by_itself_and_all_else_is_alike():
    without = objects.scheduler_settings(SETTINGS, None)
    with_it = objects.scheduler_settings(SETTINGS, {"urlPrefix": "ours"})

    assert with_it == {**without, "extenders": [{"urlPrefix": "ours"}]}
    assert without["clientConnection"]["kubeconfig"] == "k"


def test_every_trial_has_the_same_pods():
    assert objects.pods(50) == objects.pods(60)[:50]


@pytest.mark.parametrize(
    ("busy", "counts", "tried"),
    [
        pytest.param([40, 10, 0], 10, 2, id="the first on a quiet host"),
        pytest.param([40, 20, 30], 20, 3, id="the least disturbed where none was quiet"),
    ],
)
def test_a_trial_is_repeated_while_others_use_the_host(busy, counts, tried):
    attempts = (trial(busy=percent) for percent in busy)

    found = trials.quietest(attempts)

    assert found.drain.host_busy_percent == counts
    assert len(list(attempts)) == len(busy) - tried


def test_arrivals_that_are_unknown_are_refused():
    with pytest.raises(ValueError, match="arrivals 'never'"):
        trials.Load(1, 1, "never")
