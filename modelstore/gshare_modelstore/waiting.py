"""Who loads which model, and who waits. Pure.

A client waits for one thing at a time, since a new request takes the last one back. What waits is
the request itself: whenever something happened to its model it is asked again, and either is
answered or waits on.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .protocol import Request
from .terms import Model


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request for weights: a GET, or a STORE whose copy on the GPU is not ready."""

    client: int
    model: Model
    request: Request

    @property
    def place(self) -> tuple[int, Model]:
        """Who asks for what."""
        return self.client, self.model


class Waiting:
    """The requests that wait, and the loads that they wait for."""

    def __init__(self) -> None:
        self._waiters: dict[int, Waiter] = {}
        self._loaders: dict[Model, int] = {}

    @property
    def loading(self) -> tuple[Model, ...]:
        """The models that some client loads."""
        return tuple(self._loaders)

    def loader(self, model: Model) -> int | None:
        """Return the client that loads a model."""
        return self._loaders.get(model)

    def loads_of(self, client: int) -> tuple[Model, ...]:
        """Return the models that a client loads."""
        return tuple(model for model, loader in self._loaders.items() if loader == client)

    def begin(self, model: Model, client: int) -> None:
        """Note that a client loads a model."""
        self._loaders[model] = client

    def end(self, model: Model) -> None:
        """Note that nobody loads a model any more."""
        self._loaders.pop(model, None)

    def park(self, waiter: Waiter) -> None:
        """Let a request wait, behind all others."""
        self._waiters[waiter.client] = waiter

    def forget(self, client: int) -> None:
        """Take back what a client waits for."""
        self._waiters.pop(client, None)

    def on(self, model: Model) -> tuple[Waiter, ...]:
        """Return who waits for a model, first come first."""
        return tuple(each for each in self._waiters.values() if each.model == model)

    def take(self, models: Iterable[Model]) -> tuple[Waiter, ...]:
        """Return who waits for any of `models`, first come first; they wait no longer."""
        wanted = frozenset(models)
        found = tuple(each for each in self._waiters.values() if each.model in wanted)
        for each in found:
            del self._waiters[each.client]
        return found
