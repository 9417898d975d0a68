"""What the doors keep in the cluster: the serving keys in a Secret, and the APIServices.

Every write is safe to repeat and names the version it rests on, so that of two autoscalers one
learns that it came late (409) and reads again. Nothing else is stored: a new process finds the keys
in the Secret, and so the API server goes on trusting it.

Rights that this needs: get, create and patch of the Secret in the own namespace; get, create and
patch of the two APIServices; get of the ClusterRole `gshare-autoscaler`, which owns them, so that
they go as it goes: an APIService without its server would break discovery for the whole cluster.
"""

import base64
import binascii
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from gshare import names
from gshare.errors import GshareError
from gshare.runtime.kube import ApiError, ApiServer
from gshare.runtime.kube.objects import Meta

from . import certificates, registration
from .certificates import Bundle
from .registration import ApiService, Create, Standing, Step, Wanted
from .settings import SERVING_SECRET, ServiceAddress

_API_SERVICES: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
_OWNER: Final = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{names.PART_AUTOSCALER}"
_TRIES: Final = 3
# Keys of the Secret, in the order of a Bundle's fields; two are Kubernetes' own.
_KEYS: Final = ("ca.crt", "ca.key", "tls.crt", "tls.key")

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class _Secret(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta
    data: dict[str, str] = msgspec.field(default_factory=dict)


class _Owner(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta


class Keeper:
    """Reads and writes them for one Service. Every method raises ApiError as ApiServer does."""

    def __init__(self, api: ApiServer, service: ServiceAddress) -> None:
        self._api = api
        self._service = service
        self._secrets = f"/api/v1/namespaces/{service.namespace}/secrets"

    def bundle(self, now: datetime, last: Bundle | None) -> Bundle:
        """Return the keys to serve with: the Secret's, renewed first where that is due.

        `last` is what is served with; its authority goes on where the Secret is lost.
        """
        for _ in range(_TRIES):
            secret = self._found(f"{self._secrets}/{SERVING_SECRET}", _Secret)
            known = _bundle(secret)
            flaw = certificates.flaw(known, self._service.hosts, now) if known else "is missing"
            if known and not flaw:
                return known
            fresh = certificates.made(self._service.hosts, now, known or last)
            if self._store(secret, fresh):
                _log.info(
                    "event=certificate_made secret=%s/%s reason=%r end=%s",
                    self._service.namespace,
                    SERVING_SECRET,
                    flaw,
                    certificates.end(fresh).isoformat(),
                )
                return fresh
        raise GshareError(
            f"secret {self._service.namespace}/{SERVING_SECRET}: someone else changes it"
        )

    def register(self, authority: str) -> Standing:
        """Make the APIServices ours where they are nobody's; return whose they are."""
        found = self._registered()
        wanted = Wanted(self._service, authority, self._owner())
        for step in registration.steps(found, wanted):
            self._apply(step)
        return registration.standing(found, self._service)

    def _registered(self) -> dict[str, ApiService]:
        every = {
            name: self._found(f"{_API_SERVICES}/{name}", ApiService)
            for name in registration.names_of_all()
        }
        return {name: each for name, each in every.items() if each is not None}

    def _apply(self, step: Step) -> None:
        if isinstance(step, Create):
            self._api.post(_API_SERVICES, step.body)
            _log.info("event=registered service=%s/%s", self._service.namespace, self._service.name)
        else:
            self._api.patch(f"{_API_SERVICES}/{step.name}", step.body)
            _log.info("event=authority_renewed apiservice=%s", step.name)

    def _owner(self) -> Mapping[str, object] | None:
        owner = self._found(_OWNER, _Owner)
        if owner is None:
            return None
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "name": owner.metadata.name,
            "uid": owner.metadata.uid,
        }

    def _store(self, secret: _Secret | None, bundle: Bundle) -> bool:
        """Write `bundle`; False where another was faster."""
        data = {
            key: base64.b64encode(text.encode()).decode()
            for key, text in zip(_KEYS, _texts(bundle), strict=True)
        }
        try:
            if secret is None:
                self._api.post(self._secrets, self._body(data))
            else:
                version = {"resourceVersion": secret.metadata.resource_version}
                body = {"metadata": version, "data": data}
                self._api.patch(f"{self._secrets}/{SERVING_SECRET}", body)
        except ApiError as error:
            # 404: it was deleted meanwhile.
            if error.status in {404, 409}:
                return False
            raise
        return True

    def _body(self, data: dict[str, str]) -> Mapping[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {
                "name": SERVING_SECRET,
                "namespace": self._service.namespace,
                "labels": {"app.kubernetes.io/managed-by": names.PART_AUTOSCALER},
            },
            "data": data,
        }

    def _found(self, path: str, kind: type[_T]) -> _T | None:
        try:
            return msgspec.json.decode(self._api.get(path), type=kind)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise GshareError(f"{path}: {error}") from error


def _texts(bundle: Bundle) -> tuple[str, ...]:
    return bundle.authority, bundle.authority_key, bundle.certificate, bundle.key


def _bundle(secret: _Secret | None) -> Bundle | None:
    """Return what the Secret holds; None where it lacks a key or one is no text."""
    if secret is None:
        return None
    try:
        texts = [base64.b64decode(secret.data[key]).decode() for key in _KEYS]
    except (KeyError, binascii.Error, UnicodeDecodeError):
        return None
    return Bundle(*texts)
