"""Binds pods: one call of the API server, sent at most once at a time for a pod, with a deadline.

The scheduler may ask twice for one pod (its own deadline passed), late, or for another node. So
binds of one UID wait for each other; the binding names the UID; and where an answer is missing or
is 409, the pod is read: if it is on the node with our placement the bind has succeeded, whoever
asked for it. Where nobody knows, the place stays held until the watch has shown the pod, or long
after the request has died, and the next filter offers only that node.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gshare import names
from gshare.annotations import decode_placement
from gshare.errors import InputError
from gshare.ledger import NodeRefusal
from gshare.placement import Request
from gshare.runtime.kube import ApiError, Pod

from . import reading
from .claims import Claim
from .cluster import Cluster
from .messages import BindingArgs
from .writer import Writer

_READ_S: Final = 2.0
_LEAST_S: Final = 0.5
_CONFLICT: Final = 409
# The request was understood and refused: no binding was made, and none will be.
_REFUSED: Final = frozenset({400, 401, 403, 404, 422})

_log = logging.getLogger(__name__)


class BindError(Exception):
    """Why a pod is not bound: one line, for the scheduler. `is_conflict`: the place was lost."""

    def __init__(self, text: str, *, is_conflict: bool = False) -> None:
        super().__init__(text)
        self.is_conflict = is_conflict


class _UnreadableError(BindError):
    """The API server does not say what became of a pod."""


@dataclass(slots=True)
class _Turn:
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0


class Binder:
    """Performs the verb `bind`. Any thread may call."""

    def __init__(self, cluster: Cluster, writer: Writer) -> None:
        self._cluster = cluster
        self._writer = writer
        self._bind_s = cluster.settings.bind_s
        self._mode = cluster.settings.mode
        self._turns: dict[str, _Turn] = {}
        self._lock = threading.Lock()  # over the turns

    def bind(self, args: BindingArgs) -> None:
        """Bind a pod as the scheduler asks; BindError where it is not bound, or perhaps not."""
        deadline = time.monotonic() + self._bind_s
        with self._turn(args.pod_uid, deadline):
            seen = self._cluster.seen_on(args.pod_uid)
            if seen == args.node:
                return
            if seen is not None:
                raise BindError(f"pod is on node {seen} already")
            request = self._request(args, deadline)
            if request is None:
                self._bind_without_gpu(args)
            else:
                self._bind(args, request, deadline)

    @contextmanager
    def _turn(self, uid: str, deadline: float) -> Iterator[None]:
        """Wait until no other bind of this pod is under way."""
        with self._lock:
            turn = self._turns.setdefault(uid, _Turn())
            turn.waiting += 1
        try:
            if not turn.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise BindError("an earlier bind of this pod is still under way")
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            with self._lock:
                turn.waiting -= 1
                if not turn.waiting:
                    del self._turns[uid]

    def _request(self, args: BindingArgs, deadline: float) -> Request | None:
        """Return what the pod asks: as it was filtered, else as the API server has it."""
        filtered = self._cluster.request_of(args.pod_uid)
        if filtered is not None:
            return filtered
        pod = self._read(args, deadline)
        if pod.metadata.uid != args.pod_uid:
            raise BindError("the pod is another one of the same name by now")
        try:
            return reading.request(pod)
        except InputError as error:
            raise BindError(str(error)) from error

    def _read(self, args: BindingArgs, deadline: float) -> Pod:
        timeout_s = _left(deadline, _READ_S)
        try:
            return self._writer.read_pod(args.pod_namespace, args.pod_name, timeout_s)
        except (ApiError, msgspec.ValidationError) as error:
            raise _UnreadableError(f"cannot read the pod: {error}") from error

    def _bind_without_gpu(self, args: BindingArgs) -> None:
        try:
            self._writer.bind_without_gpu(
                args.pod_namespace, args.pod_name, args.pod_uid, args.node
            )
        except ApiError as error:
            raise BindError(str(error)) from error

    def _bind(self, args: BindingArgs, request: Request, deadline: float) -> None:
        claim = self._cluster.claim(request, args.node)
        if isinstance(claim, NodeRefusal):
            raise BindError(f"{args.node}: {claim.text} by now: trying again", is_conflict=True)
        timeout_s = max(_LEAST_S, deadline - time.monotonic() - _READ_S)
        try:
            self._writer.bind(args.pod_namespace, args.pod_name, claim, self._mode, timeout_s)
        except ApiError as error:
            self._settle(args, claim, error, deadline)
        self._cluster.bound(args.pod_uid)
        _log.info(
            "event=bound pod=%s/%s uid=%s node=%s gpu=%s",
            args.pod_namespace,
            args.pod_name,
            args.pod_uid,
            args.node,
            claim.placement.gpu_uuid,
        )

    def _settle(self, args: BindingArgs, claim: Claim, error: ApiError, deadline: float) -> None:
        """Find out what came of a bind that was not answered with success; return if it was."""
        if error.status in _REFUSED:
            self._cluster.release(args.pod_uid)
            raise BindError(str(error)) from error
        try:
            pod = self._read(args, deadline)
        except _UnreadableError:
            self._cluster.uncertain(args.pod_uid)
            raise BindError(str(error)) from error
        if pod.spec.node_name and pod.metadata.uid == args.pod_uid:
            # Known for certain, before the watch has it.
            self._cluster.take_pod("put", pod)
        if not _is_ours(pod, claim):
            if error.status == _CONFLICT:
                self._cluster.release(args.pod_uid)
            else:
                self._cluster.uncertain(args.pod_uid)
            raise BindError(str(error)) from error


def _is_ours(pod: Pod, claim: Claim) -> bool:
    if (pod.metadata.uid, pod.spec.node_name) != (claim.uid, claim.node):
        return False
    text = pod.metadata.annotations.get(names.ANNOTATION_PLACEMENT, "")
    try:
        placed = decode_placement(text, pod.metadata.namespace)
    except ValueError:
        return False
    return placed.gpu_uuid == claim.placement.gpu_uuid


def _left(deadline: float, most_s: float) -> float:
    return max(_LEAST_S, min(most_s, deadline - time.monotonic()))
