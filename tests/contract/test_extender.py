"""Conversations of a scheduler with the extender, over real HTTP against a FakeApiServer."""

import json
import threading
import time

import pytest
from tests.support.extender import ready, serving
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.fake_api_troubles import Answer, Late, Lost
from tests.support.scheduling import GIB, SchedulerSide, gpu_node, gpu_pod, placement

from gshare import names
from gshare.annotations import decode_placement

FULL = "GPU rectangles are full"


@pytest.fixture
def api():
    with FakeApiServer() as found:
        for name in ("a", "b"):
            found.put("nodes", gpu_node(name))
        yield found


@pytest.fixture
def scheduler(api, tmp_path):
    with ready(api, tmp_path) as found:
        yield found


def create(api, name="p", *args, **changes):
    return api.put("pods", gpu_pod(name, *args, **changes))


def bound(api, name="p"):
    """Return where a pod is bound and what its annotation says."""
    pod = api.find("pods", "team", name)
    text = pod["metadata"]["annotations"][names.ANNOTATION_PLACEMENT]
    return pod["spec"]["nodeName"], decode_placement(text, "team")


def picture(scheduler):
    status, text = scheduler.get("/v1/cluster")
    assert status == 200
    return json.loads(text)


def placements(scheduler, node="a"):
    (found,) = [each for each in picture(scheduler)["nodes"] if each["name"] == node]
    return [each for gpu in found["gpus"] for each in gpu["placements"]]


def annotations(api, node):
    return api.find("nodes", "", node)["metadata"]["annotations"]


def bindings(api):
    return [each for each in api.asked if each.path.endswith("/binding")]


def test_a_pod_goes_the_whole_way(api, scheduler):
    """filter, prioritize, bind: one binding with node, UID and placement, and nothing else."""
    pod = create(api)

    offer = scheduler.filter(pod, ["a", "b"])
    scores = scheduler.prioritize(pod, offer["NodeNames"])
    error = scheduler.bind(pod, "a")

    assert (offer["NodeNames"], offer["Error"]) == (["a", "b"], "")
    assert scores == {"a": 10, "b": 9}
    assert error == ""
    assert bound(api) == ("a", placement("a", 12, 40, GIB))
    assert [each.method for each in api.asked if each.method != "GET"] == ["POST"]
    body = json.loads(bindings(api)[0].body)
    assert body["metadata"]["uid"] == "uid-p"
    wait_until(lambda: [each["pod"] for each in placements(scheduler)] == ["p"])


@pytest.mark.usefixtures("scheduler")
def test_pods_without_a_node_are_not_watched(api):
    """They come by the thousand, change while they wait, and hold nothing."""
    selectors = {each.params["fieldSelector"] for each in api.asked if each.path == "/api/v1/pods"}

    assert selectors == {"spec.nodeName!=,status.phase!=Succeeded"}


def test_victims_that_the_scheduler_chose_for_want_of_cpu_must_leave_room_for_the_rectangle(
    api, scheduler
):
    """On a node whose GPU would still be full they would go in vain."""
    create(api, "full", "100", "60", node="a", placement=placement("a", 100, 60))
    create(api, "half", "100", "40", node="b", placement=placement("b", 100, 40))
    wait_until(lambda: placements(scheduler, "a") and placements(scheduler, "b"))
    pod = create(api, "p", "100", "50", priority=10)

    kept = scheduler.preempt(pod, {"a": ["uid-some"], "b": ["uid-some"]})

    assert kept == {"b": ["uid-some"]}


def test_victims_that_hold_the_gpu_themselves_make_room(api, scheduler):
    create(api, "full", "100", "60", node="a", placement=placement("a", 100, 60))
    wait_until(lambda: placements(scheduler, "a"))
    pod = create(api, "p", "100", "50", priority=10)

    assert scheduler.preempt(pod, {"a": ["uid-full"]}) == {"a": ["uid-full"]}


def test_a_pod_with_wrong_limits_preempts_nobody(api, scheduler):
    pod = create(api, "p", "100", None, priority=10)

    assert scheduler.preempt(pod, {"a": ["uid-some"]}) == {}


def test_a_bind_that_is_repeated_succeeds_without_a_second_binding(api, scheduler):
    pod = create(api)
    scheduler.filter(pod, ["a", "b"])

    errors = [scheduler.bind(pod, "a"), scheduler.bind(pod, "a")]
    wait_until(lambda: placements(scheduler) and not picture(scheduler)["reservations"])
    errors.append(scheduler.bind(pod, "a"))

    assert errors == ["", "", ""]
    assert bound(api)[0] == "a"


def test_a_bind_to_another_node_moves_the_place(api, scheduler):
    pod = create(api, "p", "100", "100")
    scheduler.filter(pod, ["a", "b"])

    error = scheduler.bind(pod, "b")

    assert error == ""
    assert scheduler.filter(create(api, "q", "100", "100"), ["a", "b"])["NodeNames"] == ["a"]


def test_a_bind_of_a_pod_that_another_extender_filtered_reads_the_pod(api, scheduler):
    pod = create(api)

    assert scheduler.bind(pod, "a") == ""
    assert bound(api)[1] == placement("a")


def test_a_bind_of_a_pod_that_is_another_one_by_now_fails(api, scheduler):
    pod = create(api)
    scheduler.filter(pod, ["a"])
    api.drop("pods", "p", "team")
    successor = gpu_pod("p")
    successor["metadata"]["uid"] = "uid-successor"
    api.put("pods", successor)

    error = scheduler.bind(pod, "a")

    assert "409" in error or "another one of the same name" in error
    assert "nodeName" not in api.find("pods", "team", "p")["spec"]


def test_a_bind_of_a_pod_that_is_gone_gives_its_place_back(scheduler):
    pod = gpu_pod("p", "100", "100")
    scheduler.filter(pod, ["a", "b"])

    error = scheduler.bind(pod, "a")

    assert "404" in error
    assert picture(scheduler)["reservations"] == []


def test_a_bind_whose_answer_was_lost_succeeds(api, scheduler):
    pod = create(api)
    scheduler.filter(pod, ["a"])
    api.bind_troubles.append(Lost())

    assert scheduler.bind(pod, "a") == ""
    assert len(bindings(api)) == 1


def test_a_bind_that_the_server_refuses_once_is_bound_at_the_next_try(api, scheduler):
    pod = create(api)
    scheduler.filter(pod, ["a", "b"])
    api.bind_troubles.append(Answer(500))

    first = scheduler.bind(pod, "a")
    offer = scheduler.filter(pod, ["a", "b"])
    second = scheduler.bind(pod, "a")

    assert "500" in first
    assert offer["NodeNames"] == ["a"]
    assert second == ""


def test_a_bind_that_lands_late_is_found_again(api, tmp_path):
    """Own deadline first; then the next filter names that node alone, and the bind is a success."""
    with ready(api, tmp_path, bind_s=3.0) as scheduler:
        pod = create(api)
        scheduler.filter(pod, ["a", "b"])
        api.bind_troubles.append(Late(3.5))

        start = time.monotonic()
        first = scheduler.bind(pod, "a")
        took_s = time.monotonic() - start
        offer = scheduler.filter(pod, ["a", "b"])
        wait_until(lambda: "nodeName" in api.find("pods", "team", "p")["spec"])
        second = scheduler.bind(pod, "a")

    assert first
    assert took_s < 3.4
    assert offer["NodeNames"] == ["a"]
    assert second == ""


def test_binds_of_one_pod_wait_for_each_other(api, tmp_path):
    with serving(api, tmp_path) as service:
        wait_until(lambda: not service.watches.trouble())
        pod = create(api)
        api.bind_troubles.append(Late(0.4))
        answers = []

        def bind():
            answers.append(SchedulerSide(service.ports[0]).bind(pod, "a"))

        threads = [threading.Thread(target=bind) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert answers == ["", "", ""]
    assert bound(api)[0] == "a"


@pytest.mark.parametrize(
    ("verb", "body", "text"),
    [
        ("filter", b"{", "filter: not what the scheduler sends: Input data was truncated\n"),
        ("bind", b'{"PodName":1}', "bind: not what the scheduler sends: Expected `str`, got"),
        ("prioritize", b"[]", "prioritize: not what the scheduler sends: Expected `object`"),
    ],
    ids=["half", "a number for a name", "an array"],
)
def test_what_is_no_message_is_answered_with_400_and_one_line(scheduler, verb, body, text):
    status, answer = scheduler.post(verb, body)

    assert status == 400
    assert answer.decode().startswith(text)
    assert answer.count(b"\n") == 1


def test_nothing_is_answered_before_the_cluster_is_known(api, tmp_path):
    api.every_list = Answer(503)
    with serving(api, tmp_path) as service:
        scheduler = SchedulerSide(service.ports[0])

        offer = scheduler.filter(gpu_pod(), ["a"])
        status, text = scheduler.get("/readyz")

        assert offer["Error"].startswith("gshare does not know the nodes yet")
        assert offer["NodeNames"] == []
        assert (status, text.startswith("gshare does not know")) == (503, True)
        assert scheduler.get("/healthz") == (200, "ok\n")
        api.every_list = None
        wait_until(lambda: scheduler.get("/readyz")[0] == 200, timeout_s=15)
        assert scheduler.filter(gpu_pod(), ["a"])["NodeNames"] == ["a"]


def test_the_ledger_is_rebuilt_from_the_api(api, tmp_path):
    small = {"annotations": {names.ANNOTATION_GPU_MEM: "1Gi"}}
    with ready(api, tmp_path) as scheduler:
        pods = [create(api, f"p{index}", "50", "100", **small) for index in range(4)]
        for pod, node in zip(pods, "aabb", strict=True):
            scheduler.filter(pod, ["a", "b"])
            assert scheduler.bind(pod, node) == ""
    api.drop("pods", "p3", "team")

    with ready(api, tmp_path) as scheduler:
        whole = scheduler.filter(create(api, "q", "51", "100", **small), ["a", "b"])
        half = scheduler.filter(create(api, "r", "50", "100", **small), ["a", "b"])

    assert whole["FailedAndUnresolvableNodes"] == {"a": FULL, "b": FULL}
    assert half["NodeNames"] == ["b"]


def test_room_wakes_the_pods_that_wait_by_touching_the_node(api, scheduler):
    held = create(api, "held", "100", "100", node="a", placement=placement("a", 100, 100))
    wait_until(lambda: placements(scheduler))
    assert scheduler.filter(create(api, "waiting"), ["a"])["NodeNames"] == []

    api.drop("pods", held["metadata"]["name"], "team")
    wait_until(
        lambda: names.ANNOTATION_FREED in api.find("nodes", "", "a")["metadata"]["annotations"]
    )

    assert scheduler.filter(create(api, "waiting"), ["a"])["NodeNames"] == ["a"]


def test_no_node_is_touched_while_nobody_waits(api, scheduler):
    create(api, "held", node="a", placement=placement("a"))
    wait_until(lambda: placements(scheduler))

    api.drop("pods", "held", "team")
    wait_until(lambda: not placements(scheduler))

    assert not [each for each in api.asked if each.method == "PATCH"]


def test_an_inconsistency_is_told_by_metric_and_shuts_one_gpu_alone(api, scheduler):
    for name in ("one", "two"):
        create(api, name, "60", "60", node="a", placement=placement("a", 60, 60))
    create(api, "astray", node="b")
    wait_until(lambda: len(picture(scheduler)["problems"]) == 2)

    offer = scheduler.filter(create(api, "p"), ["a", "b"])
    refusal = scheduler.filter(create(api, "q"), ["a"])
    _, text = scheduler.get("/metrics")

    assert offer["NodeNames"] == ["b"]
    assert refusal["FailedAndUnresolvableNodes"] == {"a": "placements on the GPU conflict"}
    assert 'gshare_extender_problems{kind="conflict"} 1.0' in text
    assert 'gshare_extender_problems{kind="unplaced_pod"} 1.0' in text


def test_verbs_are_not_served_where_everyone_can_ask(api, tmp_path):
    with serving(api, tmp_path) as service:
        public = SchedulerSide(service.ports[1])

        assert public.post("bind", {})[0] == 404
        assert public.get("/healthz") == (200, "ok\n")
        assert public.get("/v1/cluster")[0] == 200
        assert "gshare_extender_ready" in public.get("/metrics")[1]


def test_the_picture_shows_placements_and_free_rectangles(api, scheduler):
    create(api, "p", node="a", placement=placement("a"), priority=5)
    wait_until(lambda: placements(scheduler))

    (gpu,) = picture(scheduler)["nodes"][0]["gpus"]

    assert gpu["placements"] == [
        {
            "uid": "uid-p",
            "namespace": "team",
            "pod": "p",
            "is_reserved": False,
            "is_leaving": False,
            "priority": 5,
            "memory": GIB,
            "quota": 40,
            "sm": 12,
            "pieces": [{"x": 0, "y": 0, "quota": 40, "sm": 12}],
        }
    ]
    assert gpu["free"] == [
        {"quota": 100, "sm": 88},
        {"quota": 60, "sm": 100},
    ]
    assert gpu["memory_free"] == 15 * GIB


def test_requests_are_counted_by_verb_and_outcome(api, scheduler):
    pod = create(api)
    scheduler.filter(pod, ["a"])
    scheduler.filter(create(api, "whole", "100", "100"), ["a"])
    scheduler.post("filter", b"")
    scheduler.bind(pod, "a")

    _, text = scheduler.get("/metrics")

    for verb, outcome in [
        ("filter", "ok"),
        ("filter", "refused"),
        ("filter", "not_understood"),
        ("bind", "ok"),
    ]:
        wanted = f'gshare_extender_requests_total{{outcome="{outcome}",verb="{verb}"}} 1.0'
        assert wanted in text
