"""Which of many equal events are written."""

from gshare.runtime.kube.aggregation import MOST_SERIES, SERIES_S, Aggregator, is_written


def test_counts_each_key_by_itself():
    aggregator = Aggregator()

    assert [aggregator.count(key, 0) for key in "aaba"] == [1, 2, 1, 3]


def test_a_series_that_rested_starts_anew():
    aggregator = Aggregator()
    aggregator.count("a", 0)
    aggregator.written("a", "a.1")

    assert aggregator.count("a", SERIES_S) == 2
    assert aggregator.count("a", 2 * SERIES_S + 1) == 1
    assert not aggregator.name_of("a")


def test_remembers_only_so_many():
    aggregator = Aggregator()
    for number in range(MOST_SERIES + 1):
        aggregator.count(number, 0)

    assert aggregator.count(0, 0) == 1
    assert aggregator.count(MOST_SERIES, 0) == 2


def test_writes_powers_of_two():
    assert [count for count in range(1, 20) if is_written(count)] == [1, 2, 4, 8, 16]
