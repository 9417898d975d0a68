"""For how long a node that turns pods away is left alone."""

from gshare_extender.recovery import LONGEST_S, Resting


def length_of_next_rest(resting, now_s):
    """Have the node turn a pod away; return for how long it rests."""
    resting.turned_away("a", now_s)
    length_s = 0.0
    while resting.rests("a", now_s + length_s):
        length_s += 0.5
    return length_s


def test_a_rest_is_longer_each_time_up_to_a_bound():
    resting, now_s, lengths = Resting(), 100.0, []
    for _ in range(4):
        lengths.append(length_of_next_rest(resting, now_s))
        now_s += lengths[-1]

    assert lengths == [3.0, 6.0, 12.0, LONGEST_S]


def test_several_pods_turned_away_at_once_count_as_one():
    resting = Resting()
    for _ in range(5):
        resting.turned_away("a", 100.0)

    assert not resting.rests("a", 103.0)


def test_a_node_is_told_once_when_its_rest_is_over():
    resting = Resting()
    resting.turned_away("a", 100.0)

    told = [resting.over(at_s) for at_s in (102.9, 103.0, 103.1)]

    assert told == [[], ["a"], []]


def test_a_rest_long_ago_is_forgotten():
    resting = Resting()
    resting.turned_away("a", 100.0)
    resting.over(103.0)
    resting.over(103.0 + 2 * LONGEST_S + 1)

    assert length_of_next_rest(resting, 200.0) == 3.0


def test_a_change_ends_the_rest():
    resting = Resting()
    resting.turned_away("a", 100.0)

    assert resting.changed("a")
    assert not resting.changed("a")
    assert not resting.rests("a", 100.0)
