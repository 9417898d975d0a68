"""Sizes and addresses of test clusters."""

import ipaddress
from pathlib import Path

import pytest
from tests.cluster.harness.errors import ClusterError
from tests.cluster.harness.settings import Addresses, Settings


def test_all_addresses_of_a_cluster_are_in_its_range():
    found = Addresses(203)
    everything = ipaddress.ip_network(found.all)

    alone = [found.host, found.control_plane, found.node(1), found.node(9)]
    ranges = [found.pods(1), found.pods(9), found.services]

    assert all(ipaddress.ip_address(address) in everything for address in alone)
    assert all(ipaddress.ip_network(subnet).subnet_of(everything) for subnet in ranges)
    assert ipaddress.ip_address(found.kubernetes_service) in ipaddress.ip_network(found.services)


@pytest.mark.parametrize("nodes", [-1, 10])
def test_a_cluster_has_none_to_nine_nodes(nodes):
    with pytest.raises(ClusterError, match=f"nodes is {nodes}"):
        Settings(nodes=nodes)


@pytest.mark.parametrize("folder", ["/run/cluster", "/var/lib/cluster", "/etc/cluster"])
def test_state_must_not_be_where_nodes_have_folders_of_their_own(folder):
    with pytest.raises(ClusterError, match="choose another folder"):
        Settings(state_dir=Path(folder))
