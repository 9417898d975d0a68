"""Registration's rule: whatever dies and comes back, the kubelet soon knows both resources."""

import time
from collections.abc import Iterator

import pytest
from tests.support.fake_api_server import wait_until
from tests.support.fake_kubelet import RESOURCES
from tests.support.node_agent import NodeAgent, agent

# "New pods run after at most 10 s" leaves the kubelet itself some of it.
SOON_S = 5.0


@pytest.fixture
def node() -> Iterator[NodeAgent]:
    with agent() as made:
        yield made


def test_both_resources_are_offered_and_ask_for_pre_start(node) -> None:
    for resource in RESOURCES:
        endpoint = node.kubelet.endpoints[resource]
        assert len(endpoint.devices) == 1600
        assert endpoint.options.pre_start_required
        assert not endpoint.options.get_preferred_allocation_available


def test_device_ids_are_short(node) -> None:
    devices = node.kubelet.endpoints[RESOURCES[0]].devices

    assert set(devices) == {str(number) for number in range(1600)}


def test_a_kubelet_that_starts_again_knows_both_soon(node) -> None:
    for _ in range(3):
        node.kubelet.restart()

        node.kubelet.wait_offered(1600, SOON_S)


def test_a_kubelet_that_was_away_for_long_knows_both_soon(node) -> None:
    node.kubelet.stop()
    time.sleep(3)

    node.kubelet.listen()

    node.kubelet.wait_offered(1600, SOON_S)


def test_a_socket_that_vanished_is_replaced(node) -> None:
    before = {node.kubelet.endpoints[each].socket for each in RESOURCES}
    for socket in before:
        socket.unlink()

    wait_until(
        lambda: all(node.kubelet.endpoints[each].socket not in before for each in RESOURCES),
        SOON_S,
    )


def test_a_killed_registrar_offers_what_the_node_had(node) -> None:
    node.kill("registrar")
    wait_until(lambda: not any(each.is_listening for each in node.kubelet.endpoints.values()))
    before = node.words()

    node.start("registrar")

    node.kubelet.wait_offered(1600, SOON_S)
    assert "devices=0" not in node.words()[len(before) :]


def test_the_kubelet_does_not_notice_a_plugin_that_is_killed(node) -> None:
    sockets = {each: node.kubelet.endpoints[each].socket for each in RESOURCES}

    node.kill("plugin")
    time.sleep(1)
    node.start("plugin")
    wait_until(node.is_ready)

    assert all(each.is_listening for each in node.kubelet.endpoints.values())
    assert {each: node.kubelet.endpoints[each].socket for each in RESOURCES} == sockets


def test_sockets_of_a_killed_registrar_are_removed(node) -> None:
    node.kill("registrar")

    node.start("registrar")

    node.kubelet.wait_offered(1600, SOON_S)
    sockets = {each.socket for each in node.kubelet.endpoints.values()}
    assert set(node.kubelet.plugins.glob("gshare-*")) == sockets


def test_the_socket_of_a_registrar_that_is_told_to_stop_goes_with_it(node) -> None:
    began_s = time.monotonic()

    node.kill("registrar", 15)

    assert time.monotonic() - began_s < 3
    assert not list(node.kubelet.plugins.glob("gshare-*"))


def test_the_plugin_is_ready_while_the_kubelet_knows_both(node) -> None:
    wait_until(node.is_ready)

    node.kill("registrar")

    wait_until(lambda: not node.is_ready())


def test_more_gpus_offer_more() -> None:
    with agent(simulate="v100:2") as node:
        assert len(node.kubelet.endpoints[RESOURCES[0]].devices) == 3200
        assert len(set(node.gpus)) == 2
