"""Models as data: each JSON file in models/ is the kernel table of one model.

A table says what one inference of batch 1 does on a V100: which kernels run, in order, how many
SMs each can fill (`sm_demand`) and how long it takes with that many (`duration_us`). With a cap of
c SMs a kernel takes `duration_us * max(1, sm_demand / c)`. MODELS.md derives the tables.
"""

import dataclasses
import json
import re
from importlib import resources
from typing import Any, Final

MIB: Final = 1024 * 1024
PCIE_BYTES_PER_US: Final = 12_000
"""Host link of a V100 (PCIe 3.0 x16, 12 GB/s of payload): the tables' budget for copies."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class ModelError(Exception):
    """A model that does not exist or whose file is not a kernel table; its text says which."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kernel:
    """One row of a table: `count` launches in a row of a kernel that fills `sm_demand` SMs."""

    name: str
    sm_demand: int
    duration_us: int
    count: int

    def __post_init__(self) -> None:
        """Refuse a row that could not be launched."""
        if not _NAME.fullmatch(self.name):
            raise ModelError(f"kernel name {self.name!r} is not a lower-case identifier")
        for field in ("sm_demand", "duration_us", "count"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise ModelError(f"kernel {self.name}: {field} {value!r} is not a positive integer")


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """One model: memory in MiB, copies in bytes, kernels in the order of their launches.

    `assumption` is true where no published figure fixes the table; `source` says what does.
    """

    name: str
    title: str
    source: str
    assumption: bool
    weights_mib: int
    workspace_mib: int
    input_bytes: int
    output_bytes: int
    kernels: tuple[Kernel, ...]

    def __post_init__(self) -> None:
        """Refuse a model that could not be loaded."""
        if not _NAME.fullmatch(self.name):
            raise ModelError(f"model name {self.name!r} is not a lower-case identifier")
        if not self.kernels:
            raise ModelError(f"model {self.name}: no kernels")
        for field in ("weights_mib", "workspace_mib", "input_bytes", "output_bytes"):
            if getattr(self, field) < 1:
                raise ModelError(f"model {self.name}: {field} is not positive")

    @property
    def launches(self) -> int:
        """Kernel launches of one inference."""
        return sum(kernel.count for kernel in self.kernels)

    def copy_us(self) -> float:
        """Return the microseconds that input and output spend on the host link."""
        return (self.input_bytes + self.output_bytes) / PCIE_BYTES_PER_US

    def inference_us(self, sm_count: int) -> float:
        """Return the GPU time of one inference, in microseconds, under a cap of `sm_count` SMs."""
        kernels = sum(
            kernel.count * kernel.duration_us * max(1, kernel.sm_demand / sm_count)
            for kernel in self.kernels
        )
        return self.copy_us() + kernels

    def throughput_rps(self, sm_count: int) -> float:
        """Return the requests per second of a saturated server that owns `sm_count` SMs."""
        return 1e6 / self.inference_us(sm_count)


def names() -> tuple[str, ...]:
    """Return the names of the models that `load` knows, sorted."""
    folder = resources.files(__package__) / "models"
    return tuple(
        sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name.endswith(".json"))
    )


def load(name: str) -> Model:
    """Return the model called `name`; raises ModelError where there is none or it is malformed."""
    if name not in names():
        raise ModelError(f"no model {name!r}; there are {', '.join(names())}")
    text = (resources.files(__package__) / "models" / f"{name}.json").read_text(encoding="utf-8")
    return parse(text)


def parse(text: str) -> Model:
    """Return the model that the JSON `text` describes; raises ModelError where it does not."""
    try:
        fields: dict[str, Any] = json.loads(text)
        kernels = tuple(Kernel(**row) for row in fields.pop("kernels"))
        return Model(kernels=kernels, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"not a model file: {error}") from error
