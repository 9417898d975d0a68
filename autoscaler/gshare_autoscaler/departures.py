"""Tells ReplicaSets now and then which replica should leave first (`consolidation`).

Nothing is remembered: what stands in the pods' annotations is compared with what should. A write
that fails is made at the next look. A Deployment whose template sets a cost of its own is left
alone, and so is one that is no function's.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final

from gshare import names
from gshare.annotations import decode_placement
from gshare.runtime.kube import ApiError, Pod

from . import consolidation
from .answers import Target
from .consolidation import Tenant
from .writer import Writer

_MOST_WRITES: Final = 100
"""A look: the rest waits for the next, so that a large change loads nobody."""
_HASH: Final = "pod-template-hash"

_log = logging.getLogger(__name__)


class Departures:
    """Looks every `interval_s`, on a thread of its own; `written` hears how many costs it wrote."""

    def __init__(
        self,
        pods: Callable[[], Iterable[Pod]],
        has_own_costs: Callable[[Target], bool | None],
        writer: Writer,
        interval_s: float,
        written: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._pods = pods
        self._has_own_costs = has_own_costs
        self._writer = writer
        self._interval_s = interval_s
        self._written = written
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="departures", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        if self._interval_s > 0:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def look(self) -> int:
        """Write what should stand in the annotations and does not; return how many were written."""
        pods = {pod.metadata.uid: pod for pod in self._pods()}
        tenants = [found for pod in pods.values() if (found := self._tenant(pod)) is not None]
        changes = list(consolidation.costs(tenants).items())
        return sum(self._write(pods[uid], cost) for uid, cost in changes[:_MOST_WRITES])

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            try:
                self._written(self.look())
            except Exception:  # noqa: BLE001 (a service loop, logged)
                _log.exception("event=look_failed")

    def _write(self, pod: Pod, cost: int) -> bool:
        meta = pod.metadata
        try:
            self._writer.set_cost(meta.namespace, meta.name, meta.uid, cost)
        except ApiError as error:
            if error.status not in {404, 409}:  # gone meanwhile
                _log.warning(
                    "event=cost_not_set pod=%s/%s error=%r", meta.namespace, meta.name, str(error)
                )
            return False
        return True

    def _tenant(self, pod: Pod) -> Tenant | None:
        """Return what `pod` holds; None where it holds nothing."""
        try:
            written = pod.metadata.annotations[names.ANNOTATION_PLACEMENT]
            placed = decode_placement(written, pod.metadata.namespace)
        except (KeyError, ValueError):
            return None
        return Tenant(
            pod.metadata.uid, self._group(pod), placed.gpu_uuid, placed.size.area, _cost(pod)
        )

    def _group(self, pod: Pod) -> str:
        """Return the ReplicaSet that may take `pod`, empty where its scale-down is not ours."""
        if pod.metadata.deletion_timestamp:
            return ""
        for owner in pod.metadata.owner_references:
            name = owner.name.removesuffix(f"-{pod.metadata.labels.get(_HASH, '')}")
            if not owner.controller:
                continue
            if self._has_own_costs(Target(pod.metadata.namespace, name)) is False:
                return owner.uid
        return ""


def holds_a_place(pod: Pod) -> bool:
    """Tell whether `pod` is live and was placed: no other matters here."""
    return not pod.is_ended and names.ANNOTATION_PLACEMENT in pod.metadata.annotations


def _cost(pod: Pod) -> int | None:
    try:
        return int(pod.metadata.annotations[names.ANNOTATION_DELETION_COST])
    except (KeyError, ValueError):
        return None
