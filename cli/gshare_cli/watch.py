"""The live view of a session: GPUs as rectangles, a bar per replica, what is pending.

Without a terminal it is a line every few seconds. Drawing happens on the event loop, never in a
thread.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.text import Text

from . import drawing, output, usage
from .colours import colour_of
from .session import Session
from .usage import Snapshot, Usage
from .views import ReplicaState, ReplicaView

PERIOD_S: Final = 0.5
PLAIN_PERIOD_S: Final = 5.0
AVERAGED_SNAPSHOTS: Final = 6
LEAST_ROWS: Final = 6
_BAR: Final = 40


class Watch:
    """Shows a session while something else is awaited."""

    def __init__(self, out: Console, *, is_asked: bool) -> None:
        self._out = out
        self._is_asked = is_asked
        self._is_live = is_asked and out.is_terminal
        self._live: Live | None = None
        self._session: Session | None = None
        self.on_unread: Callable[[], None] = lambda: None
        self._snapshots: deque[Snapshot] = deque(maxlen=AVERAGED_SNAPSHOTS)

    def say(self, text: Text) -> None:
        """Print one line, above the live view where there is one.

        Where nobody reads any more (`gshare up | head`), `on_unread` is called, once.
        """
        try:
            self._out.print(text, soft_wrap=True, highlight=False)
        except BrokenPipeError:
            self._out.quiet = True
            self.on_unread()

    @contextlib.contextmanager
    def showing(self, session: Session) -> Iterator[None]:
        """Show `session` within the block."""
        self._session = session
        if not self._is_live:
            yield
            return
        with Live(console=self._out, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    async def until(self, work: Awaitable[object]) -> None:
        """Keep the view up to date until `work` is done; its errors are raised."""
        if not self._is_asked:
            await work
            return
        drawing_task = asyncio.create_task(self._draw() if self._is_live else self._tell())
        try:
            await work
        finally:
            drawing_task.cancel()
            await asyncio.gather(drawing_task, return_exceptions=True)

    async def _draw(self) -> None:
        while self._live and self._session:
            self._snapshots.append(self._session.snapshot())
            measured = usage.between(self._snapshots[0], self._snapshots[-1])
            self._live.update(view(self._session, measured, self._out.size), refresh=True)
            await asyncio.sleep(PERIOD_S)

    async def _tell(self) -> None:
        while self._session:
            before = self._session.snapshot()
            await asyncio.sleep(PLAIN_PERIOD_S)
            measured = usage.between(before, self._session.snapshot())
            self.say(Text(status_line(self._session.replicas, measured)))


def status_line(replicas: Sequence[ReplicaView], measured: Usage) -> str:
    """Return what each replica is and gets, in one line."""
    return "; ".join(
        f"{replica.name} {replica.state.value}" + _delivered(replica, measured)
        for replica in replicas
    )


def _delivered(replica: ReplicaView, measured: Usage) -> str:
    percent = measured.delivered_percent.get(replica.lease_id or "")
    return "" if percent is None else f" {percent:.1f} %"


def view(session: Session, measured: Usage, size: ConsoleDimensions) -> Group:
    """Return the whole picture of a session, as high as the terminal allows."""
    replicas = session.replicas
    columns = min(size.width - output.AXIS_COLUMNS, output.WIDEST_MAP)
    other_lines = len(replicas) + 3 * len(session.gpus)
    rows = (size.height - other_lines) // len(session.gpus)
    rows = min(max(rows, LEAST_ROWS), output.MAP_ROWS)
    parts: list[Text] = []
    for gpu in session.gpus:
        here = [replica for replica in replicas if replica.gpu_uuid == gpu.uuid]
        boxes = [
            drawing.Box(each.name, each.function, at.x, at.y, at.width, at.height)
            for each in here
            for at in each.pieces
        ]
        kind = " (simulated)" if session.is_simulated else ""
        parts.append(Text(f"GPU {gpu.index}: {gpu.name}{kind}", style="bold"))
        parts.append(output.picture_of(boxes, columns, rows))
        parts += [_bar_line(replica, measured) for replica in here]
    parts += [
        Text(f"{replica.name} is Pending: {replica.message}", style="yellow")
        for replica in replicas
        if replica.state is ReplicaState.PENDING
    ]
    return Group(*parts)


def _bar_line(replica: ReplicaView, measured: Usage) -> Text:
    delivered = measured.delivered_percent.get(replica.lease_id or "", 0.0)
    shown = drawing.bar(delivered, replica.quota_request_percent, replica.quota_limit_percent, _BAR)
    text = Text(f"{replica.name:<16.16} ", style=colour_of(replica.function))
    text.append(shown)
    text.append(
        f" {delivered:5.1f} % of {replica.quota_request_percent}-{replica.quota_limit_percent} %"
        f"  {replica.state.value}"
    )
    return text
