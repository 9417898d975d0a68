"""Model stores on one machine without a cluster: which GPUs have one, and what it may use.

Call with the state's lock held.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from gshare import placement
from gshare.models import ModelShare

from . import daemons, stores
from .daemons import ModelStores
from .state import LeaseRecord
from .stores import Budget, Identity


def settle(
    folder: Path, gpu: placement.Gpu, held: Sequence[LeaseRecord], namespaces: Collection[str]
) -> None:
    """Write what the store of a GPU may use beside the leases `held`; end one that has no room.

    What all namespaces see may be stored by `namespaces`: they are one user's on one machine.
    """
    left = stores.left_by(held, folder, gpu.memory_bytes, gpu.store_bytes)
    if left is None:
        if stores.is_wanted(folder):
            daemons.stop_store(folder)
        stores.write_budget(folder, None)
    else:
        stores.write_budget(folder, Budget(left, stores.HOST_BYTES, tuple(sorted(namespaces))))


def shares(gpu: placement.Gpu, held: Iterable[LeaseRecord]) -> tuple[tuple[str, ModelShare], ...]:
    """Return the models that the leases `held` have in the store of their GPU, by lease id."""
    if gpu.store_bytes is None:
        return ()
    return tuple((each.lease_id, each.shared) for each in held if each.shared)


def identities(held: Iterable[LeaseRecord]) -> Mapping[str, Identity]:
    """Return who the leases `held` are to the store, by id."""
    return {
        each.lease_id: Identity.of(each.namespace, each.pod, each.function, each.shared)
        for each in held
    }


def start(model_stores: ModelStores | None, folders: Iterable[Path]) -> str:
    """Have the stores of GPU folders serve; return in one line what does not, else nothing."""
    return _joined(model_stores.ensure(each) for each in sorted(folders)) if model_stores else ""


def look_after(model_stores: ModelStores | None, folders: Iterable[Path]) -> str:
    """Start the stores again that died; return in one line what is wrong, else nothing."""
    if model_stores is None:
        return ""
    return _joined(model_stores.look_after(each) for each in sorted(folders))


def _joined(troubles: Iterable[str]) -> str:
    return "; ".join(filter(None, troubles))
