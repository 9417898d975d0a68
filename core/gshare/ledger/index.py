"""All GPUs of a cluster, so ordered that the best nodes for a request are found in a millisecond.

Idea. A verdict is one comparison per GPU and the choice a few minima, all over `Columns`; Python
looks only at those that win. A node is written again when it has changed, and of its GPUs only
those whose state has. `board` holds one kind of request against the columns, and again against the
nodes that have changed since; `search` goes through what it finds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gshare.placement import Gpu

from .columns import Columns
from .state import GpuState

_FEW: Final = 4
"""Where the nodes asked are fewer than one in so many, only their columns are looked at."""
_VIEWS: Final = 8
_MODELS: Final = 32
"""Models of which the GPUs are kept as columns."""
_LONG: Final = 64
_CHANGES: Final = 4096
"""Writes of nodes that are remembered, for those who want to know what has changed."""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What a node and its GPUs are.

    `models` has, for each GPU by name, what it is charged for a model's weights (0 where nobody
    there announces it) and the bytes of it that are there.
    """

    gpus: Sequence[Gpu]
    states: Sequence[GpuState]
    units_free: tuple[int, int]
    used_area: int
    offers: bool
    models: Sequence[Mapping[str, tuple[int, int]]] = ()


@dataclass(frozen=True, slots=True)
class ModelColumns:
    """One model on all GPUs: whether it is there, or will be; the two numbers of `NodeRow`."""

    is_there: NDArray[np.int16]
    charged: NDArray[np.int64]
    resident: NDArray[np.int64]

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> "ModelColumns":
        """Return the columns of a model that is on no GPU."""
        return cls(np.zeros(shape, np.int16), np.zeros(shape, np.int64), np.zeros(shape, np.int64))

    def put(self, name: str, node: int, row: NodeRow) -> None:
        """Write where of a node the model `name` is."""
        self.is_there[:, node] = self.charged[:, node] = self.resident[:, node] = 0
        for plane, models in enumerate(row.models):
            if name in models:
                charged, resident = models[name]
                self.is_there[plane, node] = 1
                self.charged[plane, node], self.resident[plane, node] = charged, resident


@dataclass(frozen=True, slots=True)
class View:
    """Which columns a list of names means. `places` has -1 where a name is not known.

    `is_whole` tells that it has all nodes there are.
    """

    names: Sequence[str]
    cut: slice | NDArray[np.intp]
    places: NDArray[np.intp]
    asked: NDArray[np.bool_]
    is_whole: bool
    version: int

    def node(self, place: int) -> int:
        """Return the number of the node at a place."""
        return place if isinstance(self.cut, slice) else int(self.cut[place])

    def nodes(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the numbers of the nodes at some places."""
        return places if isinstance(self.cut, slice) else self.cut[places]

    def of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the keys of its nodes, -1 for others; not to be written to."""
        if self.is_whole:
            return keys
        if isinstance(self.cut, slice):
            return np.where(self.asked, keys, -1)
        return keys[..., self.cut]


class Index:
    """The columns of all nodes, by name."""

    def __init__(self) -> None:
        self.columns = Columns.empty()
        self._nodes: dict[str, int] = {}
        self._names: list[str] = []
        self._rows: list[NodeRow] = []
        self._unused: list[int] = []
        self._with_model: dict[str, set[int]] = {}
        self._models: dict[str, ModelColumns] = {}
        self._version = 0
        self._changes: list[int] = []
        self._forgotten = 0
        self._ranked_at = -1
        self._ranks = np.zeros(0, np.int64)
        self._views: dict[int, View] = {}

    def put(self, name: str, row: NodeRow) -> None:
        """Take over what a node and its GPUs are by now."""
        node = self._nodes.get(name)
        node = self._added(name) if node is None else node
        self._make_room(len(row.states))
        before = self._rows[node]
        if row == before:
            return
        for plane, state in enumerate(row.states):
            if plane >= len(before.states) or before.states[plane] is not state:
                self.columns.put_gpu(plane, node, state)
        self.columns.drop_gpus(node, len(row.states))
        self.columns.put_node(node, row.units_free, row.used_area, offers=row.offers)
        self._rows[node] = row
        if row.models or before.models:
            self._move_models(node, before, row)
        self._note(node)

    def drop(self, name: str) -> None:
        """Forget a node, if it is known."""
        if name in self._nodes:
            self.put(name, _NOTHING)
            self._unused.append(self._nodes.pop(name))
            self._version += 1

    @property
    def size(self) -> int:
        """Return how many nodes the columns hold, those that are gone among them."""
        return len(self._names)

    @property
    def now(self) -> tuple[int, int]:
        """Return what `changed_since` tells the present from other times by."""
        return self._version, self._forgotten + len(self._changes)

    def changed_since(self, then: tuple[int, int]) -> set[int] | None:
        """Return the nodes that were written since `then`; None where all may be different."""
        version, count = then
        if version != self._version or count < self._forgotten:
            return None
        return set(self._changes[count - self._forgotten :])

    def name(self, node: int) -> str:
        """Return a node's name."""
        return self._names[node]

    def row(self, node: int) -> NodeRow:
        """Return what a node and its GPUs are."""
        return self._rows[node]

    def states(self) -> dict[str, Sequence[GpuState]]:
        """Return the states of the GPUs of each node that has some."""
        rows = self._rows
        return {name: rows[node].states for name, node in self._nodes.items() if rows[node].states}

    def view(self, names: Sequence[str]) -> View:
        """Return which columns `names` mean; the same long tuple again is answered from memory."""
        if len(names) < _LONG or not isinstance(names, tuple):
            return self._viewed(names)
        known = self._views.get(id(names))
        if known is not None and known.names is names and known.version == self._version:
            return known
        view = self._views[id(names)] = self._viewed(names)
        if len(self._views) > _VIEWS:
            del self._views[next(iter(self._views))]
        return view

    def ranks(self) -> NDArray[np.int64]:
        """Return each node's place in the order of names."""
        if self._ranked_at != self._version:
            ranks = np.zeros(len(self._names), np.int64)
            ranks[[self._nodes[name] for name in sorted(self._nodes)]] = range(len(self._nodes))
            self._ranks, self._ranked_at = ranks, self._version
        return self._ranks

    def model(self, name: str) -> ModelColumns:
        """Return where a model is, by its name among all namespaces; not to be written to."""
        found = self._models.pop(name, None)
        if found is None or found.charged.shape != self.columns.used.shape:
            found = ModelColumns.empty(self.columns.used.shape)
            for node in self._with_model.get(name, ()):
                found.put(name, node, self._rows[node])
        self._models[name] = found
        if len(self._models) > _MODELS:
            del self._models[next(iter(self._models))]
        return found

    def _make_room(self, planes: int) -> None:
        larger = self.columns.with_room(planes, len(self._names))
        if larger is not self.columns:
            self.columns = larger
            self._version += 1

    def _note(self, node: int) -> None:
        self._changes.append(node)
        if len(self._changes) > _CHANGES:
            self._forgotten += len(self._changes)
            self._changes.clear()

    def _added(self, name: str) -> int:
        self._version += 1
        if self._unused:
            node = self._unused.pop()
            self._names[node] = name
        else:
            node = len(self._names)
            self._names.append(name)
            self._rows.append(_NOTHING)
        self._nodes[name] = node
        return node

    def _move_models(self, node: int, before: NodeRow, row: NodeRow) -> None:
        was_there, is_there = _names(before), _names(row)
        for name in was_there - is_there:
            self._with_model[name].discard(node)
            if not self._with_model[name]:
                del self._with_model[name]
        for name in is_there - was_there:
            self._with_model.setdefault(name, set()).add(node)
        for name in (was_there | is_there) & self._models.keys():
            if self._models[name].charged.shape == self.columns.used.shape:
                self._models[name].put(name, node, row)

    def _viewed(self, names: Sequence[str]) -> View:
        """Return the view of all columns, or, where few nodes are asked, of theirs alone."""
        found = map(self._nodes.get, names, repeat(-1))
        places = np.fromiter(found, np.intp, len(names))
        known = places[places >= 0]
        if len(known) * _FEW >= len(self._names):
            asked = np.zeros(len(self._names), np.bool_)
            asked[known] = True
            is_whole = int(np.count_nonzero(asked)) == len(self._nodes)
            whole = slice(0, len(self._names))
            return View(names, whole, places, asked, is_whole, self._version)
        cut, inverse = np.unique(known, return_inverse=True)
        places[places >= 0] = inverse
        asked = np.ones(len(cut), np.bool_)
        return View(names, cut, places, asked, is_whole=False, version=self._version)


def _names(row: NodeRow) -> set[str]:
    return {name for models in row.models for name in models}


_NOTHING: Final = NodeRow((), (), (0, 0), 0, offers=False)
