"""Who loads which model, and who waits. Pure.

What waits is the request itself: whenever something happened to its model, or to the weights whose
digest it names, it is asked again, and either is answered or waits on. A client's new request takes
back what it waits for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .instructions import ContentId
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

    @property
    def means(self) -> ContentId | bool:
        """The weights that it names by their digest; False where it names none."""
        digest = self.request.digest
        return digest is not None and ContentId(self.model.scope, digest)


class Waiting:
    """The requests that wait, and the loads that they wait for."""

    def __init__(self) -> None:
        self._waiters: list[Waiter] = []
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
        self._waiters.append(waiter)

    def forget(self, client: int) -> None:
        """Take back what a client waits for."""
        self._waiters = [each for each in self._waiters if each.client != client]

    def on(self, model: Model) -> tuple[Waiter, ...]:
        """Return who waits for a model, first come first."""
        return tuple(each for each in self._waiters if each.model == model)

    def take(self, models: Iterable[Model], content: ContentId | None = None) -> tuple[Waiter, ...]:
        """Return who waits for any of `models` or for `content`; they wait no longer."""
        wanted = frozenset(models)
        taken = [each for each in self._waiters if each.model in wanted or each.means == content]
        self._waiters = [each for each in self._waiters if each not in taken]
        return tuple(taken)
