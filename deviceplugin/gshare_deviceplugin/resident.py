"""Which models the stores of a node keep on their GPUs, and who is told when that changes."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from gshare.runtime import stores

from .upkeep import Upkeep

_POLL_S: Final = 1.0


class ResidentModels:
    """Reads the stores' files, on a thread of its own."""

    def __init__(
        self,
        uuids: Callable[[], Iterable[str]],
        folder_of: Callable[[str], Path],
        on_change: Callable[[], None],
    ) -> None:
        """Follow the GPUs that `uuids` returns, whose folders `folder_of` names."""
        self._uuids = uuids
        self._folder_of = folder_of
        self._on_change = on_change
        self._told: Mapping[str, Mapping[str, int]] = {}
        self._upkeep = Upkeep("resident", self._step)

    def start(self) -> None:
        """Begin to look."""
        self._upkeep.start()

    def stop(self) -> None:
        """Stop looking."""
        self._upkeep.stop()

    def now(self) -> dict[str, dict[str, int]]:
        """Return the bytes of each model by GPU and by its name among all namespaces."""
        return {uuid: stores.resident(self._folder_of(uuid)) for uuid in self._uuids()}

    def _step(self) -> float:
        found = self.now()
        if found != self._told:
            self._told = found
            self._on_change()
        return _POLL_S
