"""Calls a store again and again, as a program of its own, and prints the times as JSON.

`gets N`: microseconds of each `get` on one connection, what it got given back between them.
`turns N`: the same of two keys in turns, of which the GPU holds one at a time.
`connects N RATE`: N times connect, get, close, each due at its time; microseconds from then.
"""

import argparse
import gc
import json
import sys
import time

from gshare_modelstore.client import ModelStore
from gshare_modelstore.errors import StoreError

_WARM_UP = 50


def main() -> None:
    """Do as the flags say."""
    flags = _flags()
    gc.disable()  # a collection is the program's own pause
    times = {"gets": _gets, "turns": _turns, "connects": _connects}[flags.what](flags)
    json.dump(times, sys.stdout)


def _gets(flags: argparse.Namespace) -> dict[str, object]:
    times_us = []
    with _store(flags) as store:
        for _ in range(flags.count + _WARM_UP):
            start = time.perf_counter()
            weights = store.get(flags.key)
            times_us.append(1e6 * (time.perf_counter() - start))
            assert weights is not None, "is kept"  # noqa: S101 (a check)
            del weights
    return {"us": times_us[_WARM_UP:], "failed": 0}


def _turns(flags: argparse.Namespace) -> dict[str, object]:
    times_us = []
    with _store(flags) as store:
        for number in range(flags.count):
            start = time.perf_counter()
            weights = store.get(flags.key if number % 2 else flags.other)
            times_us.append(1e6 * (time.perf_counter() - start))
            assert weights is not None, "is kept"  # noqa: S101 (a check)
            assert weights.device.startswith("cuda"), weights  # noqa: S101
            del weights
    return {"us": times_us, "failed": 0}


def _connects(flags: argparse.Namespace) -> dict[str, object]:
    """Go on in time however late one was; a failed one counts, and does not end the others."""
    times_us, failed = [], 0
    begin = time.perf_counter()
    for number in range(flags.count):
        due = begin + number / flags.rate if flags.rate else time.perf_counter()
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            with _store(flags) as store:
                failed += store.get(flags.key) is None
        except StoreError:
            failed += 1
        times_us.append(1e6 * (time.perf_counter() - due))
    return {"us": times_us, "failed": failed, "seconds": time.perf_counter() - begin}


def _store(flags: argparse.Namespace) -> ModelStore:
    return ModelStore.connect(flags.socket, device=flags.device)


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("gets", "turns", "connects"))
    parser.add_argument("count", type=int)
    parser.add_argument("rate", type=float, nargs="?", default=0.0, help="per second; 0: no pause")
    parser.add_argument("--socket", help="default: the lease's")
    parser.add_argument("--key", required=True)
    parser.add_argument("--other", help="the second key of `turns`")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
