"""The pure parts of the benchmark of shared weights: break-even and judgements."""

import pytest
from benchmarks.modelstore import calls, memory
from benchmarks.modelstore.calls import Calls
from benchmarks.modelstore.memory import MODELS, Footprint


def test_the_papers_own_figures_break_even_where_the_reference_says() -> None:
    assert [model.break_even_pods for model in MODELS] == [5, 3, 2, 2]


@pytest.mark.parametrize("store_mib", [1, 97, 98, 99, 195, 196, 400])
def test_break_even_is_the_first_count_at_which_sharing_takes_less(store_mib: int) -> None:
    original, sharing = 1525, 1427

    pods = memory.break_even(original, sharing, store_mib)

    assert pods * original > pods * sharing + store_mib
    assert (pods - 1) * original <= (pods - 1) * sharing + store_mib


def test_a_pod_that_saves_less_than_the_papers_misses_its_bar() -> None:
    model = MODELS[0]

    same = Footprint(model, model.original_mb, model.sharing_mb, model.store_mb)
    worse = Footprint(model, model.original_mb, model.sharing_mb + 1, model.store_mb)

    assert all(claim.holds for claim in same.claims())
    assert [claim.holds for claim in worse.claims()] == [False, True]


def test_one_connect_that_failed_misses_its_bar() -> None:
    times = [100.0] * 100

    found = Calls("somewhere", times, times, paced_failed=1, closely_per_s=calls.RATE)

    assert [claim.holds for claim in found.claims()] == [True, True, False]
