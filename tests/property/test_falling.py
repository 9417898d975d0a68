"""Keys in falling order, a batch at a time, are those that sorting all of them gives."""

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gshare.ledger.falling import Falling


def some_keys(chance, count, most_of_it):
    """Return different keys, many of them none; those that are most are clustered at the top."""
    keys = chance.sample(range(1, 50 * count + 1), count)
    return np.array([key if chance.random() < most_of_it else -1 for key in keys], np.int64)


def all_of(falling):
    found = []
    while falling.head >= 0:
        found.append((falling.head, falling.pop()))
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.sampled_from([1, 5, 64, 65, 600, 3000]),
    most_of_it=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_keys_come_as_sorted(seed, count, most_of_it):
    keys = some_keys(random.Random(seed), count, most_of_it)  # noqa: S311
    wanted = sorted(((int(key), at) for at, key in enumerate(keys) if key >= 0), reverse=True)

    first = Falling(keys)

    assert all_of(first) == wanted
    assert all_of(Falling(keys, first.floor)) == wanted
    assert all_of(Falling(keys, 25 * count)) == wanted


@pytest.mark.parametrize("keeps", [False, True], ids=["dropping", "keeping"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.sampled_from([40, 700, 3000]), kinds=st.integers(1, 9))
@example(seed=0, count=3000, kinds=1)
def test_groups_that_are_left_out_come_no_more(keeps, seed, count, kinds):
    """Whenever a group is left out, what follows is the rest in order."""
    chance = random.Random(seed)  # noqa: S311
    keys = some_keys(chance, count, 0.7)
    groups = np.array([chance.randrange(kinds) for _ in keys], np.int64)
    falling = Falling(keys, groups=lambda found: groups[found])
    taken = [falling.pop() for _ in range(chance.randrange(30)) if falling.head >= 0]
    out = set(chance.sample(range(kinds), chance.randint(0, kinds)))
    rest = [at for at in np.argsort(-keys).tolist() if keys[at] >= 0 and at not in set(taken)]

    if keeps:
        falling.keep([kind for kind in range(kinds) if kind not in out])
    else:
        for kind in out:
            falling.drop(kind)

    assert [at for _, at in all_of(falling)] == [at for at in rest if groups[at] not in out]
