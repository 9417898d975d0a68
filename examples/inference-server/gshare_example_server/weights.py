"""The model's weights in GPU memory: its own, or one copy for all replicas by the model store."""

from typing import TYPE_CHECKING, Final

from . import gpu, models

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

ALIGNMENT_BYTES: Final = 256
"""The store aligns tensors so; weights of such sizes are there as large as the model says."""
_FILLED: Final = 1024
_ELEMENT_BYTES: Final = 4


class WeightsError(Exception):
    """Weights that cannot be had; the text says why in one line."""


def private(model: models.Model, device: gpu.Gpu) -> object:
    """Allocate the weights and leave them unfilled; gpu.GpuError where the GPU refuses."""
    return device.allocate(model.weights_mib * models.MIB, "weights")


def shared(model: models.Model, key: str) -> object:
    """Return the weights that the store keeps as `key`, loaded by the first replica.

    Private ones, with a warning, where there is no store. WeightsError where the GPU refuses.
    """
    from gshare_modelstore.client import ModelStore, StoreError  # noqa: PLC0415 (others do without)

    try:
        with ModelStore.connect(device="cuda") as store:
            return store.get_or_load(key, lambda: content(model))
    except StoreError as error:
        raise WeightsError(str(error)) from error


def content(model: models.Model) -> "Mapping[str, npt.NDArray[np.float32]]":
    """Return the model's tensors, one for each launch: the same at each call, `weights_mib` in all.

    Each has 1,024 numbers at its start and zeros behind them, which take no host memory until
    somebody writes them.
    """
    count = model.launches
    total = model.weights_mib * models.MIB
    each = total // count // ALIGNMENT_BYTES * ALIGNMENT_BYTES
    sizes = [each] * (count - 1) + [total - each * (count - 1)]
    return {
        f"{name}.weight": _tensor(number, size // _ELEMENT_BYTES)
        for number, (name, size) in enumerate(zip(_names(model), sizes, strict=True))
    }


def _names(model: models.Model) -> list[str]:
    return [f"{kernel.name}.{turn}" for kernel in model.kernels for turn in range(kernel.count)]


def _tensor(number: int, elements: int) -> "npt.NDArray[np.float32]":
    import numpy as np  # noqa: PLC0415 (servers that share nothing do without)

    values = np.zeros(elements, np.float32)
    filled = min(_FILLED, elements)
    values[:filled] = np.arange(filled, dtype=np.float32) + number
    return values
