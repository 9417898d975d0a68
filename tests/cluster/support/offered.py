"""Open-loop load from a pod of the cluster, and what became of each of its requests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.cluster import images

from .scene import Scene, described, is_over, until
from .workloads import Object

_MODULE: Final = "gshare_example_server.load.open_loop"
_NAME: Final = "load"
_CPU: Final = "500m"
"""A weight, above that of the servers: a late sender measures itself."""
_STARTING_S: Final = 60.0
_AFTERWARDS_S: Final = 30.0
_OK: Final = 200

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `due_s` is in seconds of the epoch, latency counts from then."""

    due_s: float
    late_ms: float
    latency_ms: float
    status: int

    def misses(self, slo_ms: float) -> bool:
        """Tell whether it was not served within the objective."""
        return self.status != _OK or self.latency_ms > slo_ms


class Offer:
    """A pod that sends requests to `url` as `trace` says, and prints what came of them."""

    def __init__(
        self, scene: Scene, url: str, trace: str, timeout_s: float = 10.0, cpu: str = _CPU
    ) -> None:
        """Start it; it has begun when this returns. `timeout_s` is for one request.

        `cpu` is what it asks of the node, of which there are two cores for all pods.
        """
        self._scene = scene
        self._timeout_s = timeout_s
        self._failed: list[Any] = []
        self._seconds = float(trace.rsplit(maxsplit=1)[-1].partition(":")[0])
        arguments = ["--url", url, "--trace", trace, "--timeout", f"{timeout_s:g}"]
        scene.create(_pod(arguments, cpu))
        first = until(lambda: scene.lines(_NAME), f"{_NAME} begins", _STARTING_S)[0]
        self.began_s = float(first["began_at"])

    @property
    def ends_s(self) -> float:
        """When it sends its last request, in seconds of the epoch."""
        return self.began_s + self._seconds

    def wait(self) -> list[Request]:
        """Return its requests once all are answered, in the order in which they were due."""
        patience_s = self._seconds + self._timeout_s + _AFTERWARDS_S
        until(self._is_over, f"{_NAME} is over", patience_s, poll_s=1.0)
        lines = self._scene.lines(_NAME)
        self._failed = [each for line in lines for each in line.get("failed", ())]
        if "summary" not in lines[-1]:
            raise AssertionError(f"{_NAME}: {described(self._scene.pod(_NAME))}")
        rows = [row for line in lines for row in line.get("answers", ())]
        return sorted((self._request(*row) for row in rows), key=lambda each: each.due_s)

    def failures(self) -> list[Any]:
        """Return [due, text] of the requests that had no answer, once they are waited for."""
        return self._failed

    def remove(self) -> None:
        """Delete the pod, so that another may come."""
        self._scene.delete("Pod", _NAME)
        self._scene.wait_gone(_NAME)

    def _request(self, due_s: float, late_ms: float, latency_ms: float, status: int) -> Request:
        return Request(self.began_s + due_s, late_ms, latency_ms, status)

    def _is_over(self) -> bool:
        return is_over(self._scene.pod(_NAME))


def missed_percent(
    requests: Sequence[Request], slo_ms: float, without: Iterable[Span] = ()
) -> float:
    """Return how many of the requests missed the objective, those due in `without` left out."""
    spans = list(without)
    counted = [each for each in requests if not any(a <= each.due_s <= b for a, b in spans)]
    assert counted, "every request was due in a span that does not count"
    return 100 * sum(each.misses(slo_ms) for each in counted) / len(counted)


def _pod(arguments: Sequence[str], cpu: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _NAME},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "server",
                    "image": images.reference("example-server"),
                    "imagePullPolicy": "Never",
                    "command": ["python3", "-m", _MODULE, *arguments],
                    "resources": {"requests": {"cpu": cpu}},
                }
            ],
        },
    }
