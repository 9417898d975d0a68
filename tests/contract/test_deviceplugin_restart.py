"""Whatever dies while pods run: leases stay, none is given twice, new pods start soon."""

import signal
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from tests.support import gpu_pods
from tests.support.fake_api_server import wait_until
from tests.support.node_agent import NodeAgent, agent

from gshare import names
from gshare.annotations import decode_inventory
from gshare.runtime import tokend


@pytest.fixture
def node() -> Iterator[NodeAgent]:
    with agent() as made:
        yield made


def started(node, name, sm=12, quota=40):
    node.api.put("pods", gpu_pods.pod(name, sm=sm, quota=quota, gpu=node.gpus[0]))
    container = node.kubelet.admit("team", name, sm, quota)
    node.kubelet.start(container)
    return container


def held(node, name):
    """Return a pod's lease but for what was judged of its pod's wishes, which may come later."""
    lease = node.leases[name]
    return lease.on_terms(lease.standing, None)


def served(node):
    """Return the leases that the token daemon knows."""
    stats = tokend.Control(node.state / "gpus" / node.gpus[0]).try_stats()
    return {each.lease_id for each in stats.leases} if stats else set()


def test_a_killed_plugin_finds_its_leases_and_ends_those_that_are_over(node) -> None:
    started(node, "stays")
    gone = started(node, "goes")
    before = held(node, "stays")
    inode = (node.folder(before) / names.FILE_COUNTERS).stat().st_ino
    node.kill("plugin")
    node.api.drop("pods", "goes", "team")
    node.kubelet.remove(gone)

    node.start("plugin")

    node.kubelet.wait_offered(1600)
    wait_until(lambda: set(node.leases) == {"stays"})
    wait_until(lambda: node.folders() == {before.lease_id})
    assert held(node, "stays") == before
    assert (node.folder(before) / names.FILE_COUNTERS).stat().st_ino == inode
    assert len(list(node.cdi.glob("*.json"))) == 1


def test_a_pod_that_comes_while_the_plugin_is_dead_starts_when_it_is_back(node) -> None:
    """The kubelet is answered all the time: no pod is turned away for good."""
    node.kill("plugin")
    node.api.put("pods", gpu_pods.pod("late", sm=12, quota=40, gpu=node.gpus[0]))
    container = node.kubelet.admit("team", "late", 12, 40)
    with futures.ThreadPoolExecutor() as pool:
        starting = pool.submit(node.kubelet.start, container)
        time.sleep(1)

        node.start("plugin")

        starting.result(20)
    assert set(node.leases) == {"late"}


def test_a_plugin_that_stays_away_is_told_in_the_pods_event(node) -> None:
    node.kill("plugin")
    node.api.put("pods", gpu_pods.pod("late", sm=12, quota=40, gpu=node.gpus[0]))
    container = node.kubelet.admit("team", "late", 12, 40)

    with pytest.raises(grpc.RpcError, match="device plugin does not answer"):
        node.kubelet.start(container)


def test_a_container_waits_for_a_token_daemon_that_was_killed(node) -> None:
    started(node, "first")
    node.kill("daemons")
    node.start("daemons")

    started(node, "second")

    assert served(node) == {each.lease_id for each in node.leases.values()}


def test_a_pod_that_was_seen_starts_again_while_the_api_is_away(node) -> None:
    container = started(node, "first")
    before = node.leases["first"]
    node.api.refuse_connections()

    node.kubelet.start(container)

    assert node.leases["first"].start == before.start + 1
    node.api.listen()


def test_nothing_ends_while_the_api_is_away(node) -> None:
    container = started(node, "first")
    node.kill("plugin")
    node.api.refuse_connections()
    node.kubelet.remove(container)

    node.start("plugin")

    node.kubelet.wait_offered(1600)
    assert set(node.leases) == {"first"}
    node.api.listen()


def test_a_kubelet_that_starts_again_disturbs_no_lease(node) -> None:
    container = started(node, "first")
    before = held(node, "first")

    node.kubelet.restart()

    node.kubelet.wait_offered(1600)
    assert held(node, "first") == before
    node.kubelet.start(container)
    assert set(node.leases) == {"first"}


def test_specs_and_folders_of_nobody_are_removed_at_start(node) -> None:
    started(node, "first")
    node.kill("plugin")
    stray = node.state / "gpus" / node.gpus[0] / names.FOLDER_LEASES / "stray-1"
    stray.mkdir()
    (node.cdi / f"gshare.io-lease-{'0' * 32}.json").write_text("{}")
    (node.state / "records" / f"{'1' * 32}.json").write_text("{")

    node.start("plugin")

    wait_until(lambda: node.folders() == {node.leases["first"].lease_id})
    wait_until(lambda: len(list(node.cdi.glob("*.json"))) == 1)
    assert len(list((node.state / "records").glob("*"))) == 1


def test_a_cdi_spec_that_was_lost_is_written_again_at_start(node) -> None:
    container = started(node, "first")
    node.kill("plugin")
    for file in node.cdi.glob("*"):
        file.unlink()

    node.start("plugin")

    wait_until(lambda: len(list(node.cdi.glob("*.json"))) == 1, 10)
    assert node.edits(container.cdi[0])["env"]


def test_the_inventory_is_put_right_when_the_plugin_starts(node) -> None:
    gpus = node.gpus
    node.kill("plugin")
    node.api.put("nodes", {"metadata": {"name": "node-a", "annotations": {}}})

    node.start("plugin")

    wait_until(lambda: node.gpus == gpus, 10)


def test_an_agent_that_stops_says_so_on_its_node(node) -> None:
    """The extender then places nothing there: the kubelet would fail such pods for good."""
    node.kill("plugin", signal.SIGTERM)

    (gpu,) = decode_inventory(annotations_of(node))
    assert not gpu.is_healthy
    assert gpu.note == "the node's agent has stopped"
    node.start("plugin")
    wait_until(lambda: "false" not in annotations_of(node), 10)


def annotations_of(node):
    return node.api.find("nodes", "", "node-a")["metadata"]["annotations"][names.ANNOTATION_GPUS]
