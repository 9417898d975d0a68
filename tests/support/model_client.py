"""A replica that gets its model of the GPU's store, or loads it for itself; run as a program.

    python model_client.py get_or_load|get KEY MEBIBYTES

Says one JSON object a line: `loading` when it loads itself, then what it got. At SIGUSR1 it asks
again and says so. A file that cluster tests ship to pods as text: nothing of the tests is imported.
"""

import json
import signal
import sys
import warnings

import numpy as np

from gshare_modelstore.client import ModelStore, StoreError


def say(**what: object) -> None:
    """Print one object."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def load(mebibytes: int) -> dict[str, np.ndarray]:
    """Return weights of so many MiB, as a loader does."""
    say(loading=True)
    return {"w": np.full((mebibytes, 1 << 18), 7, np.float32)}


def ask(store: ModelStore, how: str, key: str, mebibytes: int) -> object:
    """Get the model, say what came, and return it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if how == "get":
            weights = store.get(key)
        else:
            weights = store.get_or_load(key, lambda: load(mebibytes))
    say(
        shared=bool(weights and weights.is_shared),
        found=weights is not None,
        bytes=weights.bytes if weights else 0,
        digest=weights.digest if weights else None,
        warnings=[str(each.message) for each in said],
        keys=keys(store),
    )
    return weights


def keys(store: ModelStore) -> list[str] | None:
    """Return the keys that the store shows us; None where it is away."""
    try:
        return sorted(entry.key for entry in store.list())
    except StoreError:
        return None


def main() -> None:
    """Ask, hold what came, and ask again when told, until SIGTERM."""
    how, key, mebibytes = sys.argv[1:]
    awaited = [signal.SIGUSR1, signal.SIGTERM]
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    with ModelStore.connect() as store:
        held = ask(store, how, key, int(mebibytes))
        while signal.sigwait(awaited) == signal.SIGUSR1:
            held = ask(store, how, key, int(mebibytes)) or held


if __name__ == "__main__":
    main()
