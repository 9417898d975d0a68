"""What a GPU's memory is promised to, worked out from all of its holders: an oracle for ledgers."""

from collections.abc import Iterable, Mapping

from gshare.annotations import NodeGpu, PodPlacement, place_on
from gshare.placement import Request

MI = 2**20


def promised(gpu: NodeGpu, holders: Iterable[PodPlacement], resident: Mapping[str, int]) -> int:
    """Return the bytes of `gpu` that `holders` have: memory of their own, and models once."""
    holders = list(holders)
    shared = [each.model for each in holders if each.model and not each.has_own_weights]
    models = {_name(model) for model in shared}
    weights = [
        max(_granules(_size(each, resident)) for each in shared if _name(each) == model)
        for model in models
    ]
    context = gpu.store_bytes if models and gpu.store_bytes else 0
    return sum(each.memory_bytes for each in holders) + sum(weights) + context


def asked(
    gpu: NodeGpu, holders: Iterable[PodPlacement], resident: Mapping[str, int], request: Request
) -> int:
    """Return what one more pod on `gpu` would add."""
    holders = list(holders)
    more = [*holders, place_on(gpu.gpu, request)]
    return promised(gpu, more, resident) - promised(gpu, holders, resident)


def _name(model):
    is_shared = model.key.startswith("shared/")
    return model.key if is_shared else f"{model.namespace}/{model.key}"


def _size(model, resident):
    return resident.get(_name(model), 0) if model.size_bytes is None else model.size_bytes


def _granules(size):
    return (size + 2 * MI - 1) // (2 * MI) * (2 * MI)
