"""How the interpreter is set for a process that remembers a million values and answers at once.

Two of its habits would be felt. The collector of cycles looks through all that is remembered
whenever that has grown by a quarter: half a second in which nobody is answered, and there are no
cycles in it. And a thread that computes (a watch, a scrape of the metrics) gives way to one that
waits with an answer only after 5 ms.
"""

import gc
import sys
from typing import Final

_YOUNG: Final = 10_000
"""New values after which the collector looks through them; a fraction of a millisecond."""
_ROUNDS: Final = 50
"""Of those, before it looks through the not so new ones; and of these, before all."""
_SWITCH_S: Final = 0.001


def begin() -> None:
    """Set the collector and the turns of threads; before anything is remembered."""
    gc.set_threshold(_YOUNG, _ROUNDS, _ROUNDS)
    sys.setswitchinterval(_SWITCH_S)


def keep() -> None:
    """Tell the collector that all there is by now stays, so that it need not be looked through."""
    gc.freeze()
