"""The wires of a cluster: one bridge on the host, and an interface on each machine."""

import ipaddress
import json
from collections.abc import Sequence
from typing import Final

from .commands import run
from .errors import ClusterError
from .machine import Machine
from .settings import Addresses

_NUMBERS: Final = range(200, 250)


def free_numbers() -> list[int]:
    """Return the cluster numbers whose addresses and bridge nothing on this host uses."""
    links = {link["ifname"] for link in _json(["link"])}
    routes = [route["dst"] for route in _json(["-4", "route"]) if route["dst"] != "default"]
    used = [ipaddress.IPv4Network(route) for route in routes]
    wide = ipaddress.IPv4Network("10.0.0.0/8")
    taken = {
        network.network_address.packed[1]
        for network in used
        if network.prefixlen > wide.prefixlen and network.subnet_of(wide)
    }
    return [n for n in _NUMBERS if n not in taken and Addresses(n).bridge not in links]


def make_bridge(addresses: Addresses, owner: str) -> bool:
    """Make the cluster's bridge, marked with its owner; False if another was faster."""
    try:
        _ip("link", "add", addresses.bridge, "type", "bridge")
    except ClusterError:
        if addresses.number in free_numbers():
            raise
        return False
    _ip("link", "set", addresses.bridge, "alias", owner)
    _ip("address", "add", f"{addresses.host}/24", "dev", addresses.bridge)
    _ip("link", "set", addresses.bridge, "up")
    return True


def connect(addresses: Addresses, machine: Machine, address: str, label: str) -> None:
    """Give a machine its interface on the bridge."""
    outer = f"gs{addresses.number}-{label}"
    _ip(
        "link",
        "add",
        outer,
        "master",
        addresses.bridge,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        str(machine.init.pid),
    )
    _ip("link", "set", outer, "up")
    machine.run(
        ["ip", "-batch", "-"],
        stdin="\n".join(
            [
                f"address add {address}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {addresses.host}",
            ]
        ),
    )


def route_pods(addresses: Addresses, machines: Sequence[tuple[Machine, int]]) -> None:
    """Let the host and all machines reach the pods of each node.

    `machines` has each machine with its node index, 0 for the control plane.
    """
    routes = {
        index: f"route add {addresses.pods(index)} via {addresses.node(index)}"
        for _, index in machines
        if index
    }
    run(["ip", "-batch", "-"], stdin="\n".join(routes.values()))
    for machine, own in machines:
        others = [route for index, route in routes.items() if index != own]
        machine.run(["ip", "-batch", "-"], stdin="\n".join(others))


def remove(addresses: Addresses, owner: str) -> None:
    """Remove the bridge and what hangs on it, if it is the owner's or nobody's."""
    links = {link["ifname"]: link for link in _json(["link"])}
    bridge = links.get(addresses.bridge)
    if bridge is None or bridge.get("ifalias", owner) != owner:
        return
    for name, link in links.items():
        if link.get("master") == addresses.bridge:
            _gone(name)
    _gone(addresses.bridge)


def _gone(link: str) -> None:
    """Delete a link that may go by itself meanwhile, with the namespace at its other end."""
    try:
        _ip("link", "delete", link)
    except ClusterError:
        if any(found["ifname"] == link for found in _json(["link"])):
            raise


def _ip(*words: str) -> None:
    run(["ip", *words])


def _json(words: Sequence[str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(run(["ip", "-json", *words]) or "[]")
    return found
