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
from .doors import Doors
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
        teller = Teller(self._events, settings.patience_s)
        self.rounds = Rounds(
            settings, Partners(self.watches, prometheus, self.answers, teller, self.counts)
        )
        self._departures = Departures(
            self.watches.known_pods,
            self.watches.has_own_costs,
            Writer(api),
            settings.costs_s,
            self.counts.costs.inc,
        )
        registry = self.counts.registry
        self.doors = Doors(settings.doors, api, self.answers, registry)
        standings = self.rounds.standings
        registry.register(
            metrics.FunctionCollector(standings, self.watches.trouble, self.watches.connected)
        )
        app = web.app(registry, self.missing, standings, self.answers)
        self._public = WebServer(settings.metrics, app, settings.threads)

    @property
    def port(self) -> int:
        """Return where the metrics are."""
        return self._public.port

    def missing(self) -> str:
        """Say in one line what it is not ready for; empty where it is.

        Once ready it stays so, whatever it loses sight of: it answers with what still stands, or
        says why nothing does, while an APIService without a server would break discovery for
        every client of the cluster.
        """
        if not self.answers.is_open:
            return self.watches.trouble() or "gshare has not decided yet"
        return "" if self.doors.is_serving else self.doors.trouble

    def start(self) -> None:
        """Listen, and begin to follow and to decide; GshareError where an address is taken."""
        self._public.start()
        self.doors.start()
        for part in (self.watches, self.rounds, self._departures):
            part.start()
        _log.info("event=serving metrics_port=%d doors=%s", self.port, self.doors.ports)

    def stop(self) -> None:
        """End what is under way, and everything else."""
        for part in (
            self.doors,
            self._public,
            self.rounds,
            self._departures,
            self.watches,
            self._events,
        ):
            part.stop()
