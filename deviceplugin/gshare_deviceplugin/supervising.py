"""Keeps one child for each GPU folder that wants one: started, asked, started again, ended."""

import threading
from collections.abc import Callable
from pathlib import Path

from .asker import Asker
from .children import Children


def supervise(
    children: Children,
    asker: Asker,
    wanted: Callable[[], tuple[str, ...]],
    stop: threading.Event,
    poll_s: float,
) -> None:
    """Keep the children that are `wanted` until `stop`, looking every `poll_s`; then end them all.

    One that `asker` finds silent is killed. Call from the main thread, which children die with.
    """
    asker.start()
    try:
        while not stop.wait(poll_s):
            children.settle(wanted())
            asker.ask(children.running())
            children.kill(asker.silent())
    finally:
        asker.stop()
        children.end_all()


def folders(gpus: Path, is_wanted: Callable[[Path], bool]) -> tuple[str, ...]:
    """Return the GPU folders that want a child, by name; none where there is no `gpus`."""
    try:
        return tuple(sorted(each.name for each in gpus.iterdir() if is_wanted(each)))
    except FileNotFoundError:
        return ()
