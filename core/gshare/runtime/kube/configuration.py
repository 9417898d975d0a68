"""Finds the API server and the credentials for it, by the official client.

The file that the caller names comes first, then $KUBECONFIG or ~/.kube/config where it exists,
then a pod's service account: the order of kubectl. The client knows how to connect and who
asks, and renews the bearer token; all else of it (models, informers) stays unused. Importing it
costs 0.2 s, so this module is imported where the first connection is made.
"""

import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml
from kubernetes import client, config

from gshare.errors import GshareError

from .errors import NoClusterError

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_SEARCHED: Final = "give --kubeconfig FILE, or set KUBECONFIG"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the API server is, who asks, and what connects to it."""

    host: str
    context: str
    """The kubeconfig's context; empty in a pod."""
    namespace: str
    pool: urllib3.PoolManager
    configuration: Any
    _lock: threading.Lock

    def authorization(self) -> dict[str, str]:
        """Return the header that says who asks; the client renews what runs out."""
        with self._lock:
            token = self.configuration.auth_settings().get("BearerToken")
        return {"Authorization": token["value"]} if token and token["value"] else {}


def find(kubeconfig: Path | None, context: str | None) -> Connection:
    """Return the connection that the caller or the surroundings name; GshareError without one."""
    if kubeconfig is not None:
        if not kubeconfig.exists():
            raise GshareError(f"kubeconfig {kubeconfig}: there is no such file: {_SEARCHED}")
        return _from_file(str(kubeconfig), context)
    if context is not None or _has_default_file():
        return _from_file(config.KUBE_CONFIG_DEFAULT_LOCATION, context)
    return _in_cluster()


def _has_default_file() -> bool:
    places = str(config.KUBE_CONFIG_DEFAULT_LOCATION).split(":")
    return any(Path(place).expanduser().exists() for place in places if place)


def _from_file(location: str, context: str | None) -> Connection:
    settings = client.Configuration()
    try:
        config.load_kube_config(location, context=context, client_configuration=settings)
        contexts, current = config.list_kube_config_contexts(location)
    except (config.ConfigException, OSError, yaml.YAMLError, ValueError, TypeError) as error:
        if not _has_default_file() and location == config.KUBE_CONFIG_DEFAULT_LOCATION:
            raise NoClusterError(f"no kubeconfig at {location}: {_SEARCHED}") from error
        raise GshareError(f"kubeconfig {location}: {_one_line(error)}") from error
    chosen = next((each for each in contexts if each["name"] == context), current)
    namespace = chosen.get("context", {}).get("namespace") or "default"
    return _connection(settings, chosen["name"], namespace)


def _in_cluster() -> Connection:
    settings = client.Configuration()
    try:
        config.load_incluster_config(settings)
    except (config.ConfigException, OSError) as error:
        place = config.KUBE_CONFIG_DEFAULT_LOCATION
        raise NoClusterError(
            f"no cluster to ask: there is no kubeconfig at {place}, and this is no pod: {_SEARCHED}"
        ) from error
    try:
        namespace = _NAMESPACE_FILE.read_text().strip()
    except OSError:
        namespace = "default"
    return _connection(settings, "", namespace)


def _connection(settings: Any, context: str, namespace: str) -> Connection:  # noqa: ANN401 (its own type)
    settings.socket_options = _socket_options()
    try:
        pool = client.ApiClient(settings).rest_client.pool_manager
    except (OSError, ValueError) as error:
        raise GshareError(f"kubeconfig: {_one_line(error)}") from error
    return Connection(settings.host, context, namespace, pool, settings, threading.Lock())


def _socket_options() -> list[tuple[int, int, int]]:
    """Return options that find a dead peer within half a minute, also where nothing is sent."""
    options = list(urllib3.connection.HTTPConnection.default_socket_options)
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    for name, value in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 4),
        ("TCP_USER_TIMEOUT", 30_000),
    ):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
