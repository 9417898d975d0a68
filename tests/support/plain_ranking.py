"""The ledger's order of nodes worked out GPU by GPU, as an oracle for its index.

One node after another and one GPU after another, with Python's own sort: the rule that `search`
applies to whole columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gshare import modes
from gshare.ledger import Ledger, RefusalKind
from gshare.ledger.values import NEAREST_FIRST
from gshare.modes import RECT, Mode, Packer
from gshare.placement import RELAYOUT_CANDIDATES, Request
from gshare.policies import Preference
from gshare.rectangles import GPU_RECTANGLE

from . import plain_memory

LAST_RELAYOUTS = 64


@dataclass(frozen=True)
class Choice:
    """A GPU of a node that takes a request, if a layout is found for it."""

    key: tuple
    node: str
    uuid: str
    state: object
    is_relaid: bool


def rank(
    ledger: Ledger,
    request: Request,
    nodes: Sequence[str],
    limit: int,
    preference: Preference,
    mode: Mode = RECT,
) -> tuple[list[tuple[str, str, bool]], dict[str, RefusalKind]]:
    """Return the best (node, GPU, is laid out anew), or else the refusals by node."""
    choices, refusals = [], {}
    for name in nodes:
        answer = _choices(ledger, name, request, preference)
        if isinstance(answer, RefusalKind):
            refusals[name] = answer
        else:
            choices += answer
    choices.sort(key=lambda choice: choice.key)
    found = _admitted(choices, request, limit, mode)
    if found:
        return [(each.node, each.uuid, each.is_relaid) for each in found.values()], {}
    return [], refusals | {choice.node: RefusalKind.FULL for choice in choices}


def options(
    ledger: Ledger, request: Request, nodes: Sequence[str], preference: Preference
) -> list[tuple[str, str, bool]]:
    """Return (node, GPU, is laid out anew) of all that may take `request`, in order.

    Of a node's GPUs that take it as they lie only the best is among them.
    """
    choices = []
    for name in nodes:
        answer = _choices(ledger, name, request, preference)
        here = [] if isinstance(answer, RefusalKind) else answer
        choices += [each for each in here if each.is_relaid]
        choices += [each for each in here if not each.is_relaid][:1]
    choices.sort(key=lambda choice: choice.key)
    return [(each.node, each.uuid, each.is_relaid) for each in choices]


def _admitted(choices, request, limit, mode):
    packer, found, tried = Packer(mode), {}, {}
    most = RELAYOUT_CANDIDATES if any(not each.is_relaid for each in choices) else LAST_RELAYOUTS
    for choice in choices:
        if len(found) == limit:
            break
        if choice.node in found:
            continue
        if choice.is_relaid and choice.state not in tried and len(tried) == most:
            continue
        sizes = [*choice.state.sizes, request.size]
        holds = packer.holds(sizes, search_longer=not choice.is_relaid)
        if choice.is_relaid:
            tried[choice.state] = holds
        if holds:
            found[choice.node] = choice
    return found


def _choices(ledger, name, request, preference):
    book = ledger._nodes.get(name)
    books = book.books() if book else ()
    if not books or book._allocatable == (0, 0):
        return RefusalKind.NO_GPU
    free = book.units_free()
    if request.sm_percent > free[0] or request.quota_percent > free[1]:
        return RefusalKind.UNITS
    obstacles = [_obstacle(each, request) for each in books]
    direct, stuck = _direct_and_stuck(book, books, obstacles, request, preference)
    worth = [_worth(book, each, preference, request) for each in books]
    least = worth[direct[0]] if direct else -1
    stuck = [plane for plane in stuck if worth[plane] > least]
    stuck.sort(key=lambda plane: -worth[plane])
    ordered = [(plane, worth[plane], True) for plane in stuck[:RELAYOUT_CANDIDATES]]
    ordered += [(plane, min(worth[plane], least), False) for plane in direct]
    if not ordered:
        return next(kind for kind in NEAREST_FIRST if kind in obstacles)
    area = book.used_area if preference.policy != "spread" else -book.used_area
    return [
        Choice(
            (-value, -area, name, turn), name, books[plane].gpu.uuid, books[plane].state, is_relaid
        )
        for turn, (plane, value, is_relaid) in enumerate(ordered)
    ]


def _direct_and_stuck(book, books, obstacles, request, preference):
    direct, stuck = [], []
    for plane, each in enumerate(books):
        if obstacles[plane] is not None:
            continue
        side = modes.short_side_left(each.snapshot.layout.profile, request.size)
        if side is None:
            stuck.append(plane)
            continue
        first = {
            "binpack": 0,
            "spread": each.used_area,
            "affinity": not _is_resident(book, each, preference.model),
        }[preference.policy]
        direct.append((first, side, -_worth(book, each, preference, request), plane))
    return [plane for *_, plane in sorted(direct)], stuck


def _obstacle(book, request):
    snapshot, size = book.snapshot, request.size
    has_area = book.used_area + size.area <= GPU_RECTANGLE.area
    holds = {
        RefusalKind.DOUBLED: book.is_doubled,
        RefusalKind.CONFLICT: not book.is_settled,
        RefusalKind.HELD: book.is_held,
        RefusalKind.UNHEALTHY: not snapshot.gpu.is_healthy,
        RefusalKind.CLIENTS: snapshot.clients_free <= 0,
        RefusalKind.MEMORY: _lacks_memory(book, request),
        RefusalKind.FULL: not (snapshot.layout.fits(size) or has_area),
    }
    return next((kind for kind, is_so in holds.items() if is_so), None)


def _worth(book, each, preference, request):
    """Return what a GPU is worth: by the policy, and then by whether the model is there."""
    used = each.used_area
    if preference.policy == "affinity":
        return 2 * GPU_RECTANGLE.area * _is_resident(book, each, preference.model) + used
    name = request.model.name if request.model else ""
    worth = GPU_RECTANGLE.area - used if preference.policy == "spread" else used
    return 2 * worth + _is_resident(book, each, name)


def _lacks_memory(book, request):
    laid_out = [book._holders[uid] for uid in book.snapshot.layout.keys]
    asked = plain_memory.asked(book.gpu, laid_out, book.resident, request)
    promised = plain_memory.promised(book.gpu, laid_out, book.resident)
    return asked > book.gpu.memory_bytes - promised


def _is_resident(book, each, name):
    announced = {placed.shared.name for placed in each._holders.values() if placed.shared}
    return name in {*book._resident.get(each.gpu.uuid, ()), *announced}
