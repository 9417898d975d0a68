"""What stands in a state directory about its cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from .errors import ClusterError
from .settings import Settings

_FILE: Final = "cluster.json"


@dataclass(frozen=True, slots=True)
class Record:
    """A cluster's settings and its number; the rest follows from them."""

    settings: Settings
    number: int

    def save(self) -> None:
        """Write it into the cluster's state directory."""
        content = msgspec.json.encode(self, enc_hook=str)
        (self.settings.state_dir / _FILE).write_bytes(content)


def is_in(state_dir: Path) -> bool:
    """Tell whether a folder holds a cluster's state."""
    return (state_dir / _FILE).exists()


def load(state_dir: Path) -> Record:
    """Return the record in a folder."""
    try:
        content = (state_dir / _FILE).read_bytes()
    except FileNotFoundError as error:
        raise ClusterError(f"there is no cluster in {state_dir}") from error
    return msgspec.json.decode(content, type=Record, dec_hook=_path)


def _path(kind: type, value: Any) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise NotImplementedError(f"{kind} in a cluster's record")
    return Path(value)
