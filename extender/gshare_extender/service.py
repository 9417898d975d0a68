"""One extender process, wired: watches in, verbs out, and the threads between them.

Order of start: the web first, so that whoever asks is told that nothing is known yet; then the
watches. Order of end: the web first, so that binds under way end; what is on its way in other
processes is found by the next extender in the API.
"""

import logging
import platform
import threading
from collections.abc import Callable

from cheroot import wsgi
from flask import Flask

from gshare import names
from gshare.errors import GshareError
from gshare.runtime.address import Address
from gshare.runtime.kube import ApiServer, EventWriter, Regarding

from . import metrics, web
from .binder import Binder
from .clocks import ClockWatch
from .cluster import Cluster, Listeners
from .preemptor import Preemptor
from .reporter import Reporter
from .settings import ExtenderSettings
from .verbs import Verbs
from .waker import Waker
from .watching import Watches
from .writer import Writer

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
        self._servers = self._serve_by(settings, writer)
        self._threads: list[threading.Thread] = []

    @property
    def ports(self) -> tuple[int, int]:
        """Return where the scheduler asks, and where the metrics are."""
        scheduler, public = self._servers
        return int(scheduler.bind_addr[1]), int(public.bind_addr[1])

    def start(self) -> None:
        """Listen and begin to follow; GshareError where an address is taken."""
        for server in self._servers:
            _prepare(server)
            thread = threading.Thread(target=server.serve, name="web", daemon=True)
            thread.start()
            self._threads.append(thread)
        for part in (self._waker, self._preemptor, self._reporter, self.watches):
            part.start()
        _log.info("event=serving scheduler_port=%d metrics_port=%d", *self.ports)

    def stop(self) -> None:
        """End what is under way, and everything else."""
        enders = [threading.Thread(target=server.stop) for server in self._servers]
        for ender in enders:
            ender.start()
        for thread in (*enders, *self._threads):
            thread.join()
        for part in (self.watches, self._reporter, self._preemptor, self._waker, self._events):
            part.stop()

    def _serve_by(
        self, settings: ExtenderSettings, writer: Writer
    ) -> tuple[wsgi.Server, wsgi.Server]:
        trouble = self.watches.trouble
        pages = web.Pages(self.cluster, trouble, self._counts.registry)
        verbs = Verbs(self.cluster, trouble, self._preemptor.consider)
        binder = Binder(self.cluster, writer, self.watches.known_pod)
        scheduler = web.scheduler_app(pages, verbs, binder, self._counts)

        def server(address: Address, app: Flask) -> wsgi.Server:
            return web.server(address, app, settings.threads, settings.idle_timeout_s)

        return server(settings.listen, scheduler), server(settings.metrics, web.public_app(pages))

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


def _prepare(server: wsgi.Server) -> None:
    try:
        server.prepare()
    except OSError as error:
        host, port = server.bind_addr[:2]
        raise GshareError(f"cannot listen on {host}:{port}: {error}") from error
