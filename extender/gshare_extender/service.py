"""One extender process, wired: watches in, verbs out, and the threads between them.

Order of start: the web first, so that whoever asks is told that nothing is known yet; then the
watches. Order of end: the web first, so that binds under way end; what is on its way in other
processes is found by the next extender in the API.
"""

import logging
import platform
import threading
from collections.abc import Callable
from typing import Final

from gshare import names
from gshare.runtime.kube import ApiServer, EventWriter, Regarding
from gshare.runtime.web import WebServer

from . import metrics, web
from .binder import Binder
from .clocks import ClockWatch
from .cluster import Cluster, Listeners
from .preemptor import Preemptor
from .reporter import Reporter
from .server import Server
from .settings import ExtenderSettings
from .verbs import Verbs
from .waker import Waker
from .watching import Watches
from .writer import Writer

_PUBLIC_THREADS: Final = 4

_log = logging.getLogger(__name__)


class Service:
    """Everything of one extender; `start`, then `stop`."""

    def __init__(self, settings: ExtenderSettings, api: ApiServer) -> None:
        self._counts = metrics.counts()
        writer = Writer(api)
        self._events = EventWriter(api, f"{names.DOMAIN}/extender", platform.node())
        self._waker = Waker(self._touch_by(writer), settings.touch_interval_s)
        listeners = Listeners(self._waker.wake, self._counts.lag.observe)
        self.cluster = Cluster(settings, listeners, day_clock=api.now_s)
        self.watches = Watches(api, self.cluster)
        self._preemptor = Preemptor(self.cluster, writer, self._events, self._counts)
        clock = ClockWatch(_self(api), self._events, self._counts)
        self._reporter = Reporter(
            self.cluster, self._events, self._counts, lambda: clock.look(api.ahead_s)
        )
        self._counts.registry.register(
            metrics.ClusterCollector(self.cluster, self.watches.trouble, self.watches.connected)
        )
        self._scheduler, self._public = self._servers(settings, writer)

    @property
    def ports(self) -> tuple[int, int]:
        """Return where the scheduler asks, and where the metrics are."""
        return self._scheduler.port, self._public.port

    def start(self) -> None:
        """Listen and begin to follow; GshareError where an address is taken."""
        self._scheduler.start()
        self._public.start()
        for part in (self._waker, self._preemptor, self._reporter, self.watches):
            part.start()
        _log.info("event=serving scheduler_port=%d metrics_port=%d", *self.ports)

    def stop(self) -> None:
        """End what is under way, and everything else."""
        enders = [
            threading.Thread(target=server.stop) for server in (self._scheduler, self._public)
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        for part in (self.watches, self._reporter, self._preemptor, self._waker, self._events):
            part.stop()

    def _servers(self, settings: ExtenderSettings, writer: Writer) -> tuple[Server, WebServer]:
        """Return the scheduler's server and the public one."""
        trouble = self.watches.trouble
        app = web.public_app(web.Pages(self.cluster, trouble, self._counts.registry))
        verbs = Verbs(self.cluster, trouble, self._preemptor.consider)
        binder = Binder(self.cluster, writer)
        answer = web.scheduler_answer(app, verbs, binder, self._counts)
        scheduler = Server(settings.listen, answer, settings.threads, settings.idle_timeout_s)
        return scheduler, WebServer(settings.metrics, app, _PUBLIC_THREADS)

    def _touch_by(self, writer: Writer) -> Callable[[str], None]:
        def touch(node: str) -> None:
            writer.touch(node)
            self._counts.touches.inc()

        return touch


def _self(api: ApiServer) -> Regarding:
    """Return what stands for this process in the cluster: its pod, or the node beside it."""
    if api.context:
        return Regarding.node(platform.node())
    return Regarding("Pod", platform.node(), api.namespace)
