"""Generates the PTX of a model: one entry a row of its kernel table.

On a GPU each entry spins on %globaltimer for its duration, so a model keeps the hardware busy as
its table says. On a simulated GPU the `.pragma` string gives the cost and the body is not run;
real assemblers pass over a pragma they do not know.
"""

from typing import Final

from . import models

BLOCK_THREADS: Final = 1024
"""Threads of a block; a launch has one block for each SM that its kernel can fill."""

_HEADER: Final = ".version 7.0\n.target sm_70\n.address_size 64\n"

_ENTRY: Final = """
.visible .entry {entry}(
    .param .u64 activations
)
{{
    .pragma "gshare.simulated sm_demand={sm_demand} duration_us={duration_us}";
    .reg .pred %again;
    .reg .b64 %start, %now, %elapsed;
    mov.u64 %start, %globaltimer;
spin:
    mov.u64 %now, %globaltimer;
    sub.u64 %elapsed, %now, %start;
    setp.lt.u64 %again, %elapsed, {duration_ns};
    @%again bra spin;
    ret;
}}
"""


def entry_name(model: models.Model, kernel: models.Kernel) -> str:
    """Return the name of the entry that runs `kernel`."""
    return f"{model.name}_{kernel.name}"


def generate(model: models.Model) -> bytes:
    """Return the PTX module of `model`, NUL-terminated as cuModuleLoadData wants it."""
    entries = (
        _ENTRY.format(
            entry=entry_name(model, kernel),
            sm_demand=kernel.sm_demand,
            duration_us=kernel.duration_us,
            duration_ns=kernel.duration_us * 1000,
        )
        for kernel in model.kernels
    )
    return (_HEADER + "".join(entries)).encode("ascii") + b"\0"
