"""All doors of one autoscaler: opened and shut together."""

from prometheus_client import CollectorRegistry

from gshare.runtime.kube import ApiServer
from gshare_autoscaler.answers import Answers

from . import metrics
from .custom_metrics import CustomMetrics
from .keda import Keda
from .metrics import DesiredReplicas
from .settings import DoorSettings
from .web import metrics_app


class Doors:
    """The three doors to one store of answers; `start`, then `stop`.

    The gauge is in `registry`, so that whoever serves that serves the second door. A door that the
    settings leave out is not there.
    """

    def __init__(
        self, settings: DoorSettings, api: ApiServer, answers: Answers, registry: CollectorRegistry
    ) -> None:
        counts = metrics.counts(registry)
        registry.register(DesiredReplicas(answers))
        self._custom_metrics = (
            CustomMetrics(
                settings,
                settings.api,
                api,
                lambda trust: metrics_app(answers, trust, counts),
                counts,
            )
            if settings.api
            else None
        )
        self._keda = Keda(settings.keda, answers, counts) if settings.keda else None

    @property
    def ports(self) -> dict[str, int]:
        """Return where the doors listen, by name: custom_metrics, keda."""
        named = {"custom_metrics": self._custom_metrics, "keda": self._keda}
        return {name: door.port for name, door in named.items() if door}

    @property
    def trouble(self) -> str:
        """Say in one line why HPAs are not answered, or by another adapter; empty if they are."""
        door = self._custom_metrics
        return f"custom metrics: {door.trouble}" if door and door.trouble else ""

    @property
    def is_serving(self) -> bool:
        """Tell whether every door answers: what counts for /readyz.

        An APIService of another's is a trouble, but no reason to keep the other doors shut.
        """
        return self._custom_metrics is None or self._custom_metrics.is_serving

    def start(self) -> None:
        """Open them; GshareError where an address is taken, and none is open then."""
        begun: list[CustomMetrics | Keda] = []
        try:
            for door in (self._custom_metrics, self._keda):
                if door:
                    begun.append(door)
                    door.start()
        except BaseException:
            for door in begun:
                door.stop()
            raise

    def stop(self) -> None:
        """Shut them; calls under way end first."""
        for door in (self._custom_metrics, self._keda):
            if door:
                door.stop()
