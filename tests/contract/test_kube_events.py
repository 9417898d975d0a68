"""Events: one object for each series, in the API's form, and never in anyone's way."""

import time

import pytest
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.fake_api_troubles import Answer

from gshare.runtime.kube import ApiServer, EventWriter, Pace, Regarding

POD = Regarding("Pod", "web", "team", "uid-1")
PATH = "/apis/events.k8s.io/v1/namespaces/team/events"


@pytest.fixture
def server():
    with FakeApiServer() as fake:
        yield fake


@pytest.fixture
def writer(server, tmp_path):
    api = ApiServer.connect(server.kubeconfig(tmp_path))
    made = EventWriter(api, "gshare.io/extender", "here", Pace(0.01, 0.05))
    yield made
    made.stop()


def written(server, namespace="team"):
    return server.select("events", namespace, {})


def test_an_event_has_what_the_api_wants(server, writer):
    writer.post(POD, "Warning", "NoRoom", "Filtering", "there is none")
    wait_until(lambda: written(server))

    event = written(server)[0]
    assert event["regarding"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "web",
        "namespace": "team",
        "uid": "uid-1",
    }
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "NoRoom", "Filtering")
    assert event["reportingController"] == "gshare.io/extender"
    assert event["note"] == "there is none"
    assert "series" not in event


def test_an_event_of_a_node_stands_in_the_default_namespace(server, writer):
    writer.post(Regarding.node("n1"), "Normal", "Found", "Listing", "two GPUs")

    wait_until(lambda: written(server, "default"))


def test_equal_events_become_one_series(server, writer):
    for _ in range(100):
        writer.post(POD, "Warning", "NoRoom", "Filtering", "there is none")
    writer.stop()

    assert [event["series"]["count"] for event in written(server)] == [64]
    assert len(server.asked) == 7


def test_a_series_whose_event_ran_out_gets_a_new_one(server, writer):
    writer.post(POD, "Warning", "NoRoom", "Filtering", "there is none")
    wait_until(lambda: written(server))
    server.drop("events", written(server)[0]["metadata"]["name"], "team")

    writer.post(POD, "Warning", "NoRoom", "Filtering", "there is none")
    wait_until(lambda: written(server))

    assert written(server)[0]["series"]["count"] == 2


def test_other_notes_are_other_events(server, writer):
    for note in ("one", "two"):
        writer.post(POD, "Warning", "NoRoom", "Filtering", note)
    writer.stop()

    assert sorted(event["note"] for event in written(server)) == ["one", "two"]


def test_a_long_note_is_cut_to_what_the_api_takes(server, writer):
    writer.post(POD, "Warning", "NoRoom", "Filtering", "ü" * 2000)
    writer.stop()

    note = written(server)[0]["note"]
    assert len(note.encode()) <= 1024
    assert note.endswith("ü...")


def test_an_event_waits_for_a_server_that_is_away(server, writer):
    server.refused[PATH] = Answer(503)
    writer.post(POD, "Warning", "NoRoom", "Filtering", "there is none")
    wait_until(lambda: server.asked)
    server.refused.clear()

    wait_until(lambda: written(server))


def test_an_event_that_is_refused_is_dropped_and_the_next_one_written(server, writer, caplog):
    server.refused[PATH] = Answer(403, "Forbidden")
    writer.post(POD, "Warning", "NoRoom", "Filtering", "one")
    wait_until(lambda: "event_dropped" in caplog.text)
    server.refused.clear()
    writer.post(POD, "Warning", "NoRoom", "Filtering", "two")
    writer.stop()

    assert [event["note"] for event in written(server)] == ["two"]


def test_nobody_waits_for_an_event(server, writer):
    server.refuse_connections()
    began = time.monotonic()

    for number in range(3000):
        writer.post(POD, "Warning", "NoRoom", "Filtering", str(number))

    assert time.monotonic() - began < 1
