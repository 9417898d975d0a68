"""One autoscaler process, wired: watches and Prometheus in, one store of answers out by the doors.

Order of start: what is served first, so that whoever asks is told that nothing is known yet; then
the watches, then the rounds. Order of end: the doors first; HPAs keep their replicas until the
next process has decided.
"""

import logging
import platform

from gshare import names
from gshare.runtime.kube import ApiServer, EventWriter
from gshare.runtime.web import WebServer

from . import metrics, web
from .answers import Answers
from .departures import Departures
from .prometheus import Prometheus
from .rounds import Partners, Rounds
from .settings import AutoscalerSettings
from .telling import Teller
from .watching import Watches
from .writer import Writer

_log = logging.getLogger(__name__)


class Service:
    """Everything of one autoscaler; `start`, then `stop`."""

    def __init__(self, settings: AutoscalerSettings, api: ApiServer) -> None:
        self.counts = metrics.counts()
        self.answers = Answers(settings.hold_s)
        self.watches = Watches(api)
        self._events = EventWriter(api, f"{names.DOMAIN}/autoscaler", platform.node())
        prometheus = Prometheus(settings.prometheus, settings.queries)
        teller = Teller(self._events)
        self.rounds = Rounds(
            settings, Partners(self.watches, prometheus, self.answers, teller, self.counts)
        )
        self._departures = Departures(
            self.watches.known_pods, self.watches.has_own_costs, Writer(api), settings.costs_s
        )
        registry = self.counts.registry
        standings, trouble = self.rounds.standings, self.watches.trouble
        registry.register(metrics.FunctionCollector(standings, trouble, self.watches.connected))
        app = web.app(registry, trouble, standings, self.answers)
        self._public = WebServer(settings.metrics, app, settings.threads)

    @property
    def port(self) -> int:
        """Return where the metrics are."""
        return self._public.port

    def start(self) -> None:
        """Listen, and begin to follow and to decide; GshareError where an address is taken."""
        self._public.start()
        for part in (self.watches, self.rounds, self._departures):
            part.start()
        _log.info("event=serving metrics_port=%d", self.port)

    def stop(self) -> None:
        """End what is under way, and everything else."""
        for part in (self._public, self.rounds, self._departures, self.watches, self._events):
            part.stop()
