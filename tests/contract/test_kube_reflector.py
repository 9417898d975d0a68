"""The reflector's rule: whoever applies its changes in order holds what the API server holds.

It holds through every trouble on the way, and no trouble makes it ask more than a few times a
second.
"""

import itertools
import time

import pytest
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.fake_api_troubles import (
    Answer,
    Bookmarks,
    Cut,
    End,
    ErrorEvent,
    Hang,
    Raw,
)

from gshare.runtime.kube import ApiServer, Following, Node, Pace, Pod, Reflector

QUICK = Following(pace=Pace(0.02, 0.2, 0.5), silence_s=0.5, stale_after_s=0.4)
PODS = "/api/v1/pods"


class Follower:
    """Applies changes to a map, as every user of a reflector does."""

    def __init__(self, server, folder, following=QUICK, **more):
        self.changes: list[tuple[str, str]] = []
        self.held: dict[str, str] = {}
        self.syncs = 0
        self.api = ApiServer.connect(server.kubeconfig(folder))
        self.reflector = Reflector(
            self.api, PODS, Pod, self._apply, on_sync=self._sync, following=following, **more
        )

    def _apply(self, verb, pod):
        self.changes.append((verb, pod.metadata.name))
        if verb == "put":
            self.held[pod.metadata.name] = pod.metadata.uid
        else:
            del self.held[pod.metadata.name]

    def _sync(self):
        self.syncs += 1

    def __enter__(self):
        """Follow."""
        self.reflector.start()
        assert self.reflector.wait_synced(5)
        return self

    def __exit__(self, *_):
        """Stop."""
        self.reflector.stop()


@pytest.fixture
def server():
    with FakeApiServer() as fake:
        yield fake


def pod(name, **more):
    return {"metadata": {"name": name, "namespace": "team"}, **more}


def test_tells_what_is_there_and_then_each_change(server, tmp_path):
    server.put("pods", pod("a"))

    with Follower(server, tmp_path) as follower:
        server.put("pods", pod("b"))
        server.put("pods", pod("b", spec={"nodeName": "n"}))
        server.drop("pods", "a", "team")
        wait_until(lambda: len(follower.changes) == 4)

    assert follower.changes == [("put", "a"), ("put", "b"), ("put", "b"), ("drop", "a")]
    assert follower.syncs == 1


def test_reads_a_long_list_in_pages(server, tmp_path):
    server.page = 3
    for number in range(8):
        server.put("pods", pod(f"p{number}"))

    with Follower(server, tmp_path) as follower:
        assert len(follower.held) == 8

    assert [each.params.get("continue") for each in server.lists()] == [None, "3", "6"]


def test_reads_the_list_in_one_piece_where_a_page_came_too_late(server, tmp_path):
    server.page = 3
    server.list_troubles.extend([None, Answer(410, "Expired")])
    for number in range(8):
        server.put("pods", pod(f"p{number}"))

    with Follower(server, tmp_path) as follower:
        assert sorted(follower.held) == [f"p{number}" for number in range(8)]

    assert "limit" not in server.lists()[-1].params


def test_asks_for_bookmarks_a_random_time_and_what_was_selected(server, tmp_path):
    following = Following(label_selector="a=b", field_selector="spec.nodeName=n")

    with Follower(server, tmp_path, following):
        wait_until(server.watches)

    asked = server.watches()[0].params
    assert asked["allowWatchBookmarks"] == "true"
    assert 240 <= int(asked["timeoutSeconds"]) <= 300
    assert (asked["labelSelector"], asked["fieldSelector"]) == ("a=b", "spec.nodeName=n")


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Answer(410, "Expired"), id="410 before the watch opens"),
        pytest.param(ErrorEvent(410), id="410 as an event"),
        pytest.param(ErrorEvent(500), id="another error as an event"),
        pytest.param(Answer(504, "Timeout", "Too large resource version"), id="version unknown"),
    ],
)
def test_lists_anew_and_tells_the_difference(server, tmp_path, trouble):
    for name in ("stays", "goes", "is-replaced"):
        server.put("pods", pod(name))
    server.watch_troubles.append(Cut())
    with Follower(server, tmp_path) as follower:
        wait_until(lambda: len(server.watches()) >= 2)
        server.refuse_connections()
        server.drop("pods", "goes", "team")
        server.drop("pods", "is-replaced", "team")
        fresh = server.put("pods", pod("is-replaced"))["metadata"]["uid"]
        server.put("pods", pod("comes"))
        server.watch_troubles.append(trouble)
        follower.changes.clear()

        server.listen()
        wait_until(lambda: "comes" in follower.held)

    assert follower.changes == [
        ("drop", "goes"),
        ("drop", "is-replaced"),
        ("put", "comes"),
        ("put", "is-replaced"),
    ]
    assert follower.held["is-replaced"] == fresh


def test_tells_nothing_twice_where_a_list_shows_the_same(server, tmp_path):
    for number in range(5):
        server.put("pods", pod(f"p{number}"))
    server.watch_troubles.extend([ErrorEvent(410)] * 3)

    with Follower(server, tmp_path) as follower:
        wait_until(lambda: follower.syncs == 4)

    assert len(follower.changes) == 5


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Cut(), id="cut in the middle of a line"),
        pytest.param(Cut(b""), id="cut between lines"),
        pytest.param(Raw(b'{"type":"ADDED","obj'), id="a line that is no event"),
        pytest.param(End(), id="ended in order"),
        pytest.param(Answer(500), id="500"),
        pytest.param(Answer(429, "TooManyRequests", retry_after="0"), id="429"),
    ],
)
def test_goes_on_where_it_was_without_a_new_list(server, tmp_path, trouble):
    server.watch_troubles.extend([trouble, trouble])

    with Follower(server, tmp_path) as follower:
        server.put("pods", pod("a"))
        wait_until(lambda: follower.held)
        lists = len(server.lists())

    assert lists == 1
    assert follower.changes == [("put", "a")]


def test_gives_up_a_connection_that_fell_silent(server, tmp_path):
    server.watch_troubles.append(Hang())

    with Follower(server, tmp_path) as follower:
        wait_until(server.watches)
        server.put("pods", pod("a"))
        wait_until(lambda: follower.held)

    assert len(server.watches()) == 2


def test_opens_the_next_watch_at_the_last_bookmark(server, tmp_path):
    server.watch_troubles.append(Bookmarks((200, 300)))

    with Follower(server, tmp_path):
        wait_until(lambda: len(server.watches()) >= 2)

    assert server.watches()[1].params["resourceVersion"] == "300"


def test_comes_back_after_the_server_was_away(server, tmp_path):
    with Follower(server, tmp_path) as follower:
        wait_until(server.watches)
        server.refuse_connections()
        wait_until(lambda: follower.reflector.trouble)
        server.put("pods", pod("a"))
        server.listen()
        wait_until(lambda: follower.held)

        assert not follower.reflector.trouble


def test_is_stale_while_the_server_is_away_for_long(server, tmp_path):
    with Follower(server, tmp_path) as follower:
        wait_until(server.watches)
        was_stale = follower.reflector.is_stale(time.monotonic())
        server.refuse_connections()
        wait_until(lambda: follower.reflector.is_stale(time.monotonic()))
        server.listen()
        wait_until(lambda: not follower.reflector.is_stale(time.monotonic()))

    assert not was_stale


def test_is_not_synced_before_the_first_list(server, tmp_path):
    server.every_list = Answer(403, "Forbidden", "pods is forbidden")
    follower = Follower(server, tmp_path)

    follower.reflector.start()
    wait_until(lambda: "403" in follower.reflector.trouble)
    was_synced = follower.reflector.is_synced
    server.every_list = None

    assert follower.reflector.wait_synced(5)
    assert not was_synced
    follower.reflector.stop()


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(End(), id="each watch ends at once"),
        pytest.param(Cut(), id="each watch is cut"),
        pytest.param(ErrorEvent(410), id="each watch is too old"),
        pytest.param(Answer(500), id="500"),
        pytest.param(Raw(b"no json"), id="no events"),
    ],
)
def test_asks_less_and_less_often_while_it_fails(server, tmp_path, trouble):
    server.every_watch = trouble
    following = Following(pace=Pace(0.05, 0.4, 5.0))

    with Follower(server, tmp_path, following):
        time.sleep(1.6)
        asked = [each.at_s for each in server.watches()]

    least = [min(0.4, 0.05 * 2**index) / 2 for index in range(len(asked))]
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(waits) >= 3
    assert all(wait >= bound for wait, bound in zip(waits, least, strict=False))


def test_leaves_the_server_alone_for_as_long_as_it_asks(server, tmp_path):
    server.watch_troubles.append(Answer(429, "TooManyRequests", retry_after="1"))

    with Follower(server, tmp_path):
        wait_until(lambda: len(server.watches()) >= 2)

    first, second = (each.at_s for each in server.watches()[:2])
    assert second - first >= 1


def test_passes_over_an_object_that_it_cannot_read(server, tmp_path):
    server.put("pods", pod("wrong", spec={"priority": "high"}))
    server.put("pods", pod("right"))

    with Follower(server, tmp_path) as follower:
        server.put("pods", pod("wrong-too", spec={"priority": "high"}))
        server.put("pods", pod("right-too"))
        wait_until(lambda: len(follower.held) == 2)

    assert sorted(follower.held) == ["right", "right-too"]
    assert len(server.lists()) == 1


def test_holds_only_what_matters(server, tmp_path):
    server.put("pods", pod("ended", status={"phase": "Failed"}))
    server.put("pods", pod("runs"))

    with Follower(server, tmp_path, keeps=lambda each: not each.is_ended) as follower:
        server.put("pods", pod("runs", status={"phase": "Succeeded"}))
        wait_until(lambda: not follower.held)

        assert follower.reflector.items() == ()
    assert follower.changes == [("put", "runs"), ("drop", "runs")]


def test_an_error_of_its_user_does_not_end_it(server, tmp_path):
    seen = []

    def change(_, node):
        seen.append(node.metadata.name)
        raise RuntimeError("trouble")

    api = ApiServer.connect(server.kubeconfig(tmp_path))
    reflector = Reflector(api, "/api/v1/nodes", Node, change, following=QUICK)
    reflector.start()
    server.put("nodes", {"metadata": {"name": "a"}})
    server.put("nodes", {"metadata": {"name": "b"}})
    wait_until(lambda: seen == ["a", "b"])
    reflector.stop()


def test_finds_what_it_holds_by_name(server, tmp_path):
    server.put("pods", pod("a"))

    with Follower(server, tmp_path) as follower:
        found = follower.reflector.find("team", "a")

        assert found
        assert found.metadata.name == "a"
        assert follower.reflector.find("other", "a") is None


@pytest.mark.parametrize("trouble", [None, Hang()], ids=["a good watch", "a silent watch"])
def test_stops_at_once(server, tmp_path, trouble):
    server.watch_troubles.append(trouble)
    with Follower(server, tmp_path, Following()) as follower:
        wait_until(server.watches)
        time.sleep(0.1)

        began = time.monotonic()
        follower.reflector.stop()

        assert time.monotonic() - began < 0.5
        assert not follower.reflector._thread.is_alive()
