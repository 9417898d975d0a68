"""The third door: KEDA's external scaler, for clusters whose HPAs KEDA makes.

A trigger of type `external` or `external-push` names this process; `deployment` in its metadata
says whose number is meant, and without it the ScaledObject's own name does. KEDA scales between 0
and 1 replicas by IsActive, and between 1 and many by an HPA on the metric, whose target is 1 a
replica. A number that is not known is an error, upon which KEDA and HPA keep the replicas (KEDA
before 2.7 took it for inactive); a `fallback` in the ScaledObject would override that.

One event loop serves everything, so that a stream costs no thread; every answer is read from the
store in microseconds.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Final, NoReturn

import grpc

from gshare import names
from gshare.errors import GshareError
from gshare.runtime.address import Address
from gshare_autoscaler.answers import Answers, Target
from gshare_autoscaler.proto import externalscaler_pb2 as pb
from gshare_autoscaler.proto import externalscaler_pb2_grpc

from .metrics import Counts

METADATA_DEPLOYMENT: Final = "deployment"
_DOOR: Final = "keda"
_TARGET: Final = 1
# From look to look for a stream, and how long calls under way may last at the end.
_STREAM_S: Final = 0.5
_GRACE_S: Final = 1.0
_START_S: Final = 10.0

_log = logging.getLogger(__name__)


class ExternalScaler(externalscaler_pb2_grpc.ExternalScalerServicer):
    """Answers KEDA from the store."""

    def __init__(self, answers: Answers, counts: Counts) -> None:
        self._answers = answers
        self._counts = counts

    async def IsActive(  # noqa: N802 (KEDA's)
        self, request: pb.ScaledObjectRef, context: grpc.aio.ServicerContext
    ) -> pb.IsActiveResponse:
        """Tell whether there is to be any replica."""
        return pb.IsActiveResponse(result=await self._replicas(request, context) > 0)

    async def StreamIsActive(  # noqa: N802 (KEDA's)
        self, request: pb.ScaledObjectRef, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.IsActiveResponse]:
        """Tell so now and whenever it changes; nothing while it is not known."""
        last = None
        while not context.cancelled():
            answer = self._answers.get(_target(request))
            if answer is None and self._answers.is_open:
                await self._refuse(request, context)
            if answer is not None and answer.replicas is not None:
                is_active = answer.replicas > 0
                if is_active is not last:
                    yield pb.IsActiveResponse(result=is_active)
                last = is_active
            await asyncio.sleep(_STREAM_S)

    async def GetMetricSpec(  # noqa: N802 (KEDA's)
        self, _request: pb.ScaledObjectRef, _context: grpc.aio.ServicerContext
    ) -> pb.GetMetricSpecResponse:
        """Name the metric and its target; known always, for KEDA makes its HPA of it."""
        spec = pb.MetricSpec(
            metricName=names.METRIC_DESIRED_REPLICAS, targetSize=_TARGET, targetSizeFloat=_TARGET
        )
        return pb.GetMetricSpecResponse(metricSpecs=[spec])

    async def GetMetrics(  # noqa: N802 (KEDA's)
        self, request: pb.GetMetricsRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetMetricsResponse:
        """Return how many replicas there should be."""
        wanted = request.metricName or names.METRIC_DESIRED_REPLICAS
        if wanted != names.METRIC_DESIRED_REPLICAS:
            await self._abort(context, grpc.StatusCode.NOT_FOUND, f"metric {wanted}: not served")
        replicas = await self._replicas(request.scaledObjectRef, context)
        value = pb.MetricValue(metricName=wanted, metricValue=replicas, metricValueFloat=replicas)
        return pb.GetMetricsResponse(metricValues=[value])

    async def _replicas(
        self, request: pb.ScaledObjectRef, context: grpc.aio.ServicerContext
    ) -> int:
        start_s = time.perf_counter()
        answer = self._answers.get(_target(request))
        if answer is None or answer.replicas is None:
            await self._refuse(request, context)
        self._counts.answers.labels(_DOOR, "OK").inc()
        self._counts.latency.labels(_DOOR).observe(time.perf_counter() - start_s)
        return answer.replicas

    async def _refuse(
        self, request: pb.ScaledObjectRef, context: grpc.aio.ServicerContext
    ) -> NoReturn:
        """End the call with why there is no number."""
        target = _target(request)
        answer = self._answers.get(target)
        if answer is None and self._answers.is_open:
            text = (
                f"scaledobject {request.namespace}/{request.name}: {METADATA_DEPLOYMENT}:"
                f" {target.name!r}: no such Deployment with the label {names.LABEL_FUNCTION}"
            )
            await self._abort(context, grpc.StatusCode.NOT_FOUND, text)
        reason = answer.trouble if answer else "not known yet"
        await self._abort(context, grpc.StatusCode.UNAVAILABLE, f"deployment {target}: {reason}")

    async def _abort(
        self, context: grpc.aio.ServicerContext, code: grpc.StatusCode, text: str
    ) -> NoReturn:
        self._counts.answers.labels(_DOOR, code.name).inc()
        await context.abort(code, text)
        raise AssertionError(text)  # abort raises


class Keda:
    """The life of the door: a thread with an event loop; `start`, then `stop`."""

    def __init__(self, address: Address, answers: Answers, counts: Counts) -> None:
        self._address = address
        self._servicer = ExternalScaler(answers, counts)
        self._begun = threading.Event()
        self._end: Callable[[], None] = lambda: None
        self._port = 0
        self._thread = threading.Thread(target=self._run, name="keda", daemon=True)

    @property
    def port(self) -> int:
        """Return where it listens."""
        return self._port

    def start(self) -> None:
        """Listen and answer; GshareError where the address is taken."""
        self._thread.start()
        self._begun.wait(_START_S)
        if not self._port:
            raise GshareError(f"cannot listen on {_text(self._address)} for KEDA: address in use?")
        _log.info("event=serving door=keda port=%d", self._port)

    def stop(self) -> None:
        """End what is under way."""
        self._end()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:  # noqa: BLE001 (a service loop, logged)
            _log.exception("event=door_failed door=keda")
        finally:
            self._begun.set()

    async def _serve(self) -> None:
        # Without this option two processes could share the port, and KEDA would ask either.
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        externalscaler_pb2_grpc.add_ExternalScalerServicer_to_server(self._servicer, server)
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            self._port = server.add_insecure_port(_text(self._address))
        except RuntimeError as error:
            _log.warning("event=cannot_listen door=keda error=%r", str(error))
            return
        await server.start()
        self._end = lambda: _call(loop, ending.set)
        self._begun.set()
        await ending.wait()
        await server.stop(_GRACE_S)


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what)


def _target(request: pb.ScaledObjectRef) -> Target:
    return Target(
        request.namespace, request.scalerMetadata.get(METADATA_DEPLOYMENT) or request.name
    )


def _text(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"
