"""The host's memory: the client's own sealed memfd, kept and handed on."""

import os

from gshare import models

from . import layout, offered
from .protocol import Mechanism
from .sharing import Shown, write_index


def show(memfd: int) -> tuple[Shown, int]:
    """Return how a sealed memfd of safetensors content is shown to others, without copying it.

    Beside it the bytes that its content would take on a GPU: whole granules, one at least. Raises
    SafetensorsError, ProtocolError, OSError; the memfd is the caller's until it uses the answer.
    """
    spans = offered.spans(memfd)
    index_fd, index_bytes = write_index(layout.in_file(spans))
    shown = Shown(
        Mechanism.MEMFD,
        mapped_bytes=os.fstat(memfd).st_size,
        index_fd=index_fd,
        index_bytes=index_bytes,
        weights_fd=memfd,
        is_sealed=True,
    )
    return shown, models.whole_granules(max(1, layout.of(spans).size_bytes))
