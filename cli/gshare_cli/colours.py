"""One colour per function, the same in every picture, table and log prefix."""

import zlib
from typing import Final

# Light enough for black text, and told apart by people who do not see red and green apart
# (after Okabe and Ito, 2008, with lighter blues).
PALETTE: Final = (
    "#e69f00",
    "#56b4e9",
    "#2fbf8f",
    "#f0e442",
    "#7fa8d8",
    "#e8824a",
    "#dd9cc0",
    "#b8b8b8",
)


def colour_of(function: str) -> str:
    """Return the colour of a function, by its name alone."""
    return PALETTE[zlib.crc32(function.encode()) % len(PALETTE)]
