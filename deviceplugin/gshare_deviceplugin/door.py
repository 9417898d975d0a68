"""Lets a container start, or says why not: what `PreStartContainer` does for both resources.

Whose container it is, the kubelet's PodResources say; what it may have, its pod in the API says.
Both are asked now, at every start, so nothing is guessed or remembered. What can pass by itself (a
GPU whose last pod is just leaving, a token daemon that is being started) is waited for inside the
call, PATIENCE_S at most of the 30 s that the kubelet allows; then the kubelet shows the error in an
event and tries again with growing pauses.
"""

import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from gshare import names
from gshare.annotations import NodeGpu
from gshare.errors import GshareError
from gshare.runtime.kube.errors import ApiError
from gshare.runtime.kube.objects import Pod, pod_json

from . import lease
from .inventory import Inventory
from .keeper import Keeper
from .lease import Lease, Owner, Refusal
from .podresources import Held, PodResourcesError
from .sweeper import Kubelet

PATIENCE_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0
_STORE_POLL_S: Final = 0.02

_log = logging.getLogger(__name__)


class StartRefusedError(GshareError):
    """A container must not start now; `reason` is one word, for counting."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.reason = refusal.reason


class Pods(Protocol):
    """Pods of this node, asked now."""

    def now(self, owner: Owner) -> Pod | None:
        """Return the pod; None where it is not on this node. ApiError where nobody knows."""

    def known(self, owner: Owner) -> Pod | None:
        """Return the pod as last seen."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Starts that were allowed, and refusals by reason."""

    allowed: int
    refused: dict[str, int]


class Door:
    """Decides on starts of containers. Any thread may call."""

    def __init__(self, keeper: Keeper, inventory: Inventory, pods: Pods, kubelet: Kubelet) -> None:
        self._keeper = keeper
        self._inventory = inventory
        self._pods = pods
        self._kubelet = kubelet
        self._changed = threading.Condition()
        self._allowed = 0
        self._refused: dict[str, int] = {}

    @property
    def counts(self) -> Counts:
        """Return how many starts were allowed and refused."""
        with self._changed:
            return Counts(self._allowed, dict(self._refused))

    def changed(self) -> None:
        """Let those who wait try again: a lease ended, or a GPU changed."""
        with self._changed:
            self._changed.notify_all()

    def start(self, device_ids: Sequence[str]) -> None:
        """Make the lease of the container that has these IDs of the SM resource.

        StartRefusedError where it may not have one now.
        """
        ids = frozenset(device_ids)
        until_s = time.monotonic() + PATIENCE_S
        pause_s = _FIRST_PAUSE_S
        while isinstance(answer := self._try_start(ids), Refusal):
            left_s = until_s - time.monotonic()
            if not answer.may_pass or left_s <= 0:
                self._refuse(answer)
            with self._changed:
                self._changed.wait(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._settle(answer, until_s)
        self._wait_for_store(answer, until_s)
        with self._changed:
            self._allowed += 1
        _log.info(
            "event=lease_begun lease=%s owner=%r gpu=%s",
            answer.lease_id,
            str(answer.owner),
            answer.gpu_uuid,
        )

    def check(self, device_ids: Sequence[str]) -> None:
        """Refuse a container that has these IDs of the quota resource and none of the other."""
        found = self._held(names.RESOURCE_QUOTA, frozenset(device_ids))
        if isinstance(found, Refusal):
            self._refuse(found)
        if not found.ids(names.RESOURCE_SM):
            self._refuse(
                Refusal(
                    f"{found.owner}: {names.RESOURCE_SM} is missing: a rectangle needs both "
                    f"{names.RESOURCE_SM} and {names.RESOURCE_QUOTA} in limits",
                    reason="pod",
                )
            )

    def _try_start(self, ids: frozenset[str]) -> Lease | Refusal:
        held = self._held(names.RESOURCE_SM, ids)
        if isinstance(held, Refusal):
            return held
        pod = self._pod(held.owner)
        if isinstance(pod, Refusal):
            return pod
        gpus = self._inventory.gpus()
        before = self._keeper.last_of(pod.metadata.uid)
        wanted = lease.judge(held.owner, pod_json(pod), ids, gpus, before)
        if isinstance(wanted, Refusal):
            return wanted
        return self._keeper.begin(wanted, _gpu(gpus, wanted.gpu_uuid))

    def _held(self, resource: str, ids: Collection[str]) -> Held | Refusal:
        """Return the one container that holds exactly these IDs, those of ended pods aside."""
        try:
            matching = [held for held in self._kubelet.list() if held.ids(resource) == ids]
        except PodResourcesError as error:
            return Refusal(f"{error}; the kubelet tries again", reason="kubelet", may_pass=True)
        live = [held for held in matching if not self._has_ended(held.owner)]
        if len(live) == 1:
            return live[0]
        whose = ", ".join(str(held.owner) for held in live) or "no container"
        return Refusal(
            f"{resource}: the kubelet's PodResources name {whose} for the {len(ids)} devices of "
            f"this container: must be one; the kubelet tries again",
            reason="kubelet",
            may_pass=True,
        )

    def _has_ended(self, owner: Owner) -> bool:
        known = self._pods.known(owner)
        return known is not None and known.is_ended

    def _pod(self, owner: Owner) -> Pod | Refusal:
        try:
            found = self._pods.now(owner)
        except ApiError as error:
            text = f"{owner}: the API server does not say what it may have: {error}"
            return Refusal(f"{text}; the kubelet tries again", reason="api", may_pass=True)
        if found is None:
            text = f"{owner}: is not in the API as a pod of this node; the kubelet tries again"
            return Refusal(text, reason="api", may_pass=True)
        return found

    def _settle(self, begun: Lease, until_s: float) -> None:
        """Have the GPU follow; the lease stays if it does not, until its successor comes."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                self._keeper.settle(begun.gpu_uuid)
            except GshareError as error:
                if time.monotonic() >= until_s:
                    text = f"{begun.owner}: {error}; the kubelet tries again"
                    self._refuse(Refusal(text, reason="node"))
            else:
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _wait_for_store(self, begun: Lease, until_s: float) -> None:
        """Wait until the container has its memory and its model can be asked for.

        Where no store comes, the container starts all the same, and loads for itself.
        """
        while not self._keeper.is_store_ready(begun):
            if time.monotonic() >= until_s:
                _log.warning(
                    "event=store_not_ready lease=%s gpu=%s", begun.lease_id, begun.gpu_uuid
                )
                return
            time.sleep(_STORE_POLL_S)

    def _refuse(self, refusal: Refusal) -> NoReturn:
        with self._changed:
            self._refused[refusal.reason] = self._refused.get(refusal.reason, 0) + 1
        raise StartRefusedError(refusal)


def _gpu(gpus: Sequence[NodeGpu], uuid: str) -> NodeGpu:
    return next(gpu for gpu in gpus if gpu.uuid == uuid)
