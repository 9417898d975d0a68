"""Trials on a cluster: a Job a trial, on a GPU that the Job has to itself.

The Job asks for all memory of a GPU, which the extender therefore gives to nobody else. Whatever a
profile that was killed has left (a Job, a pod of load) goes at the next trial of the same shape,
or by itself when its time is over.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from gshare import names
from gshare.annotations import NodeGpu, PodPlacement, decode_placement
from gshare.errors import GshareError, InputError
from gshare.profile import ProfiledGpu
from gshare.runtime.kube import ApiError, ApiServer, Node, Pod, list_all
from gshare.workload import Shape
from gshare_extender import reading
from gshare_profiler.load import Plan, arguments
from gshare_profiler.site import Counters, Place
from gshare_profiler.trial import TrialError

from . import cluster_usage, profile_objects
from .cluster_reading import asking
from .profile_objects import Object
from .profile_subject import Said

LOAD_IMAGE: Final = "gshare/profiler:0.1.0"
_POLL_S: Final = 0.5
_GONE_TIMEOUT_S: Final = 120.0
_LOAD_STARTS_S: Final = 120.0
HOLD_S: Final = 2.0
"""How far what is read of a cluster may lag behind what the load says."""
_TRIAL_S: Final = 600
_KEY_TIME_SCALE: Final = names.ENV_TIME_SCALE
_WITH_PODS: Final = {"propagationPolicy": "Background"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How trials run on a cluster."""

    namespace: str
    load_image: str = LOAD_IMAGE
    gpu_model: str | None = None
    """Where the cluster has several: the one that is profiled."""
    time_scale: int | None = None
    """How much slower than real simulated GPUs are; None asks the cluster."""
    ready_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class ClusterSite:
    """The GPUs of one model of a cluster."""

    api: ApiServer
    said: Said
    settings: ClusterSettings
    place: Place
    nodes: tuple[str, ...]
    """Those that have this model; none named where all have."""

    @classmethod
    def open(cls, api: ApiServer, said: Said, settings: ClusterSettings) -> "ClusterSite":
        """Look which GPUs there are; GshareError where none are, or several models."""
        with asking(api):
            found = _gpus_by_node(api)
        gpu, nodes = _choose(api, found, settings.gpu_model)
        scale = settings.time_scale or (_time_scale(api) if gpu.is_simulated else 1)
        profiled = ProfiledGpu(gpu.model, gpu.sm_count, gpu.memory_bytes)
        return cls(api, said, settings, Place(profiled, gpu.is_simulated, scale), nodes)

    @contextlib.asynccontextmanager
    async def serve(self, sm_percent: int, quota_percent: int) -> AsyncIterator["ClusterReplica"]:
        """Have a replica of this shape, and nothing else on its GPU, while the block runs."""
        memory_bytes = self.place.gpu.memory_bytes
        shape = Shape(sm_percent, quota_percent, quota_percent, memory_bytes)
        most_s = round((self.settings.ready_timeout_s + _TRIAL_S) * self.place.time_scale)
        body = profile_objects.job(self.said.body, self.said.function, shape, self.nodes, most_s)
        trial = Trial(self.api, self.settings.namespace, body)
        with asking(self.api):
            await trial.begin()
            try:
                timeout_s = self.settings.ready_timeout_s * self.place.time_scale
                pod = await trial.wait_ready(timeout_s)
                written = pod.metadata.annotations[names.ANNOTATION_PLACEMENT]
                placed = decode_placement(written, pod.metadata.namespace)
                yield ClusterReplica(self, trial, pod, placed)
            finally:
                await trial.end()


class Trial:
    """The Job of one trial: created, followed, and gone in the end."""

    def __init__(self, api: ApiServer, namespace: str, body: Object) -> None:
        self.api = api
        self.namespace = namespace
        self.body = body
        self.name = str(body["metadata"]["name"])
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    async def begin(self) -> None:
        """Create it, after one that an earlier run has left is gone."""
        await self.end()
        self.body = json.loads(await _call(lambda: self.api.post(self._jobs, self.body)))

    async def end(self) -> None:
        """Delete it and wait until its pods are gone."""
        with contextlib.suppress(ApiError):
            await _call(lambda: self.api.delete(f"{self._jobs}/{self.name}", _WITH_PODS))
        deadline = time.monotonic() + _GONE_TIMEOUT_S
        while await self.found() or await self.found("-load"):
            if time.monotonic() > deadline:
                raise GshareError(f"pods of Job {self.namespace}/{self.name} do not end")
            await asyncio.sleep(_POLL_S)

    async def found(self, part: str = "") -> list[Pod]:
        """Return its pods, or those of its load."""
        selector = {"labelSelector": f"{profile_objects.LABEL_TRIAL}{part}={self.name}"}
        return (await _call(lambda: list_all(self.api, self.pods, Pod, selector))).items

    async def wait_ready(self, timeout_s: float) -> Pod:
        """Return its pod once it is ready; TrialError, saying why, where it does not become so."""
        deadline = time.monotonic() + timeout_s
        while True:
            pods = await self.found()
            for pod in pods:
                if pod.is_ended:
                    raise TrialError(f"the server ended: {await self.last_words(pod)}")
                if _is_ready(pod):
                    return pod
            if time.monotonic() > deadline:
                raise TrialError(f"not ready within {timeout_s:g} s: {_why(pods)}")
            await asyncio.sleep(_POLL_S)

    async def last_words(self, pod: Pod) -> str:
        """Return the last line that a pod said."""
        lines = (await self.log(pod.metadata.name)).strip().splitlines()
        return lines[-1] if lines else pod.status.message or pod.status.reason or "it said nothing"

    async def log(self, pod: str) -> str:
        """Return all that a pod has said; nothing where it cannot be read yet."""
        try:
            text = await _call(lambda: self.api.get(f"{self.pods}/{pod}/log"))
        except ApiError:
            return ""
        return text.decode(errors="replace")


class ClusterReplica:
    """The pod of a trial, ready."""

    def __init__(self, site: ClusterSite, trial: Trial, pod: Pod, placed: PodPlacement) -> None:
        self._site = site
        self._trial = trial
        self._pod = pod
        self._placed = placed
        self._agents: list[str] = []

    async def load(self, plan: Plan) -> AsyncGenerator[str, None]:
        """Run the load program against it in a pod of its own; yield its lines."""
        port = self._site.said.function.container.ports[0].number
        url = f"http://{self._pod.status.pod_ip}:{port}"
        hold_s = HOLD_S * self._site.place.time_scale
        command = arguments(replace(plan, hold_s=hold_s), url)
        spec = self._site.said.body["spec"]
        like = spec["template"]["spec"] if isinstance(spec, dict) else {}
        body = profile_objects.load_pod(
            self._trial.body, self._site.settings.load_image, command, like
        )
        made = json.loads(await _call(lambda: self._trial.api.post(self._trial.pods, body)))
        name = str(made["metadata"]["name"])
        async for line in self._lines(name):
            yield line

    async def _lines(self, load: str) -> AsyncGenerator[str, None]:
        said, deadline = 0, time.monotonic() + _LOAD_STARTS_S
        while True:
            pods = await self._trial.found("-load")
            pod = next((each for each in pods if each.metadata.name == load), None)
            if pod is None:
                raise TrialError("the pod of the load was deleted")
            lines = (await self._trial.log(load)).splitlines()
            for line in lines[said:]:
                yield line
            said = len(lines)
            if pod.is_ended:
                return
            if not said and time.monotonic() > deadline:
                raise TrialError(f"the load does not start: {_why([pod])}")
            await self._check()
            await asyncio.sleep(_POLL_S)

    async def _check(self) -> None:
        """Raise TrialError where the replica is gone or has ended."""
        pods = await self._trial.found()
        if not pods:
            raise TrialError("the replica was deleted")
        if pods[0].is_ended:
            raise TrialError(f"the server ended: {await self._trial.last_words(pods[0])}")

    async def counters(self) -> Counters | None:
        """Return its GPU's counters as its node's agent tells them; None where it does not."""
        return await asyncio.to_thread(self._counters)

    def _counters(self) -> Counters | None:
        api = self._trial.api
        self._agents = self._agents or cluster_usage.agents(api, {self._pod.spec.node_name})
        lease = f"{self._pod.metadata.namespace}/{self._pod.metadata.name}"
        for gpu in cluster_usage.snapshot(api, self._agents).gpus:
            held = [each.memory_bytes for each in gpu.leases if each.lease_id == lease]
            if gpu.uuid == self._placed.gpu_uuid and held:
                sm_s = gpu.sm_time_ns / 1e9 / gpu.sm_count
                return Counters(gpu.now_ns / 1e9, gpu.busy_ns / 1e9, sm_s, held[0])
        return None


async def _call(ask: Callable[[], T]) -> T:
    """Ask the API server without holding up what else goes on."""
    return await asyncio.to_thread(ask)


def _gpus_by_node(api: ApiServer) -> dict[str, tuple[NodeGpu, ...]]:
    nodes = list_all(api, "/api/v1/nodes", Node).items
    offers = {node.metadata.name: reading.offer(node).inventory for node in nodes}
    return {name: gpus for name, gpus in offers.items() if gpus}


def _choose(
    api: ApiServer, found: dict[str, tuple[NodeGpu, ...]], model: str | None
) -> tuple[NodeGpu, tuple[str, ...]]:
    """Return a GPU of the model to profile, and the nodes that have only such."""
    models = sorted({gpu.model for gpus in found.values() for gpu in gpus})
    if not models:
        raise GshareError(f"{api.host}: no node has GPUs for gshare: apply manifests/ first")
    if model is None and len(models) > 1:
        problem = f"is missing: the cluster has {', '.join(models)}"
        raise InputError("command line", "--gpu-model", None, problem)
    wanted = model or models[0]
    nodes = {name: gpus for name, gpus in found.items() if all(gpu.model == wanted for gpu in gpus)}
    if not nodes:
        problem = f"is on no node by itself; there are: {', '.join(models)}"
        raise InputError("command line", "--gpu-model", wanted, problem)
    gpu = next(iter(nodes.values()))[0]
    return gpu, () if len(nodes) == len(found) else tuple(sorted(nodes))


def _time_scale(api: ApiServer) -> int:
    """Return how much slower than real the cluster's simulated GPUs are, 1 where it says not."""
    path = f"/api/v1/namespaces/{names.NAMESPACE}/configmaps"
    try:
        found: dict[str, Any] = json.loads(api.get(path))
    except (ApiError, ValueError):
        return 1
    said = [(each.get("data") or {}).get(_KEY_TIME_SCALE) for each in found.get("items", ())]
    return next((int(text) for text in said if text and text.isdigit()), 1)


def _is_ready(pod: Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions)


def _why(pods: Sequence[Pod]) -> str:
    """Return what pods wait for, as the cluster says it."""
    for pod in pods:
        for status in pod.status.container_statuses:
            if status.state.waiting is not None and status.state.waiting.message:
                return status.state.waiting.message
        for condition in pod.status.conditions:
            if condition.status != "True" and condition.message:
                return condition.message
    return "its readiness probe fails" if pods else "its Job made no pod"
