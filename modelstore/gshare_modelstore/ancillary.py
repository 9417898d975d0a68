"""What comes beside a packet on a unix socket: descriptors, all of them, so that none is lost."""

import array
import socket
import struct
from collections.abc import Sequence
from typing import Final

_MOST_DESCRIPTORS: Final = 253
"""SCM_MAX_FD: what one packet may carry."""
_CREDENTIALS: Final = struct.calcsize("3i")
CONTROL_BYTES: Final = socket.CMSG_SPACE(
    _MOST_DESCRIPTORS * array.array("i").itemsize
) + socket.CMSG_SPACE(_CREDENTIALS)


def descriptors(control: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors among the control messages that `recvmsg` gave."""
    found = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)
