"""The default policy: the cheapest mix of at most two shapes that serves a rate, exactly.

Idea. Of the options only those on the Pareto front can help: one that costs no less and serves no
more than another is left out, unless it runs already. For each pair of what is left, every count
of the one that serves dearer is tried; the count of the other follows. A mix that serves R from
options whose cheapest request costs e cannot cost less than R * e, and each replica of the dearer
one adds what it costs beyond its requests at e: so pairs and counts that cannot beat the best mix
so far are not tried. Throughputs are never rounded, as a table over the rate would have to.

What is minimised is the cost, with every replica that does not run yet counted dearer by the part
`start`: a swap has to be worth its starts. Of equal mixes the one with the fewest starts is taken,
then the fewest replicas.

Invariant. With nothing running, no mix of one or two options costs less. From any start, the mix
costs no more than the one of `rpr`, if that has at most two shapes: where rpr shrinks it starts
nothing; where it grows it keeps all that runs, so its starts are what it costs beyond that, and a
mix that costs more would have to start more.

Worked example. A serves 50 for 0.12 GPUs, B 35 for 0.09, and 120 req/s are wanted. The cheapest
request is A's, 0.0024: no mix is below 0.288. Three A cost 0.36. B costs 0.006 beyond its requests
at A's price, so at most (0.36 - 0.288) / 0.006 = 12 of them: with one B 2 A are needed (0.33), with
two B 1 A (0.30), with three B 1 A, with four B none (0.36). Two B and one A it is.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .values import START, Option, Shape

MOST: Final = 20_000
"""So many counts of one shape are tried; a mix that needs more is within 1 / `MOST` of the best."""

_EPSILON: Final = 1e-9
"""By which part a rate may be missed: three times 0.1 serve 0.3."""
_DIGITS: Final = 9
_Numbers = NDArray[np.float64]


def counts(
    options: Sequence[Option],
    rate_rps: float,
    running: Mapping[Shape, int],
    start: float = START,
) -> Counter[Shape]:
    """Return the counts of the cheapest mix for `rate_rps`, given what runs.

    Where no two options serve it within their bounds, the cheapest that goes beyond them.
    """
    if not rate_rps:
        return Counter()
    unbounded = (replace(option, most=None) for option in options)
    return _best(options, rate_rps, running, start) or _best(
        tuple(unbounded), rate_rps, running, start
    )


def _best(
    options: Sequence[Option], rate_rps: float, running: Mapping[Shape, int], start: float
) -> Counter[Shape]:
    search = _Search(rate_rps * (1 - _EPSILON), running, start)
    for pair in _pairs(pruned(options, running)):
        search.look_at(*pair)
    return +search.best


def pruned(options: Sequence[Option], running: Mapping[Shape, int]) -> list[Option]:
    """Return the options that no other serves at least as much for no more, and those that run.

    One that has a bound leaves none out. In ascending order of cost per request.
    """
    front: list[Option] = []
    most_rps = 0.0
    for option in sorted(options, key=lambda each: (each.cost, -each.throughput_rps, each.shape)):
        if option.throughput_rps > most_rps:
            most_rps = most_rps if option.most is not None else option.throughput_rps
            front.append(option)
        elif running.get(option.shape):
            front.append(option)
    return sorted(front, key=lambda each: (_price(each), each.shape))


def _pairs(options: Sequence[Option]) -> Iterator[tuple[Option, Option]]:
    """Yield each option alone (twice the same), then each pair, the cheaper per request first."""
    for option in options:
        yield option, option
    yield from combinations(options, 2)


@dataclass(slots=True)
class _Search:
    """The best mix so far, for one rate and start.

    Mixes are compared by `key`: what they cost, starts counted dearer; how many start; how many
    there are.
    """

    rate_rps: float
    running: Mapping[Shape, int]
    start: float
    best: Counter[Shape] = field(default_factory=Counter)
    key: tuple[float, float, float] = (math.inf, 0, 0)

    def look_at(self, first: Option, second: Option) -> None:
        """Try the mixes of two options, of which `first` is the cheaper per request."""
        least = self.rate_rps * _price(first)
        if least > self.key[0] + _EPSILON:
            return
        seconds = np.arange(self._most_of(first, second, least) + 1, dtype=np.float64)
        left_rps = np.maximum(0, self.rate_rps - seconds * second.throughput_rps)
        firsts = np.ceil(left_rps / first.throughput_rps)
        allowed = np.flatnonzero(firsts <= first.room)
        if not allowed.size:
            return
        firsts, seconds = firsts[allowed], seconds[allowed]
        keys = self._keys(first, firsts, second, seconds)
        index = int(np.lexsort(keys[::-1])[0])
        key = (float(keys[0][index]), float(keys[1][index]), float(keys[2][index]))
        if key < self.key:
            self.key = key
            self.best = Counter({first.shape: int(firsts[index])})
            self.best[second.shape] += int(seconds[index])

    def _most_of(self, first: Option, second: Option, least: float) -> int:
        """Return how many of `second` a mix may hold that is not surely worse than the best."""
        if first is second:
            return 0
        enough = int(min(MOST, math.ceil(self.rate_rps / second.throughput_rps), second.room))
        beyond = second.cost - second.throughput_rps * _price(first)
        if beyond <= _EPSILON or math.isinf(self.key[0]):
            return enough
        return min(enough, math.floor((self.key[0] - least) / beyond + _EPSILON))

    def _keys(
        self, first: Option, firsts: _Numbers, second: Option, seconds: _Numbers
    ) -> tuple[_Numbers, _Numbers, _Numbers]:
        """Return the keys of many mixes, one column for each part."""
        first_starts = np.maximum(0, firsts - self.running.get(first.shape, 0))
        second_starts = np.maximum(0, seconds - self.running.get(second.shape, 0))
        cost = firsts * first.cost + seconds * second.cost
        worth = cost + self.start * (first_starts * first.cost + second_starts * second.cost)
        return worth.round(_DIGITS), first_starts + second_starts, firsts + seconds


def _price(option: Option) -> float:
    """Return what one request per second costs with this option."""
    return option.cost / option.throughput_rps
