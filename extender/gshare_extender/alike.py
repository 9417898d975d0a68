"""What is equal for many pods, worked out once and kept once: a function's replicas are alike.

Only answers are remembered, never errors: those name the pod.
"""

from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from gshare import names
from gshare.runtime.kube.objects import Container, Pod, pod_json
from gshare.workload import pods
from gshare.workload.pods import Asked

_MOST: Final = 4096
K = TypeVar("K")
V = TypeVar("V")


class Known(Generic[K, V]):
    """Answers by what they were worked out from; all are forgotten when there are too many.

    Any thread may ask: at worst an answer is worked out twice.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._answers: dict[K, V] = {}

    def of(self, key: K, work_out: Callable[[], V]) -> V:
        """Return the answer for `key`."""
        try:
            return self._answers[key]
        except KeyError:
            answer = work_out()
        if len(self._answers) >= self._most:
            self._answers.clear()
        return self._answers.setdefault(key, answer)


_ASKED: Final[Known[object, Asked | None]] = Known()
_RECTANGLES: Final[Known[object, Asked | None]] = Known()
_TEXTS: Final[Known[object, Mapping[str, str]]] = Known()


def asked(pod: Pod) -> Asked | None:
    """Return what `pod` asks, as `workload.pods.asked` does; InputError where that is wrong."""
    ours = [
        (key, text)
        for key, text in pod.metadata.annotations.items()
        if key.startswith(names.DOMAIN) and key != names.ANNOTATION_PLACEMENT
    ]
    key = (_containers(pod), tuple(sorted(ours)))
    return _ASKED.of(key, lambda: pods.asked(pod_json(pod)))


def rectangle(pod: Pod) -> Asked | None:
    """Return what `pod` asks by its container alone; InputError where that is wrong."""
    return _RECTANGLES.of(_containers(pod), lambda: pods.rectangle(pod_json(pod)))


def texts(found: Mapping[str, str]) -> Mapping[str, str]:
    """Return `found`, or an equal mapping from before; neither is to be changed."""
    return _TEXTS.of(tuple(found.items()), lambda: found)


def _containers(pod: Pod) -> object:
    spec = pod.spec
    return (tuple(map(_written, spec.containers)), tuple(map(_written, spec.init_containers)))


def _written(container: Container) -> object:
    resources = container.resources
    return (container.name, tuple(resources.limits.items()), tuple(resources.requests.items()))
