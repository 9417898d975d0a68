"""A GPU's folder as the node writes it, for a store that serves its leases."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gshare import names


@dataclass(slots=True)
class GpuFolderScene:
    """Leases and budget of one GPU, written in the node's order: identity, then timetable."""

    path: Path
    leases: dict[str, str] = field(default_factory=dict)
    """Lease to namespace."""

    def __post_init__(self) -> None:
        """Make an empty folder."""
        (self.path / names.FOLDER_LEASES).mkdir(parents=True)
        self.timetable()

    def socket(self, lease: str) -> Path:
        """Return where a lease's container asks the store."""
        return self.folder(lease) / names.FILE_STORE_SOCKET

    def folder(self, lease: str) -> Path:
        """Return a lease's folder."""
        return self.path / names.FOLDER_LEASES / lease

    def add(
        self, lease: str, namespace: str, model: str | None = None, model_bytes: int | None = None
    ) -> Path:
        """Make a lease and return its socket's path."""
        self.folder(lease).mkdir(exist_ok=True)
        identity = {"namespace": namespace, "pod": f"{lease}-pod", "function": "f"}
        identity |= {"model": model, "model_bytes": model_bytes}
        (self.folder(lease) / names.FILE_IDENTITY).write_text(json.dumps(identity))
        self.leases[lease] = namespace
        self.timetable()
        return self.socket(lease)

    def end(self, lease: str) -> None:
        """End a lease."""
        del self.leases[lease]
        self.timetable()
        shutil.rmtree(self.folder(lease), ignore_errors=True)

    def timetable(self) -> None:
        """Write the timetable that names the leases."""
        lines = [f"lease {each} sm=10 request=10 limit=10 slices=0+10" for each in self.leases]
        self._write(names.FILE_TIMETABLE, "\n".join(["gshare-timetable 1", *lines, ""]))

    def budget(self, device: int = 0, host: int = 0, shared_from: Iterable[str] = ()) -> None:
        """Write the store's budget."""
        budget = {"device_bytes": device, "host_bytes": host, "shared_from": list(shared_from)}
        self._write(names.FILE_STORE_BUDGET, json.dumps(budget))

    @property
    def resident(self) -> dict[str, int]:
        """What the store says that it keeps on the GPU."""
        found: dict[str, int] = json.loads((self.path / names.FILE_RESIDENT).read_text())
        return found

    def _write(self, name: str, text: str) -> None:
        draft = self.path / f".{name}.new"
        draft.write_text(text)
        draft.replace(self.path / name)
