"""The parts of the scaling benchmark: HPA's arithmetic, the queue, the traces, the replicas."""

import pytest
from benchmarks.scaling import traces
from benchmarks.scaling.hpa import Hpa
from benchmarks.scaling.service import RANDOM, Kind, Service
from benchmarks.scaling.traces import Scale
from benchmarks.scaling.world import World
from tests.support.profiles import resnet as profile

from gshare import scaling
from gshare.errors import InputError
from gshare.scaling import Shape

THIN = Shape(12, 40)


@pytest.mark.parametrize(
    ("metric", "replicas", "wanted"),
    [
        pytest.param(21, 20, 20, id="one more of twenty is within the tolerance"),
        pytest.param(22, 20, 20, id="so are two"),
        pytest.param(23, 20, 23, id="three are not"),
        pytest.param(18, 19, 19, id="one less of nineteen is within the tolerance"),
        pytest.param(2.1, 1, 3, id="a part of a replica counts as one"),
        pytest.param(0, 3, 1, id="one stays at no load"),
    ],
)
def test_hpa_sets_what_the_controller_of_kubernetes_sets(metric, replicas, wanted):
    hpa = Hpa(1.0, window_down_s=0)

    assert hpa.replicas(0, metric, replicas) == wanted


def test_hpa_shrinks_to_the_most_it_wanted_within_its_window():
    hpa = Hpa(1.0)

    sizes = [hpa.replicas(now, metric, 9) for now, metric in ((0, 9), (15, 3), (300, 2), (316, 2))]

    assert sizes == [9, 9, 9, 2]


@pytest.mark.parametrize(
    ("replicas", "most"), [pytest.param(2, 6, id="by four"), pytest.param(9, 18, id="to twice")]
)
def test_hpa_grows_by_so_much_within_a_quarter_of_a_minute(replicas, most):
    hpa = Hpa(1.0)

    assert [hpa.replicas(now, 99, size) for now, size in ((0, replicas), (14, most))] == 2 * [most]
    assert hpa.replicas(15, 99, most) > most


def kind(throughput_rps=10, latency_ms=100, slo_ms=150):
    return Kind.of(throughput_rps, (latency_ms, latency_ms, latency_ms), slo_ms)


def test_requests_queue_for_the_replica_that_is_free_first():
    service = Service()
    service.add(1, kind(), 0.0)

    service.offer([0.0, 0.0, 0.0])

    assert (service.requests, service.too_slow) == (3, 2)
    assert service.remove(1) == pytest.approx(0.3)


def test_two_replicas_share_the_requests():
    service = Service()
    for key in (1, 2):
        service.add(key, kind(), 0.0)

    service.offer([0.0, 0.0, 0.1, 0.1])

    assert service.too_slow == 0


def test_a_replica_that_is_not_ready_lets_requests_wait():
    service = Service()
    service.add(1, kind(), 5.0)

    service.offer([4.0, 4.9])

    assert service.too_slow == 2


def test_a_random_balancer_lets_requests_wait_beside_a_free_replica():
    first_free, at_random = Service(), Service(RANDOM)
    arrivals = [number * 0.06 for number in range(1000)]
    for service in (first_free, at_random):
        for key in (1, 2):
            service.add(key, kind(), 0.0)
        service.offer(arrivals)

    assert first_free.too_slow == 0
    assert at_random.too_slow > 100
    assert at_random.requests == 1000


def test_a_random_balancer_asks_ready_replicas_alone():
    service = Service(RANDOM)
    service.add(1, kind(), 5.0)
    service.add(2, kind(), 0.0)

    service.offer([0.2 * number for number in range(20)])

    assert service.too_slow == 0
    assert service.remove(1) == 5.0


def test_requests_wait_for_the_first_replica():
    service = Service()
    service.offer([0.0])

    assert (service.requests, service.unserved) == (0, 1)
    service.add(1, kind(), 9.0)
    assert (service.requests, service.unserved, service.too_slow) == (1, 0, 1)


def test_unqueued_requests_are_as_slow_as_the_profile_says():
    found = Kind.of(100, (20, 40, 60), 50)

    too_slow = sum(slack < 0 for slack in found.slack_s) / len(found.slack_s)

    assert too_slow == pytest.approx(0.03, abs=0.001)


def test_the_papers_trace_offers_the_integral_of_its_rate():
    trace = traces.paper()

    assert len(trace.arrivals_s) == 12_877
    assert trace.arrivals_s == sorted(trace.arrivals_s)
    between = [time for time in trace.arrivals_s if 70 <= time < 71]
    assert len(between) == pytest.approx(60 + 50 * 35.5 / 75, abs=1)


@pytest.fixture
def azure(tmp_path):
    """Return a function that writes a trace of requests at these seconds."""

    def written(*seconds):
        rows = [f"2023-11-16 18:15:{second:010.7f},374,44" for second in seconds]
        file = tmp_path / "azure.csv"
        file.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]))
        return file

    return written


def test_each_request_of_azure_stands_for_as_many_as_make_the_mean(azure):
    trace = traces.azure(azure(1, 4, 11), Scale(mean_rps=6))

    assert trace.duration_s == 10
    assert trace.mean_rps == pytest.approx(6, rel=0.5)
    assert sum(2.5 <= time <= 3.5 for time in trace.arrivals_s) == 20


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("a,b\n1,2", "is no AzureLLMInferenceTrace_conv.csv", id="other columns"),
        pytest.param("TIMESTAMP\nnoon", "is no AzureLLMInferenceTrace_conv.csv", id="no time"),
        pytest.param("TIMESTAMP\n", "holds no two moments", id="empty"),
    ],
)
def test_another_file_is_refused(tmp_path, text, problem):
    file = tmp_path / "azure.csv"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=problem):
        traces.azure(file, Scale())


def world(counted_from_s=0.0, end_s=100.0):
    options = scaling.options(profile(), [THIN, Shape(24, 80)])
    return World(profile(), {option.shape: option for option in options}, 69, counted_from_s, end_s)


def test_replicas_cost_from_their_creation_to_their_end():
    found = world()
    found.scale(10, {THIN: 2})
    found.scale(60, {THIN: 1})
    found.close()

    assert found.spent.area == pytest.approx(0.048 * (50 + 90))
    assert found.spent.share == pytest.approx(1525 / 16 / 1024 * (50 + 90))
    assert found.spent.starts == 2


def test_the_warm_up_costs_nothing():
    found = world(counted_from_s=50)
    found.scale(10, {THIN: 1})
    found.close()

    assert found.spent.area == pytest.approx(0.048 * 50)
    assert found.spent.starts == 0


def test_replicas_serve_from_when_they_have_started():
    found = world()
    found.scale(10, {THIN: 1, Shape(24, 80): 1})

    assert sum(found.ready(21.9).values()) == 0
    assert found.ready(22) == found.running() == {THIN: 1, Shape(24, 80): 1}


def test_replicas_that_have_not_started_leave_first():
    found = world()
    found.scale(0, {THIN: 2})
    found.scale(20, {THIN: 3})
    found.scale(21, {THIN: 2})

    assert found.ready(21) == {THIN: 2}


def test_gpus_are_as_many_as_the_packer_needs():
    found = world()
    found.scale(0, {THIN: 8})
    found.pass_time(0, 1, [])
    assert found.spent.gpus == 1

    found.scale(1, {THIN: 9, Shape(24, 80): 3})
    found.pass_time(1, 2, [])
    assert found.spent.gpus == 1 + 2


def test_the_replica_that_frees_a_gpu_leaves_first():
    found = world()
    found.scale(0, {THIN: 11}, start_s=0)
    found.scale(50, {THIN: 10})
    found.pass_time(50, 51, [])

    assert found.spent.gpus == 1
