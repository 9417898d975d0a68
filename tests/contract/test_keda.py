"""What KEDA's operator asks of an external scaler, over real gRPC."""

import socket
import time

import grpc
import pytest
from prometheus_client import CollectorRegistry
from tests.support.fake_api_server import wait_until
from tests.support.front_proxy import ABOUT, LOOPBACK, RESNET, answers_with

from gshare.errors import GshareError
from gshare.runtime.address import Address
from gshare_autoscaler.answers import Answers, Target
from gshare_autoscaler.conditions import Reason, Trouble
from gshare_autoscaler.doors import metrics
from gshare_autoscaler.doors.keda import Keda
from gshare_autoscaler.proto import externalscaler_pb2 as pb
from gshare_autoscaler.proto import externalscaler_pb2_grpc

SMALL = Target("team", "resnet-24-20")
GRACE_S = 5


class Operator:
    """KEDA's side of one ScaledObject."""

    def __init__(self, port, name=RESNET.name, **metadata):
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = externalscaler_pb2_grpc.ExternalScalerStub(self._channel)
        self.ref = pb.ScaledObjectRef(name=name, namespace="team", scalerMetadata=metadata)

    def is_active(self):
        return self._stub.IsActive(self.ref, timeout=GRACE_S).result

    def specs(self):
        return list(self._stub.GetMetricSpec(self.ref, timeout=GRACE_S).metricSpecs)

    def values(self, metric="gshare_desired_replicas"):
        request = pb.GetMetricsRequest(scaledObjectRef=self.ref, metricName=metric)
        return list(self._stub.GetMetrics(request, timeout=GRACE_S).metricValues)

    def stream(self):
        return self._stub.StreamIsActive(self.ref)


@pytest.fixture
def answers():
    return answers_with({RESNET: 3, SMALL: 0}, hold_s=60.0)


@pytest.fixture
def port(answers):
    door = Keda(LOOPBACK, answers, metrics.counts(CollectorRegistry()))
    door.start()
    yield door.port
    door.stop()


def refusal(call):
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code(), raised.value.details()


def test_the_metric_has_a_target_of_one_a_replica(port):
    (spec,) = Operator(port).specs()

    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == (
        "gshare_desired_replicas",
        1,
        1.0,
    )


def test_the_value_is_the_number_of_replicas_in_both_fields(port):
    (value,) = Operator(port).values()

    assert (value.metricName, value.metricValue, value.metricValueFloat) == (
        "gshare_desired_replicas",
        3,
        3.0,
    )


def test_a_deployment_is_active_from_one_replica_on(port):
    assert Operator(port).is_active()
    assert not Operator(port, SMALL.name).is_active()


def test_the_triggers_metadata_may_name_the_deployment(port):
    (value,) = Operator(port, "any-name", deployment=SMALL.name).values()

    assert value.metricValue == 0


@pytest.mark.parametrize("call", ["is_active", "values"])
def test_an_unknown_deployment_is_not_found(port, call):
    code, text = refusal(getattr(Operator(port, "mine", deployment="vgg"), call))

    assert code is grpc.StatusCode.NOT_FOUND
    assert text == (
        "scaledobject team/mine: deployment: 'vgg': no such Deployment with the label"
        " gshare.io/function"
    )


def test_another_metric_is_not_found(port):
    code, text = refusal(lambda: Operator(port).values("requests"))

    assert (code, text) == (grpc.StatusCode.NOT_FOUND, "metric requests: not served")


@pytest.mark.parametrize("call", ["is_active", "values"])
def test_a_number_that_no_longer_stands_is_an_error_and_never_inactive(call):
    answers = answers_with(hold_s=0.0)
    answers.withheld(RESNET, ABOUT, Trouble(Reason.NO_DATA, "no series"))
    door = Keda(LOOPBACK, answers, metrics.counts(CollectorRegistry()))
    door.start()
    try:
        code, text = refusal(getattr(Operator(door.port), call))
        specs = Operator(door.port).specs()
    finally:
        door.stop()

    assert code is grpc.StatusCode.UNAVAILABLE
    assert text == "deployment team/resnet-12-40: NoData: no series"
    assert len(specs) == 1


def test_a_stream_tells_each_change_once(port, answers):
    stream = Operator(port, SMALL.name).stream()

    first = next(stream).result
    answers.decided(SMALL, ABOUT, 2)
    second = next(stream).result
    answers.decided(SMALL, ABOUT, 5)
    answers.decided(SMALL, ABOUT, 0)
    third = next(stream).result
    stream.cancel()

    assert (first, second, third) == (False, True, False)


def test_a_stream_says_nothing_until_something_is_known():
    answers = Answers(60.0)
    door = Keda(LOOPBACK, answers, metrics.counts(CollectorRegistry()))
    door.start()
    try:
        stream = Operator(door.port).stream()
        time.sleep(0.2)
        answers.decided(RESNET, ABOUT, 1)
        first = next(stream).result
    finally:
        door.stop()

    assert first


def test_streams_cost_no_call_its_turn(port):
    streams = [Operator(port).stream() for _ in range(100)]

    assert all(next(stream).result for stream in streams)
    assert Operator(port).is_active()
    for stream in streams:
        stream.cancel()


def test_a_door_ends_while_streams_are_open(answers):
    door = Keda(LOOPBACK, answers, metrics.counts(CollectorRegistry()))
    door.start()
    stream = Operator(door.port).stream()
    next(stream)

    started_s = time.monotonic()
    door.stop()

    assert time.monotonic() - started_s < 4
    wait_until(lambda: stream.code() is not None)


def test_a_port_that_is_taken_is_told(answers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        door = Keda(address, answers, metrics.counts(CollectorRegistry()))

        with pytest.raises(GshareError, match=f"cannot listen on 127.0.0.1:{address.port}"):
            door.start()
        door.stop()
