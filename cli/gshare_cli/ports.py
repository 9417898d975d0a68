"""Free local ports for replicas.

A replica binds its port itself, some time after it was chosen. So ports are taken from below the
range that the kernel hands to outgoing connections, and are recorded with the run, so that no two
replicas on this machine get the same one.
"""

import random
import socket
from collections.abc import Collection
from typing import Final

from gshare.errors import GshareError

FIRST_PORT: Final = 20_000
LAST_PORT: Final = 32_000
FIRST_UNPRIVILEGED: Final = 1024
_ATTEMPTS: Final = 2_000


def free(count: int, taken: Collection[int]) -> tuple[int, ...]:
    """Return `count` different free ports outside `taken`; GshareError if there are none."""
    found: list[int] = []
    for _ in range(_ATTEMPTS):
        if len(found) == count:
            return tuple(found)
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 (no secret)
        if port not in taken and port not in found and _is_free(port):
            found.append(port)
    raise GshareError(f"no {count} free local ports between {FIRST_PORT} and {LAST_PORT}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
