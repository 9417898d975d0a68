"""Tells Prometheus of pods by a file: Debian's build lacks the discovery by the API server.

The file has the very labels that discovery gives (`__meta_kubernetes_...`), so that the scrape
configuration we ship is used as it is.
"""

import json
import re
import threading
from pathlib import Path
from typing import Final

from tests.cluster.harness import ClusterError
from tests.cluster.harness.api import Api

from .workloads import Object

_LOOK_S: Final = 0.5
_META: Final = "__meta_kubernetes_"


class Discovery:
    """A thread that writes the pods of a cluster to a file whenever they change."""

    def __init__(self, api: Api, file: Path) -> None:
        self._api = api
        self._file = file
        self._written = ""
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write the file, and begin to follow; done once, however often it is asked for."""
        if self._thread is None:
            self._look()
            self._thread = threading.Thread(target=self._follow, name="discovery", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Follow no longer."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            try:
                self._look()
            except ClusterError:
                continue  # the API server is away: it is asked again

    def _look(self) -> None:
        found = json.dumps(
            [each for pod in self._api.items("/api/v1/pods") for each in groups(pod)]
        )
        if found != self._written:
            part = self._file.with_suffix(".part")
            part.write_text(found)
            part.replace(self._file)
            self._written = found


def groups(pod: Object) -> list[Object]:
    """Return the targets of a pod, one a declared port, with the labels of the role `pod`."""
    address = pod["status"].get("podIP")
    if not address:
        return []
    return [
        {"targets": [f"{address}:{port['containerPort']}"], "labels": _labels(pod, port)}
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
    ]


def _labels(pod: Object, port: Object) -> dict[str, str]:
    metadata = pod["metadata"]
    found = {
        "namespace": metadata["namespace"],
        "pod_name": metadata["name"],
        "pod_phase": pod["status"].get("phase", ""),
        "pod_container_port_name": port.get("name", ""),
    }
    for key, value in metadata.get("labels", {}).items():
        label = re.sub(r"[^a-zA-Z0-9_]", "_", key)
        found |= {f"pod_label_{label}": value, f"pod_labelpresent_{label}": "true"}
    return {_META + key: value for key, value in found.items()}
