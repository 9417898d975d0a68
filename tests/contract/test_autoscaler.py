"""An autoscaler against a FakeApiServer and a FakePrometheus: from rates to answers, and faults."""

import json
import time
import urllib.error
import urllib.request

import pytest
from tests.support.autoscaler import config_map, deployment, serving
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.fake_prometheus import FakePrometheus, constant, data, failure

from gshare import names
from gshare_autoscaler.answers import Target
from gshare_autoscaler.conditions import Reason

THIN = Target("team", "thin")
WHOLE = Target("team", "whole")


@pytest.fixture
def prometheus():
    with FakePrometheus(rate=constant(60.0)) as found:
        yield found


@pytest.fixture
def api():
    """Serve a cluster with one function of two shapes: 35 req/s a replica, and 75."""
    with FakeApiServer() as found:
        found.put("deployments", deployment("thin"))
        found.put("deployments", deployment("whole", 24, 100, replicas=0))
        found.put("configmaps", config_map())
        yield found


@pytest.fixture
def start(api, prometheus, tmp_path):
    """Return how to run an autoscaler against both."""
    return lambda **changes: serving(api, prometheus, tmp_path, **changes)


def replicas(service, target=THIN):
    answer = service.answers.get(target)
    return answer and answer.replicas


def reason(service, target=THIN):
    answer = service.answers.get(target)
    return answer and answer.trouble and answer.trouble.reason


def page(service, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}{path}") as answer:
        return answer.read().decode()


def explained(service):
    """Return a function's page once it has the last round's decision; answers are told before."""
    pages = []

    def decided():
        pages.append(json.loads(page(service, "/v1/functions/team/resnet")))
        return pages[-1]["decision"] is not None

    wait_until(lambda: not service.missing())
    wait_until(decided)
    return pages[-1]


def events(api):
    return [json.loads(each.body) for each in api.asked if each.path.endswith("/events")]


def test_the_offered_rate_becomes_replicas(start):
    """60 req/s, times 1.25, are 75: three replicas of 35 cost less than one of 75."""
    with start() as service:
        wait_until(lambda: replicas(service) == 3)

        assert replicas(service, WHOLE) == 0


def test_replicas_follow_a_rate_that_grows(start, prometheus):
    with start() as service:
        wait_until(lambda: replicas(service) == 3)

        prometheus.rate = constant(110.0)

        wait_until(lambda: replicas(service) == 4)


def test_a_setting_that_changes_takes_effect(api, start):
    """An SLO that the thin shape misses: what runs of it stays until the other is Ready."""
    api.put("configmaps", config_map(scaling_policy="exact"))
    api.put("deployments", deployment("slow", 6, 20, replicas=8))
    with start() as service:
        wait_until(lambda: replicas(service, Target("team", "slow")) is not None)

        api.put("deployments", deployment("thin", replicas=3))

        wait_until(lambda: replicas(service, Target("team", "slow")) == 8)
        page_ = explained(service)
        slow = next(each for each in page_["deployments"] if each["name"] == "slow")
        assert "200.0 ms, over the SLO of 69 ms" in slow["note"]


def test_what_an_hpa_does_not_allow_is_left_to_the_other_shape(api, prometheus, start):
    """137.5 req/s are planned for: two of 35 are allowed, and one of 75 serves the rest."""
    prometheus.rate = constant(110.0)
    reference = {"kind": "Deployment", "name": "thin"}
    metric = {"type": "Object", "object": {"metric": {"name": names.METRIC_DESIRED_REPLICAS}}}
    spec = {"scaleTargetRef": reference, "minReplicas": 0, "maxReplicas": 2, "metrics": [metric]}
    body = {"metadata": {"name": "thin", "namespace": "team"}, "spec": spec}
    api.put("horizontalpodautoscalers", body)

    with start() as service:
        wait_until(lambda: replicas(service, WHOLE) == 1)

        page_ = explained(service)
        assert replicas(service) == 2
        assert "maxReplicas allows no more of" in page_["decision"]["why"]


def test_a_deployment_that_is_deleted_has_no_answer(api, start):
    with start() as service:
        wait_until(lambda: replicas(service) == 3)

        api.drop("deployments", "whole", "team")

        wait_until(lambda: service.answers.get(WHOLE) is None)
        assert replicas(service) == 3


def test_the_last_number_stands_while_prometheus_is_away_and_then_ends(start, prometheus):
    with start(hold_s=0.6) as service:
        wait_until(lambda: replicas(service) == 3)

        prometheus.stop()
        wait_until(lambda: reason(service) is Reason.PROMETHEUS_AWAY)
        during = replicas(service)
        wait_until(lambda: replicas(service) is None)
        after = reason(service)
        prometheus.listen()
        wait_until(lambda: replicas(service) == 3)

        assert (during, after) == (3, Reason.PROMETHEUS_AWAY)
        assert reason(service) is None


@pytest.mark.parametrize(
    ("answer", "expected", "part"),
    [
        (data("vector", []), Reason.NO_DATA, "finds no series"),
        (
            data("vector", [{"metric": {}, "value": [1.0, "5"]}]),
            Reason.STALE_DATA,
            "is of 1970-01-01 00:00:01 UTC",
        ),
        (data("vector", [{"metric": {}, "value": [1.0, "NaN"]}]), Reason.NO_DATA, "gives NaN"),
        (data("vector", [{"metric": {}, "value": [1.0, "-1"]}]), Reason.QUERY_REFUSED, "gives -1"),
        (
            data("vector", [{"metric": {"pod": p}, "value": [1.0, "1"]} for p in "ab"]),
            Reason.QUERY_REFUSED,
            "gives 2 series, such as {'pod': 'a'}, {'pod': 'b'}: must give one number",
        ),
        (
            failure(400, "bad_data", "1:5: parse error:\nunclosed left bracket"),
            Reason.QUERY_REFUSED,
            "Prometheus says: 1:5: parse error: unclosed left bracket",
        ),
        (failure(503, "timeout", "query timed out"), Reason.QUERY_TIMED_OUT, "query timed out"),
        ((502, b"<html>"), Reason.PROMETHEUS_AWAY, "502"),
        ((200, b"hello"), Reason.PROMETHEUS_AWAY, "not an answer"),
    ],
    ids=[
        "no series",
        "old data",
        "no number",
        "negative",
        "two series",
        "PromQL error",
        "query too slow",
        "a proxy's page",
        "something else",
    ],
)
def test_what_is_wrong_with_one_query_is_said_and_another_function_goes_on(
    api, start, prometheus, answer, expected, part
):
    api.put("deployments", deployment("bert", function="bert"))
    api.put("configmaps", config_map("bert", rate_query="sum(bert_hits"))
    prometheus.fixed["bert_hits"] = answer
    with start() as service:
        bert = Target("team", "bert")
        wait_until(lambda: reason(service, bert) not in {None, Reason.UNKNOWN})
        wait_until(lambda: replicas(service) == 3)

        text = service.answers.get(bert).trouble.text

        assert reason(service, bert) is expected
        assert part in text
        assert "\n" not in text
        assert replicas(service, bert) is None


def test_a_query_that_hangs_is_given_up(start, prometheus):
    prometheus.is_hanging.set()
    with start(timeout_s=0.2) as service:
        wait_until(lambda: reason(service) is Reason.QUERY_TIMED_OUT)

        prometheus.is_hanging.clear()

        wait_until(lambda: replicas(service) == 3)


def test_queries_that_hang_keep_no_other_function_waiting(api, start, prometheus):
    """Twenty of them, with eight asked at once, and a timeout of a second."""
    for number in range(20):
        name = f"slow-{number}"
        api.put("deployments", deployment(name, function=name))
        api.put("configmaps", config_map(name, rate_query="sum(hanging)"))
    prometheus.hanging.add("hanging")
    with start(timeout_s=1.0) as service:
        wait_until(lambda: replicas(service) == 3)
        wait_until(lambda: reason(service, Target("team", "slow-19")) is Reason.QUERY_TIMED_OUT, 20)

        changed_at_s = time.monotonic()
        prometheus.rate = constant(110.0)
        wait_until(lambda: replicas(service) == 4)

        assert time.monotonic() - changed_at_s < 2.0


def test_a_new_process_decides_as_the_last_one_did(start, prometheus):
    """The rate fell a minute ago; the scale-down window keeps what it asked for."""
    fell_at_s = time.time() - 60
    prometheus.rate = lambda at_s: 110.0 if at_s < fell_at_s else 30.0
    with start() as service:
        wait_until(lambda: replicas(service) is not None)

        assert replicas(service) == 4


def test_nothing_shrinks_before_the_window_was_seen(api, start, prometheus):
    prometheus.starts_at_s = time.time()
    prometheus.rate = constant(1.0)
    api.put("deployments", deployment("thin", replicas=6))
    with start() as service:
        wait_until(lambda: replicas(service) is not None)

        assert replicas(service) == 6
        shown = explained(service)
        assert "stay since the rate is known for" in shown["decision"]["why"]


def test_what_is_known_for_the_whole_window_may_shrink(api, start, prometheus):
    prometheus.rate = constant(1.0)
    api.put("deployments", deployment("thin", replicas=6))
    with start() as service:
        wait_until(lambda: replicas(service) is not None)

        assert replicas(service) == 1


def test_a_trouble_is_told_once_and_so_is_its_end(api, start, prometheus):
    with start() as service:
        wait_until(lambda: replicas(service) == 3)

        prometheus.stop()
        wait_until(lambda: len(events(api)) == 2)
        time.sleep(0.3)
        prometheus.listen()
        wait_until(lambda: len(events(api)) == 4)

    told = [(each["reason"], each["regarding"]["name"]) for each in events(api)]
    assert told == [
        ("PrometheusAway", "thin"),
        ("PrometheusAway", "whole"),
        ("ScalingResumed", "thin"),
        ("ScalingResumed", "whole"),
    ]
    about = events(api)[0]["regarding"]
    assert (about["apiVersion"], about["kind"], about["uid"]) == (
        "apps/v1",
        "Deployment",
        api.find("deployments", "team", "thin")["metadata"]["uid"],
    )
    assert events(api)[0]["note"].endswith("its last number, 3, stands for now")


def test_every_decision_is_shown_with_its_numbers(start):
    with start() as service:
        wait_until(lambda: replicas(service) == 3)

        shown = explained(service)

    assert shown["condition"] == {"reason": "Decided", "text": ""}
    assert shown["settings"]["slo_ms"] == 69.0
    assert shown["decision"]["rate_rps"] == 60.0
    assert shown["decision"]["planned_rps"] == pytest.approx(75.0, abs=0.1)
    assert shown["decision"]["capacity_rps"] == 35.0
    assert shown["decision"]["plan"] == {"12x40": 3}
    thin, whole = shown["deployments"]
    assert (thin["name"], thin["running"], thin["wanted"], thin["answered"]) == ("thin", 1, 3, 3)
    assert (whole["name"], whole["wanted"], whole["option"]["throughput_rps"]) == ("whole", 0, 75.0)


def test_a_function_that_is_not_there_is_not_found(start):
    with start() as service:
        wait_until(lambda: replicas(service) == 3)

        with pytest.raises(urllib.error.HTTPError) as refused:
            page(service, "/v1/functions/team/other")

    assert refused.value.code == 404


def test_metrics_show_the_number_and_the_condition(start):
    with start() as service:
        wait_until(lambda: replicas(service) == 3)
        wait_until(lambda: "gshare_function_offered_rps{" in page(service, "/metrics"))

        shown = page(service, "/metrics")

    labels = 'deployment="thin",function="resnet",namespace="team"'
    assert f"{names.METRIC_DESIRED_REPLICAS}{{{labels}}} 3.0" in shown
    of = 'function="resnet",namespace="team"'
    assert f"gshare_function_offered_rps{{{of}}} 60.0" in shown
    assert f'gshare_function_condition{{{of},reason="Decided"}} 1.0' in shown


def test_it_is_ready_once_it_has_decided_and_stays_so(api, start, prometheus):
    with start() as service:
        wait_until(lambda: service.missing() == "")

        prometheus.stop()
        api.refuse_connections()
        wait_until(lambda: reason(service) is not None)

        assert page(service, "/readyz") == "ok\n"


def test_a_token_is_shown_to_prometheus(api, prometheus, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    with serving(api, prometheus, tmp_path, token_file=token) as service:
        wait_until(lambda: replicas(service) == 3)

    assert prometheus.headers["Authorization"] == "Bearer secret"


def pod(name, gpu, deployment_name="thin", cost=None):
    """Return a live pod of a Deployment on one GPU, as its ReplicaSet made it."""
    placed = json.dumps({"gpu": gpu, "sm": 12, "quota": 40, "memory": 2**30})
    written = {names.ANNOTATION_PLACEMENT: placed}
    if cost is not None:
        written[names.ANNOTATION_DELETION_COST] = str(cost)
    return {
        "metadata": {
            "name": name,
            "namespace": "team",
            "labels": {"pod-template-hash": "5f6d"},
            "annotations": written,
            "ownerReferences": [
                {
                    "kind": "ReplicaSet",
                    "name": f"{deployment_name}-5f6d",
                    "uid": f"rs-{deployment_name}",
                    "controller": True,
                }
            ],
        },
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running"},
    }


def cost_of(api, name):
    annotations = api.find("pods", "team", name)["metadata"]["annotations"]
    return annotations.get(names.ANNOTATION_DELETION_COST)


def test_the_replica_that_frees_a_gpu_is_told_to_leave_first(api, start):
    for name, gpu, owner in (("p1", "g1", "thin"), ("o", "g1", "whole"), ("p2", "g2", "thin")):
        api.put("pods", pod(name, gpu, owner))

    with start() as service:
        wait_until(lambda: cost_of(api, "p1") == "2")

        wait_until(lambda: cost_of(api, "p2") == "1")
        assert cost_of(api, "o") is None
        wait_until(
            lambda: "gshare_autoscaler_deletion_costs_total 2.0" in page(service, "/metrics")
        )


def test_costs_that_are_right_are_not_written_again(api, start):
    api.put("pods", pod("p1", "g1", cost=7))
    api.put("pods", pod("o", "g1", "whole"))
    api.put("pods", pod("p2", "g2", cost=3))

    with start() as service:
        wait_until(lambda: replicas(service) == 3)
        time.sleep(0.3)

    assert [each for each in api.asked if each.method == "PATCH"] == []


def test_a_deployment_that_sets_its_own_costs_is_left_alone(api, start):
    own = deployment("thin", template_annotations={names.ANNOTATION_DELETION_COST: "5"})
    api.put("deployments", own)
    api.put("pods", pod("p1", "g1"))
    api.put("pods", pod("o", "g1", "whole"))
    api.put("pods", pod("p2", "g2"))

    with start() as service:
        wait_until(lambda: replicas(service) == 3)
        time.sleep(0.3)

    assert [each for each in api.asked if each.method == "PATCH"] == []


def test_a_function_whose_pods_count_its_load_keeps_one(start, prometheus):
    """Without a pod nothing is counted, and it would sleep for ever."""
    prometheus.rate = constant(0.0)
    with start() as service:
        wait_until(lambda: replicas(service) is not None)

        assert (replicas(service), replicas(service, WHOLE)) == (1, 0)
        shown = explained(service)
        assert "only replicas count this function's load" in shown["decision"]["why"]


def test_a_function_without_a_replica_wakes_where_only_pods_would_count(api, start, prometheus):
    api.put("deployments", deployment("thin", replicas=0))
    prometheus.rate = lambda _: None
    with start() as service:
        wait_until(lambda: replicas(service) == 1)


def test_a_function_whose_gateway_counts_its_load_goes_to_zero(api, start, prometheus):
    api.put("configmaps", config_map(rate_query="openfaas"))
    prometheus.rate = constant(0.0)
    with start() as service:
        wait_until(lambda: replicas(service) is not None)
        asleep = replicas(service), replicas(service, WHOLE)

        prometheus.rate = constant(10.0)

        wait_until(lambda: replicas(service) == 1)
        assert asleep == (0, 0)


def test_a_window_that_fills_after_a_break_is_no_load_that_grows(start, prometheus):
    """Prometheus divides by the whole window what it saw of it: the rate climbs for that long."""
    with start() as service:
        wait_until(lambda: replicas(service) == 3)
        prometheus.stop()
        time.sleep(0.7)  # more than half of the window of 1 s

        back_at_s = time.time()
        prometheus.rate = lambda at_s: 60.0 * min(1.0, max(0.0, at_s - back_at_s))
        prometheus.listen()
        wait_until(lambda: reason(service) is Reason.WINDOW_NOT_FULL)
        seen = set()
        wait_until(lambda: seen.add(replicas(service)) or reason(service) is None)
        until_s = time.monotonic() + 0.5
        wait_until(lambda: seen.add(replicas(service)) or time.monotonic() > until_s)

        assert seen == {3}


def test_a_series_that_has_only_begun_is_waited_for(start, prometheus):
    prometheus.starts_at_s = time.time() + 60
    with start() as service:
        wait_until(lambda: reason(service) is Reason.NO_DATA)
        prometheus.starts_at_s = time.time()
        wait_until(lambda: reason(service) is Reason.WINDOW_NOT_FULL)

        wait_until(lambda: replicas(service) == 3)

        assert time.time() - prometheus.starts_at_s >= 0.95


def test_a_function_without_a_replica_does_not_wait_for_a_window(api, start, prometheus):
    api.put("deployments", deployment("thin", replicas=0))
    api.put("configmaps", config_map(rate_query="sum(rate(hits[1h]))"))
    prometheus.starts_at_s = time.time()
    with start() as service:
        wait_until(lambda: replicas(service) == 3)
