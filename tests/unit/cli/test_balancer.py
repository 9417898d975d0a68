"""The choice of a replica for a new connection."""

from gshare_cli import balancer


def test_the_replica_with_the_fewest_connections_is_chosen() -> None:
    assert balancer.choose(["a", "b", "c"], {"a": 2, "b": 1, "c": 3}, last=None) == "b"


def test_among_equals_the_next_in_turn_is_chosen() -> None:
    assert balancer.choose(["a", "b", "c"], {}, last=None) == "a"
    assert balancer.choose(["a", "b", "c"], {}, last="a") == "b"
    assert balancer.choose(["a", "b", "c"], {}, last="c") == "a"


def test_a_replica_that_left_does_not_break_the_turn() -> None:
    assert balancer.choose(["a", "c"], {}, last="b") == "a"
