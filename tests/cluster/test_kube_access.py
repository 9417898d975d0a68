"""The reflector and the event writer against the real API server and its restarts."""

import json
from collections.abc import Callable, Iterator

import pytest
from tests.cluster.harness import Cluster
from tests.cluster.support.scene import until

from gshare.runtime.kube import (
    ApiError,
    ApiServer,
    EventWriter,
    Pod,
    Reflector,
    Regarding,
    Verb,
    list_all,
)

UNSCHEDULED = {"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]}


@pytest.fixture
def api(cluster: Cluster) -> ApiServer:
    return ApiServer.connect(cluster.kubeconfig)


@pytest.fixture
def folder(api: ApiServer) -> Iterator[str]:
    """Make a namespace; yield its path."""
    made = json.loads(api.post("/api/v1/namespaces", {"metadata": {"generateName": "reflected-"}}))
    name = made["metadata"]["name"]
    path = f"/api/v1/namespaces/{name}"
    until(lambda: _try(lambda: api.get(f"{path}/serviceaccounts/default")), f"{name} is ready")
    yield path
    api.delete(path)


class Follower:
    """Applies a reflector's changes to a set of names, as every user of one does."""

    def __init__(self, api: ApiServer, folder: str) -> None:
        self.held: set[str] = set()
        self.reflector = Reflector(api, f"{folder}/pods", Pod, self._apply)

    def _apply(self, verb: Verb, pod: Pod) -> None:
        if verb == "put":
            self.held.add(pod.metadata.name)
        else:
            self.held.remove(pod.metadata.name)


@pytest.fixture
def follower(api: ApiServer, folder: str) -> Iterator[Follower]:
    found = Follower(api, folder)
    found.reflector.start()
    assert found.reflector.wait_synced(30)
    yield found
    found.reflector.stop()


def create(api: ApiServer, folder: str, name: str) -> None:
    """Create a pod that no scheduler takes, as soon as the API server lets us."""
    body = {"metadata": {"name": name}, "spec": UNSCHEDULED}
    until(lambda: _try(lambda: api.post(f"{folder}/pods", body)), f"{name} is created")


def _try(call: Callable[[], bytes]) -> bytes:
    """Return the answer; LookupError, which `until` tries again, where there is none yet."""
    try:
        return call()
    except ApiError as error:
        raise LookupError(str(error)) from error


@pytest.mark.parametrize("part", ["kube-apiserver", "etcd"])
@pytest.mark.parametrize("way", ["killed", "stopped"])
def test_follows_through_a_restart(
    cluster: Cluster, api: ApiServer, folder: str, follower: Follower, part: str, way: str
) -> None:
    """What the reflector holds is what the API server has, before and after."""
    create(api, folder, "before")
    until(lambda: follower.held == {"before"}, "the first pod is seen")

    process = cluster.processes[part]
    if way == "killed":
        process.kill()
        process.start()
    else:
        process.restart()
    cluster.wait_until_ready()
    create(api, folder, "after")
    api.delete(f"{folder}/pods/before", params={"gracePeriodSeconds": 0})

    until(lambda: follower.held == {"after"}, "both changes are seen", timeout_s=15)
    listed = {pod.metadata.name for pod in list_all(api, f"{folder}/pods", Pod).items}
    assert follower.held == listed


def test_writes_one_event_for_many_equal_ones(api: ApiServer, folder: str) -> None:
    create(api, folder, "told-of")
    meta = list_all(api, f"{folder}/pods", Pod).items[0].metadata
    writer = EventWriter(api, "gshare.io/test", "here")

    for _ in range(8):
        writer.post(Regarding.pod(meta), "Warning", "Tested", "Testing", "said eight times")
    writer.stop(10)

    events = json.loads(api.get(folder.replace("/api/v1", "/apis/events.k8s.io/v1") + "/events"))
    (event,) = [each for each in events["items"] if each["reason"] == "Tested"]
    assert event["series"]["count"] == 8
    assert event["regarding"]["uid"] == meta.uid
