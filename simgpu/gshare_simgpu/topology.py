"""Which simulated GPUs a node has."""

import tomllib
import uuid
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Self

from . import profile
from .errors import SimulatedGpuError

MAX_GPUS = 16
"""SIM_MAX_GPUS of the driver."""
MAX_TIME_SCALE = 1000

# UUIDs are derived from this, so that a topology has the same ones each time it is made.
_NAMESPACE = uuid.UUID("8b7d4c7e-2f53-5c1e-9a35-6f0f6d1f7f11")


@dataclass(frozen=True, slots=True)
class GpuModel:
    """One GPU of a topology: its kind and its identity."""

    uuid: str
    profile: profile.Profile


@dataclass(frozen=True, slots=True)
class Topology:
    """The GPUs of a simulated node, and how time runs on them.

    Durations of kernels and copies, and time slices, are multiplied by `time_scale`. With `mps`,
    processes run side by side under their percentages; without, they take turns.
    """

    gpus: tuple[GpuModel, ...]
    time_scale: int = 1
    mps: bool = True

    def __post_init__(self) -> None:
        """Refuse what the driver would refuse."""
        if not 1 <= len(self.gpus) <= MAX_GPUS:
            raise SimulatedGpuError(f"topology: {len(self.gpus)} GPUs: not within 1-{MAX_GPUS}")
        if not isinstance(self.time_scale, int) or not 1 <= self.time_scale <= MAX_TIME_SCALE:
            problem = f"not within 1-{MAX_TIME_SCALE}"
            raise SimulatedGpuError(f"topology: time_scale {self.time_scale!r}: {problem}")
        if len({gpu.uuid for gpu in self.gpus}) < len(self.gpus):
            raise SimulatedGpuError("topology: two GPUs have one uuid")

    @classmethod
    def uniform(
        cls, kind: str, count: int = 1, time_scale: int = 1, *, mps: bool = True, node: str = ""
    ) -> Self:
        """Return `count` GPUs of one kind."""
        return cls.of(((kind, count),), time_scale, mps=mps, node=node)

    @classmethod
    def of(
        cls,
        kinds: tuple[tuple[str, int], ...],
        time_scale: int = 1,
        *,
        mps: bool = True,
        node: str = "",
    ) -> Self:
        """Return a topology of (kind, count) pairs, in that order; UUIDs differ between nodes."""
        names = [kind for kind, count in kinds for _ in range(count)]
        gpus = tuple(
            GpuModel(f"GPU-{_uuid(index, name, node)}", profile.load(name))
            for index, name in enumerate(names)
        )
        return cls(gpus, time_scale, mps)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file: `time_scale`, `mps`, `[[gpus]]` tables with `profile` and `count`."""
        try:
            table = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SimulatedGpuError(f"{path}: {error}") from error
        gpus = table.pop("gpus", None)
        time_scale, mps = table.pop("time_scale", 1), table.pop("mps", True)
        if table or not isinstance(gpus, list) or not isinstance(mps, bool):
            raise SimulatedGpuError(f"{path}: wants time_scale, mps and [[gpus]] tables, no more")
        return cls.of(tuple(_kind(path, entry) for entry in gpus), time_scale, mps=mps)

    def lines(self) -> str:
        """Return the text that the driver reads from DIR/topology."""
        return "".join(self._line(index, gpu) for index, gpu in enumerate(self.gpus))

    def _line(self, index: int, gpu: GpuModel) -> str:
        names = (field.name for field in fields(profile.Profile))
        numbers = dict(zip(names, astuple(gpu.profile), strict=True))
        name = numbers.pop("name")
        numbers |= {"index": index, "mps": int(self.mps), "time_scale": self.time_scale}
        words = " ".join(f"{key}={value}" for key, value in numbers.items())
        return f"gpu uuid={gpu.uuid} {words} name={name}\n"


def _uuid(index: int, kind: str, node: str) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, f"{index} {kind} {node}".rstrip())


def _kind(path: Path, entry: dict[str, object]) -> tuple[str, int]:
    kind, count = entry.get("profile"), entry.get("count", 1)
    if (
        not isinstance(kind, str)
        or not isinstance(count, int)
        or entry.keys() - {"profile", "count"}
    ):
        raise SimulatedGpuError(f"{path}: gpus: {entry!r}: wants profile and count, no more")
    return kind, count
