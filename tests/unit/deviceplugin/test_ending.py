"""When a lease ends."""

import pytest

from gshare_deviceplugin.ending import PATIENCE_S, Fate, Signs, has_ended, is_over


@pytest.mark.parametrize(
    ("signs", "over"),
    [
        pytest.param(Signs(Fate.LIVE, is_listed=True, processes=1), False, id="it runs"),
        pytest.param(Signs(Fate.LIVE, is_listed=False, processes=0), False, id="kubelet is new"),
        pytest.param(Signs(Fate.UNKNOWN, is_listed=False, processes=0), False, id="API away"),
        pytest.param(Signs(Fate.GONE, is_listed=True, processes=0), False, id="deleted by force"),
        pytest.param(Signs(Fate.GONE, is_listed=None, processes=0), False, id="kubelet away"),
        pytest.param(Signs(Fate.GONE, is_listed=False, processes=0), True, id="gone"),
        pytest.param(Signs(Fate.ENDED, is_listed=True, processes=0), True, id="ended, listed yet"),
    ],
)
def test_a_pod_is_over_when_nobody_doubts_it(signs, over) -> None:
    assert is_over(signs) is over
    assert has_ended(signs, 0) is over


@pytest.mark.parametrize("processes", [None, 2], ids=["daemon away", "processes that cannot die"])
def test_what_may_still_be_on_the_gpu_is_waited_for_but_not_for_ever(processes: int | None) -> None:
    signs = Signs(Fate.GONE, is_listed=False, processes=processes)

    assert not has_ended(signs, PATIENCE_S - 1)
    assert has_ended(signs, PATIENCE_S)
