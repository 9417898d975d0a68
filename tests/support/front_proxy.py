"""A front proxy: the certificates that kube-apiserver's aggregator has, and its requests."""

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from tests.cluster.harness.certificates import Authority, Pair
from tests.support.fake_api_server import FakeApiServer, wait_until

from gshare.runtime.address import Address
from gshare.runtime.kube import ApiServer
from gshare_autoscaler.answers import About, Answers, Target
from gshare_autoscaler.doors import Doors, DoorSettings

NAME = "front-proxy-client"
LOOPBACK = Address("127.0.0.1", 0)
RESNET = Target("team", "resnet-12-40")
ABOUT = About("resnet", {"gshare.io/function": "resnet", "tier": "gold"})
ROOT = "/apis/custom.metrics.k8s.io"
METRIC = "gshare_desired_replicas"


class FrontProxy:
    """An authority in a folder, with which anyone may be given a certificate."""

    def __init__(self, folder: Path, authority: str = "front-proxy-ca") -> None:
        self._authority = Authority(folder, authority)
        self._authority.create()

    @property
    def authority(self) -> str:
        return self._authority.certificate.read_text()

    def config_map(self, *names: str) -> dict[str, Any]:
        """Return the ConfigMap by which kube-apiserver tells of it."""
        data = {
            "requestheader-client-ca-file": self.authority,
            "requestheader-allowed-names": json.dumps(names),
            "requestheader-username-headers": '["X-Remote-User"]',
        }
        return {
            "metadata": {"namespace": "kube-system", "name": "extension-apiserver-authentication"},
            "data": data,
        }

    def pair(self, common_name: str = NAME) -> Pair:
        """Issue a certificate of that name."""
        return self._authority.issue(f"{self._authority.name}-{common_name}", common_name)

    def context(self, common_name: str = NAME) -> ssl.SSLContext:
        """Return how a client with a certificate of that name speaks TLS."""
        pair = self.pair(common_name)
        found = anonymous()
        found.load_cert_chain(pair.certificate, pair.key)
        return found


def anonymous() -> ssl.SSLContext:
    """Return how a client without a certificate speaks TLS; it trusts anyone."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname = False
    found.verify_mode = ssl.CERT_NONE
    return found


class Client:
    """One connection, kept; made anew where the server has closed it, as Go's client does."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", port, context=context, timeout=10
        )

    def get(self, path: str, method: str = "GET") -> tuple[int, Any]:
        """Return the status and the JSON of the answer."""
        try:
            return self._ask(path, method)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.connection.close()
            return self._ask(path, method)

    def _ask(self, path: str, method: str) -> tuple[int, Any]:
        headers = {"Accept": "application/vnd.kubernetes.protobuf, */*", "X-Remote-User": "hpa"}
        self.connection.request(method, path, headers=headers)
        answer = self.connection.getresponse()
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(answer.read())


def value_path(
    name: str = RESNET.name,
    version: str = "v1beta2",
    namespace: str = "team",
    resource: str = "deployments.apps",
    metric: str = METRIC,
) -> str:
    """Return where the number of a Deployment is."""
    return f"{ROOT}/{version}/namespaces/{namespace}/{resource}/{name}/{metric}"


def answers_with(numbers: Mapping[Target, int] | None = None, hold_s: float = 60.0) -> Answers:
    """Return a store, complete, with these numbers."""
    found = Answers(hold_s)
    for target, replicas in ({RESNET: 3} if numbers is None else numbers).items():
        found.decided(target, ABOUT, replicas, 1_790_000_000.9)
    found.open()
    return found


@contextlib.contextmanager
def open_doors(
    fake: FakeApiServer,
    folder: Path,
    answers: Answers,
    settings: DoorSettings | None = None,
    registry: CollectorRegistry | None = None,
) -> Iterator[Doors]:
    """Open doors on ports of their own, and wait until the API is served."""
    doors = Doors(
        settings or DoorSettings(api=LOOPBACK, keda=None, upkeep_s=0.05),
        ApiServer.connect(fake.kubeconfig(folder)),
        answers,
        registry or CollectorRegistry(),
    )
    doors.start()
    try:
        wait_until(lambda: doors.is_serving)
        yield doors
    finally:
        doors.stop()
