"""Addresses as flags give them."""

import pytest

from gshare.runtime.address import Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:10480", Address("127.0.0.1", 10480)),
        (":10481", Address("0.0.0.0", 10481)),  # noqa: S104 (what no host means)
        ("[::1]:1", Address("::1", 1)),
    ],
    ids=["a host", "no host", "version 6"],
)
def test_an_address_is_a_host_and_a_port(text, address):
    assert Address.parse(text) == address


@pytest.mark.parametrize("text", ["10480", "host:", "host:http", ":70000", ""])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="must be HOST:PORT or :PORT"):
        Address.parse(text)
