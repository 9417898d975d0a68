"""Debian's Prometheus on the control plane's machine, with the scrape configuration we ship."""

import copy
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final

import yaml
from tests.cluster.harness import Cluster, Process, packages
from tests.cluster.harness.settings import REPOSITORY

from . import gateway
from .discovery import Discovery
from .scene import until

SCRAPE_CONFIG: Final = REPOSITORY / "manifests" / "prometheus" / "scrape-config.yaml"
SCRAPE_S: Final = 1
"""Twelve times faster than a cluster would, as everything here is."""
_PORT: Final = 9090
_NAME: Final = "prometheus"
_PATIENCE_S: Final = 20.0


class Prometheus:
    """One Prometheus; what it stored outlives its process, as on a disk."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        folder = cluster.state_dir
        self._config = folder / f"{_NAME}.yaml"
        self._pods = folder / f"{_NAME}-pods.json"
        self._discovery = Discovery(cluster.api, self._pods)
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
        self._discovery.start()
        self._config.write_text(yaml.safe_dump(self._configuration()))
        self.process.start()
        until(self._is_ready, "Prometheus is ready", _PATIENCE_S)

    def stop(self) -> None:
        """End it as a rollout does."""
        self.process.stop()

    def close(self) -> None:
        """End all that belongs to it."""
        self.stop()
        self._discovery.stop()

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
        """Return our scrape configuration, with pods found by the file."""
        found: dict[str, Any] = yaml.safe_load(SCRAPE_CONFIG.read_text())
        found["scrape_configs"].append(copy.deepcopy(gateway.SCRAPE_JOB))
        for job in found["scrape_configs"]:
            assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
            job["file_sd_configs"] = [{"files": [str(self._pods)]}]
            job |= {"scrape_interval": f"{SCRAPE_S}s", "scrape_timeout": f"{SCRAPE_S}s"}
        return found
