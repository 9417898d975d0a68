"""What a GPU's model store is told of the leases beside it: its memory, and who they are."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gshare.annotations import NodeGpu
from gshare.runtime import stores
from gshare.runtime.stores import Budget, Identity

from .lease import Lease
from .settings import StoreTerms


def write(folder: Path, gpu: NodeGpu | None, held: Sequence[Lease], terms: StoreTerms) -> None:
    """Write what the store of `gpu` may use beside `held`; that ends one that has no room.

    Where the GPU is not known yet, what was written holds.
    """
    if gpu is not None:
        stores.write_budget(folder, _budget(folder, gpu, held, terms))


def identities(held: Iterable[Lease]) -> Mapping[str, Identity]:
    """Return who the containers of leases are to the store, by lease id."""
    return {
        each.lease_id: Identity.of(each.owner.namespace, each.owner.pod, each.function, each.shared)
        for each in held
    }


def is_followed(folder: Path, held: Lease) -> bool:
    """Tell whether a store that is to end has ended, and one that `held` may ask serves it.

    A store that only has to give up weights does so in a fraction of the time that a container
    takes to start.
    """
    if not stores.is_wanted(folder):
        return not stores.runs(folder)
    return held.shared is None or stores.serves(folder, held.lease_id)


def _budget(folder: Path, gpu: NodeGpu, held: Sequence[Lease], terms: StoreTerms) -> Budget | None:
    left = stores.left_by(held, folder, gpu.memory_bytes, gpu.store_bytes)
    return None if left is None else Budget(left, terms.host_bytes, terms.shared_from)
