"""200 pods at once, filtered one after another and bound side by side, as the scheduler does."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.support import oracle
from tests.support.extender import serving
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.scheduling import SchedulerSide, gpu_node, gpu_pod

from gshare.ledger import PlacedPod

NODES = [f"n{index}" for index in range(8)]
SHAPES = [("12", "40"), ("24", "40"), ("50", "60"), ("20", "20")]
PODS = 200


class Conversation:
    """One thread filters and prioritizes; binds go out by eight others, each on its connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._own = threading.local()
        self.errors: list[str] = []

    def schedule(self, pods):
        serial = SchedulerSide(self._port)
        with ThreadPoolExecutor(8) as binders:
            for pod in pods:
                offer = serial.filter(pod, NODES)
                assert not offer["Error"]
                scores = serial.prioritize(pod, offer["NodeNames"])
                best = max(scores, key=lambda node: scores[node])
                binders.submit(self._bind, pod, best)

    def _bind(self, pod, node):
        if not hasattr(self._own, "side"):
            self._own.side = SchedulerSide(self._port)
        error = self._own.side.bind(pod, node)
        if error:
            self.errors.append(error)


def test_a_burst_loses_no_more_than_one_bind_in_a_hundred(tmp_path):
    """Each is bound once, no GPU holds more than it can, and nodes were filled one by one."""
    with FakeApiServer() as api:
        for name in NODES:
            api.put("nodes", gpu_node(name, gpus=4, units=1600))
        pods = [
            api.put("pods", gpu_pod(f"p{index}", *SHAPES[index % len(SHAPES)]))
            for index in range(PODS)
        ]
        with serving(api, tmp_path) as service:
            wait_until(lambda: not service.watches.trouble())
            conversation = Conversation(service.ports[0])

            conversation.schedule(pods)
            wait_until(lambda: _seen(service) == PODS - len(conversation.errors))

            with service.cluster.locked() as ledger:
                found = [snapshot for node in NODES for snapshot in ledger.snapshots(node)]
                problems = ledger.problems()
    assert len(conversation.errors) <= PODS // 100
    assert problems == ()
    assert [violation for each in found for violation in oracle.violations(each.layout)] == []
    in_use = [each for each in found if each.layout.places]
    assert len(in_use) <= PODS // 4 // 1.2
    assert all(_is_bound(api, pod) for pod in pods) or conversation.errors


def _seen(service) -> int:
    with service.cluster.locked() as ledger:
        return sum(isinstance(pod, PlacedPod) for pod in ledger.placed())


def _is_bound(api, pod) -> bool:
    return "nodeName" in api.find("pods", "team", pod["metadata"]["name"])["spec"]
