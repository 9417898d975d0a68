"""Whom the API server's aggregator must be: what the front proxy's ConfigMap says. Pure.

kube-apiserver authenticates and authorises a caller, and then asks us with its own client
certificate. It publishes which authority signs that and which names it may bear in the ConfigMap
`extension-apiserver-authentication` of kube-system. Whoever shows such a certificate has checked
the caller already; nobody else is answered.

Source: kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography import x509

from gshare.errors import InputError

NAMESPACE: Final = "kube-system"
CONFIG_MAP: Final = "extension-apiserver-authentication"
_SOURCE: Final = f"configmap {NAMESPACE}/{CONFIG_MAP}"
_AUTHORITY: Final = "requestheader-client-ca-file"
_NAMES: Final = "requestheader-allowed-names"


@dataclass(frozen=True, slots=True)
class Trust:
    """The authority that signs the front proxy's certificate, as PEM, and its allowed names."""

    authority: str
    names: frozenset[str]
    """Common names; empty: any that the authority signed."""

    def allows(self, common_name: str) -> bool:
        """Tell whether a certificate of the authority with this name is the front proxy's."""
        return not self.names or common_name in self.names


def read(data: Mapping[str, str]) -> Trust:
    """Return what the ConfigMap says; InputError where that is nothing to check by."""
    authority = data.get(_AUTHORITY, "")
    if not authority.strip():
        raise InputError(
            _SOURCE, _AUTHORITY, authority, "kube-apiserver runs without a front proxy's authority"
        )
    try:
        x509.load_pem_x509_certificates(authority.encode())
    except ValueError as error:
        raise InputError(_SOURCE, _AUTHORITY, authority[:40], f"no certificates: {error}") from None
    return Trust(authority, frozenset(_names(data.get(_NAMES, "[]"))))


def _names(text: str) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InputError(_SOURCE, _NAMES, text, f"must be a JSON list of names: {error}") from None
