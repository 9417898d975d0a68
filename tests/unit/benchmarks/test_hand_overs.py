"""Hand-overs of a token, told from the times in which kernels ran."""

from benchmarks.hook.tokens import hand_overs

from gshare_simgpu import Span


def test_a_hand_over_lasts_from_the_end_of_one_lease_to_the_begin_of_the_next():
    spans = [Span("a", 0, 100), Span("b", 130, 200), Span("a", 245, 300)]

    assert hand_overs(spans) == [30, 45]


def test_a_gap_within_one_lease_is_no_hand_over():
    spans = [Span("a", 0, 100), Span("a", 150, 200), Span("b", 210, 300)]

    assert hand_overs(spans) == [10]
