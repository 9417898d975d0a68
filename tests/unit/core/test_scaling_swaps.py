"""When replicas that run are swapped for cheaper ones."""

from tests.support.profiles import make_option

from gshare.scaling import Shape
from gshare.scaling.swaps import Swaps

A, B = Shape(12, 40), Shape(12, 60)
OPTIONS = (make_option(12, 40, 35.0, 0.06), make_option(12, 60, 50.0, 0.072))
# Three of A cost 0.18 and two of B 0.144: 0.036 a second is what the swap saves.
PAYS_AFTER_S = 0.144 * 330 / 0.036


def planned(swaps, now_s, running=None, options=OPTIONS, policy="exact", rate_rps=100.0):
    return swaps.plan(now_s, policy, options, rate_rps, running or {A: 3}).counts


def steadily(swaps, until_s, **question):
    """Ask every 30 s from 0 on; return the answers."""
    return [planned(swaps, float(now_s), **question) for now_s in range(0, until_s + 1, 30)]


def test_what_runs_is_kept_until_a_cheaper_mix_would_have_paid_for_its_starts():
    answers = steadily(Swaps(330.0), 1500)

    kept = int(PAYS_AFTER_S / 30)
    assert kept == 44
    assert answers[:kept] == [{A: 3}] * kept
    assert answers[kept + 1 :] == [{B: 2}] * (len(answers) - kept - 1)


def test_a_swap_that_is_decided_stays_decided_until_it_runs():
    swaps = Swaps(330.0)
    steadily(swaps, 1500)

    assert planned(swaps, 1501.0) == {B: 2}
    assert planned(swaps, 1531.0, {A: 3, B: 2}) == {B: 2}
    assert planned(swaps, 1561.0, {B: 2}) == {B: 2}


def test_a_rate_that_wavers_swaps_nothing():
    swaps = Swaps(330.0)

    # At 105 req/s three of A are the cheapest; before two of B have paid, it is that again.
    answers = [
        planned(swaps, float(now_s), rate_rps=105.0 if now_s % 900 == 0 else 100.0)
        for now_s in range(0, 9000, 30)
    ]

    assert answers == [{A: 3}] * len(answers)


def test_a_mix_that_costs_much_less_is_started_at_once():
    cheap = (OPTIONS[0], make_option(12, 60, 50.0, 0.055))

    assert planned(Swaps(330.0), 0.0, options=cheap) == {B: 2}


def test_nothing_is_summed_up_while_nobody_asks():
    swaps = Swaps(330.0)

    assert planned(swaps, 0.0) == {A: 3}
    assert planned(swaps, 100_000.0) == {A: 3}


def test_where_a_start_costs_no_time_the_cheapest_mix_is_started_at_once():
    assert planned(Swaps(0.0), 0.0) == {B: 2}


def test_a_policy_that_never_swaps_is_followed():
    assert steadily(Swaps(330.0), 3000, policy="rpr")[-1] == {A: 3}
