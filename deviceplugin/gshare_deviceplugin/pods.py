"""The pods of our own node that ask for a GPU, as the API has them.

Followed by a watch, which tells when a pod ends and when its annotations change. Where a mistake
would cost something, the API is asked again: a container that starts gets what its pod says now (a
watch may lag, and a pod of the same name may be another one), and a pod counts as gone only when
the API says so itself. While the API is away, what was last seen holds.
"""

import datetime as dt
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec

from gshare import names, terms
from gshare.annotations import PodPlacement, decode_placement
from gshare.runtime.kube.api import ApiServer
from gshare.runtime.kube.errors import ApiError
from gshare.runtime.kube.objects import Pod
from gshare.runtime.kube.reflector import Following, Reflector

from .changes import Wish
from .ending import Fate
from .lease import Lease, Owner

_ASK_S: Final = 2.0
_NOT_FOUND: Final = 404


class NodePods:
    """The GPU pods of one node. Any thread may ask."""

    def __init__(self, api: ApiServer, node_name: str, on_change: Callable[[], None]) -> None:
        self._api = api
        self._node_name = node_name
        self._reflector = Reflector(
            api,
            "/api/v1/pods",
            Pod,
            on_change=lambda _verb, _pod: on_change(),
            on_sync=on_change,
            keeps=_asks_for_gpu,
            following=Following(field_selector=f"spec.nodeName={node_name}"),
        )

    def start(self) -> None:
        """Begin to follow."""
        self._reflector.start()

    def stop(self) -> None:
        """Stop following."""
        self._reflector.stop()

    @property
    def is_ready(self) -> bool:
        """Tell whether all pods are known and the API server is there."""
        return self._reflector.is_synced and not self._reflector.is_stale(time.monotonic())

    def known(self, owner: Owner) -> Pod | None:
        """Return the pod as last seen."""
        return self._reflector.find(owner.namespace, owner.pod)

    def now(self, owner: Owner) -> Pod | None:
        """Return the pod as the API has it, else as last seen; None where it is not on this node.

        ApiError where the API does not answer and the pod was never seen.
        """
        try:
            found = self._ask(owner)
        except ApiError:
            found = self.known(owner)
            if found is None:
                raise
        return found if found and found.spec.node_name == self._node_name else None

    def fate(self, owner: Owner, uid: str) -> Fate:
        """Return what became of the pod `uid`, which had the owner's name."""
        known = self.known(owner)
        if known is not None and known.metadata.uid == uid:
            return _fate(known)
        if not self._reflector.is_synced:
            return Fate.UNKNOWN
        try:
            found = self._ask(owner)
        except ApiError:
            return Fate.UNKNOWN
        return _fate(found) if found and found.metadata.uid == uid else Fate.GONE

    def wish(self, held: Lease) -> Wish | None:
        """Return what a lease's pod asks now; None where that is not known."""
        known = self.known(held.owner)
        if known is None or known.metadata.uid != held.pod_uid:
            return None
        placed = _placement(known)
        return Wish(terms.texts(known.metadata.annotations), placed) if placed else None

    def placed(self) -> dict[str, PodPlacement]:
        """Return what the pods that are to run here were placed with, by UID."""
        found = {
            pod.metadata.uid: _placement(pod) for pod in self._reflector.items() if not pod.is_ended
        }
        return {uid: placed for uid, placed in found.items() if placed}

    def killed_at_s(self, held: Lease) -> float | None:
        """Return when a lease's pod is killed, in seconds since the epoch; None if it stays."""
        known = self.known(held.owner)
        if known is None or known.metadata.uid != held.pod_uid:
            return None
        when = known.metadata.deletion_timestamp
        return dt.datetime.fromisoformat(when).timestamp() if when else None

    def _ask(self, owner: Owner) -> Pod | None:
        path = f"/api/v1/namespaces/{quote(owner.namespace)}/pods/{quote(owner.pod)}"
        try:
            return msgspec.json.decode(self._api.get(path, timeout_s=_ASK_S), type=Pod)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise


def _placement(pod: Pod) -> PodPlacement | None:
    try:
        written = pod.metadata.annotations.get(names.ANNOTATION_PLACEMENT, "")
        return decode_placement(written, pod.metadata.namespace)
    except ValueError:
        return None


def _fate(pod: Pod) -> Fate:
    return Fate.ENDED if pod.is_ended else Fate.LIVE


def _asks_for_gpu(pod: Pod) -> bool:
    return pod.names_any(names.RESOURCES)
