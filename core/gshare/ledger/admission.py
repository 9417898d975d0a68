"""Takes the best GPUs of a search for which a layout is found, and searches for few at most."""

from dataclasses import dataclass, field
from typing import Final

from gshare.modes import Packer
from gshare.placement import RELAYOUT_CANDIDATES, Request

from .index import Index, View
from .search import Option, Search
from .values import Candidate

# In how many different states of fullest GPUs a new layout is searched for one request, where no
# GPU takes it as it lies. A search that fails takes some milliseconds, once for each state.
LAST_RELAYOUTS: Final = 64


@dataclass(slots=True)
class _Trials:
    """In which states of GPUs a new layout was searched for one request, and what came of it."""

    most: int
    found: dict[int, bool] = field(default_factory=dict)

    def note(self, number: int, search: Search, *, holds: bool) -> None:
        """Take note of an answer; what needs no trial any more is left out of `search`."""
        if number in self.found:
            return
        self.found[number] = holds
        if len(self.found) == self.most:
            search.keep_states([each for each, was_found in self.found.items() if was_found])
        elif not holds:
            search.drop_state(number)


def best(
    search: Search, view: View, index: Index, packer: Packer, request: Request, limit: int
) -> tuple[Candidate, ...]:
    """Return the best GPU of each of the best `limit` nodes of `view`, in order."""
    trials = _Trials(RELAYOUT_CANDIDATES if search.has_direct else LAST_RELAYOUTS)
    found: dict[int, Option] = {}
    size = request.size
    while len(found) < limit and (option := search.next()) is not None:
        if option.place in found:
            continue
        state = index.row(view.node(option.place)).states[option.plane]
        holds = state.holds(size, packer, as_it_lies=not option.is_relaid)
        if holds:
            found[option.place] = option
        if option.is_relaid:
            trials.note(state.number, search, holds=holds)
        elif not holds:
            search.fall_back(option)
    return tuple(
        _candidate(index, view.node(place), option, request) for place, option in found.items()
    )


def _candidate(index: Index, node: int, option: Option, request: Request) -> Candidate:
    row = index.row(node)
    gpu, state = row.gpus[option.plane], row.states[option.plane]
    name, memory_bytes = index.name(node), request.memory_on(gpu)
    has_own = request.model is not None and gpu.store_bytes is None
    return Candidate(name, gpu.uuid, memory_bytes, state.used_area, option.is_relaid, has_own)
