"""Whole numbers in falling order, a batch at a time, since only the first few matter."""

from collections.abc import Callable, Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Places = NDArray[np.intp]
_BATCH: Final = 64
_ENOUGH: Final = 32
_TOO_MANY: Final = 512
_SAMPLE: Final = 256
"""So many of the keys tell above which value about a batch of them lies."""
_ABOVE_ALL: Final = 2**63 - 1


class Falling:
    """The keys that are not negative, all different, with their indices, the greatest first.

    `floor` is a guess: about a batch of them lies above it; `above` finds those, where there is a
    faster way than to compare all. Each key belongs to a group, and groups can be left out as a
    whole.
    """

    def __init__(
        self,
        keys: Ints,
        floor: int = 0,
        groups: Callable[[Places], Ints] | None = None,
        above: Callable[[int], Places] | None = None,
    ) -> None:
        self._keys = keys
        self.floor = floor
        """A better guess, for the next time."""
        self.head = -1
        """The greatest key that is left; -1 at the end."""
        self._groups = groups or _ungrouped
        self._dropped: set[int] = set()
        self._kept: Collection[int] | None = None
        self._batch: list[tuple[int, int, int]] = []
        """Key, index and group, the greatest key last."""
        self._length = _BATCH
        self._lowest = _ABOVE_ALL
        """The last key of the batch that was taken last, 0 when all were."""
        self._begin(above or (lambda least: np.flatnonzero(keys >= least)))

    def pop(self) -> int:
        """Return the index of the greatest key, and go on to the next."""
        at = self._batch.pop()[1]
        self._go_on()
        return at

    def drop(self, group: int) -> None:
        """Leave out a group."""
        self._dropped.add(group)
        self._go_on()

    def keep(self, groups: Collection[int]) -> None:
        """Leave out all but `groups`."""
        self._kept = groups
        self._batch = [each for each in self._batch if each[2] in groups]
        if not groups:
            self._lowest = 0
        self._go_on()

    def _begin(self, above: Callable[[int], Places]) -> None:
        """Take the greatest keys by the guess, or without it where they are too few or many."""
        found = above(max(0, self.floor))
        if self.floor and not _ENOUGH <= len(found) <= _TOO_MANY:
            found = np.flatnonzero(self._keys >= 0)
        self._take(found)
        self.floor = self._lowest if len(found) >= _ENOUGH else 0
        self._go_on()

    def _go_on(self) -> None:
        """Find the next, past groups that were left out; batches grow, as those may be long."""
        batch, dropped = self._batch, self._dropped
        while batch and batch[-1][2] in dropped:
            batch.pop()
        while not self._batch and self._lowest:
            self._length *= 2
            self._take(np.flatnonzero((self._keys >= 0) & (self._keys < self._lowest)))
        self.head = self._batch[-1][0] if self._batch else -1

    def _take(self, found: Places) -> None:
        """Take the greatest of the keys at `found`, but for groups that were left out."""
        at = self._greatest(found)
        keys = self._keys[at]
        order = np.argsort(keys)
        keys, at = keys[order], at[order]
        self._lowest = int(keys[0]) if len(keys) else 0
        groups = self._groups(at)
        if self._dropped or self._kept is not None:
            counts = self._count(groups)
            keys, at, groups = keys[counts], at[counts], groups[counts]
        self._batch = list(zip(keys.tolist(), at.tolist(), groups.tolist(), strict=True))

    def _count(self, groups: Ints) -> NDArray[np.bool_]:
        """Tell which were not left out."""
        if self._kept is not None:
            return np.isin(groups, list(self._kept))
        return ~np.isin(groups, list(self._dropped))

    def _greatest(self, found: Places) -> Places:
        """Return of `found` at least a batch of those with the greatest keys, if there are.

        Where they are many, a few of them tell above which value those lie: that is one comparison
        of each, a tenth of the time of a partition.
        """
        length = self._length
        if len(found) > max(_TOO_MANY, 4 * length):
            keys = self._keys[found]
            sample = np.sort(keys[:: len(keys) // _SAMPLE])
            above = found[keys >= sample[-2 * length * len(sample) // len(keys) - 1]]
            found = above if len(above) >= length else found
        if len(found) <= length:
            return found
        return found[np.argpartition(self._keys[found], len(found) - length)[-length:]]


def _ungrouped(found: Places) -> Ints:
    return np.full(len(found), -1)
