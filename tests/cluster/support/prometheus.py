"""Debian's Prometheus on the control plane's machine, with the scrape configuration we ship."""

import copy
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

import yaml
from tests.cluster.harness import Cluster, Process, packages
from tests.cluster.harness.settings import REPOSITORY

from . import gateway
from .scene import until

SCRAPE_CONFIG: Final = REPOSITORY / "manifests" / "prometheus" / "scrape-config.yaml"
SCRAPE_S: Final = 1
"""Twelve times faster than a cluster would, as everything here is."""
_PORT: Final = 9090
_NAME: Final = "prometheus"
_USER: Final = "gshare-test-prometheus"
_PATIENCE_S: Final = 20.0
# What a Prometheus in a cluster has by its ServiceAccount.
_RIGHTS: Final = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": _USER},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": _USER}],
}


class Prometheus:
    """One Prometheus; what it stored outlives its process, as on a disk."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        folder = cluster.state_dir
        self._config = folder / f"{_NAME}.yaml"
        command = (
            "prometheus",
            f"--config.file={self._config}",
            "--storage.tsdb.path=/run/prometheus",
            "--storage.tsdb.retention.time=1h",
            f"--web.listen-address={self._address}",
        )
        self.process: Process = cluster.machine.process(_NAME, command, cluster.log_dir)

    @property
    def url(self) -> str:
        """Where it answers, for the host and for pods."""
        return f"http://{self._address}"

    def start(self) -> None:
        """Start it, unless it runs, and return when it answers queries."""
        packages.install(lambda _: None, packages.PROMETHEUS)
        plane = self._cluster.control_plane
        plane.client(_NAME, _USER, "gshare-test")
        self._cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_RIGHTS))
        self._config.write_text(yaml.safe_dump(self._configuration()))
        self.process.start()
        until(self._is_ready, "Prometheus is ready", _PATIENCE_S)

    def stop(self) -> None:
        """End it as a rollout does."""
        self.process.stop()

    def value(self, promql: str) -> float | None:
        """Return the only value of an instant query, None where there is none."""
        found = self._get("query", query=promql)["data"]["result"]
        assert len(found) <= 1, f"{promql} has {len(found)} values"
        return float(found[0]["value"][1]) if found else None

    def course(self, promql: str, since_s: float, step_s: float = 1.0) -> list[tuple[float, float]]:
        """Return (Unix time, value) of a query's only series, from `since_s` on."""
        found = self._get("query_range", query=promql, start=since_s, end=time.time(), step=step_s)
        series = found["data"]["result"]
        assert len(series) <= 1, f"{promql} has {len(series)} series"
        return [(float(at), float(value)) for at, value in series[0]["values"]] if series else []

    @property
    def _address(self) -> str:
        return f"{self._cluster.addresses.control_plane}:{_PORT}"

    def _is_ready(self) -> bool:
        try:
            self._get("query", query="vector(1)")
        except urllib.error.URLError as error:
            raise LookupError(f"{error}; {self.process.last_words(3)}") from error
        return True

    def _get(self, path: str, **values: object) -> dict[str, Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        asked = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(values)}"
        with opener.open(asked, timeout=_PATIENCE_S) as answer:
            said: dict[str, Any] = json.loads(answer.read())
        return said

    def _configuration(self) -> dict[str, Any]:
        """Return our scrape configuration, which is for a Prometheus in the cluster, from here."""
        found: dict[str, Any] = yaml.safe_load(SCRAPE_CONFIG.read_text())
        found["scrape_configs"].append(copy.deepcopy(gateway.SCRAPE_JOB))
        pki = self._cluster.control_plane.pki
        for job in found["scrape_configs"]:
            job |= {"scrape_interval": f"{SCRAPE_S}s", "scrape_timeout": f"{SCRAPE_S}s"}
            for discovery in job["kubernetes_sd_configs"]:
                discovery.update(_access(self._cluster.addresses.api_server, pki))
        return found


def _access(server: str, pki: Path) -> dict[str, Any]:
    files = {"ca_file": "ca.crt", "cert_file": f"{_NAME}.crt", "key_file": f"{_NAME}.key"}
    paths = {key: str(pki / file) for key, file in files.items()}
    return {"api_server": server, "tls_config": paths}
