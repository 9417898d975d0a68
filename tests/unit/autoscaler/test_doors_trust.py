"""What the ConfigMap of the front proxy says, and what it must not lack."""

from datetime import UTC, datetime

import pytest

from gshare.errors import InputError
from gshare_autoscaler.doors import certificates, trust

SOURCE = "configmap kube-system/extension-apiserver-authentication"
AUTHORITY = certificates.made(("any.svc",), datetime(2026, 11, 24, tzinfo=UTC)).authority


def data(**changes):
    given = {
        "requestheader-client-ca-file": AUTHORITY,
        "requestheader-allowed-names": '["front-proxy-client"]',
    }
    return given | {f"requestheader-{key.replace('_', '-')}": text for key, text in changes.items()}


def test_only_the_names_given_are_allowed():
    found = trust.read(data())

    assert found.allows("front-proxy-client")
    assert not found.allows("someone")
    assert not found.allows("")


@pytest.mark.parametrize("text", ["[]", "[ ]"])
def test_no_names_allow_any(text):
    assert trust.read(data(allowed_names=text)).allows("someone")


def test_absent_names_allow_any():
    given = data()
    del given["requestheader-allowed-names"]

    assert trust.read(given).allows("someone")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"client_ca_file": ""},
            "requestheader-client-ca-file: '': kube-apiserver runs without",
        ),
        ({"client_ca_file": "x"}, "requestheader-client-ca-file: 'x': no certificates: "),
        (
            {"allowed_names": "front-proxy-client"},
            "requestheader-allowed-names: 'front-proxy-client': must be a JSON list of names: ",
        ),
        ({"allowed_names": '{"a": 1}'}, "requestheader-allowed-names: "),
    ],
    ids=["no authority", "no PEM", "no JSON", "no list"],
)
def test_what_cannot_be_checked_by_is_refused_in_one_line(changes, expected):
    with pytest.raises(InputError) as raised:
        trust.read(data(**changes))

    assert str(raised.value).startswith(f"{SOURCE}: {expected}")
    assert "\n" not in str(raised.value)
