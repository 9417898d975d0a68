"""Puts gshare onto a test cluster as a user does: its images, then `kubectl apply -k`."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.cluster import images
from tests.cluster.harness import Cluster, ClusterError, wait
from tests.cluster.harness.control_plane import EXTENDER
from tests.cluster.harness.settings import REPOSITORY

from gshare import names

OVERLAY: Final = REPOSITORY / "manifests" / "overlays" / "simulated"
_IMAGES: Final = ("node-agent", "example-server")
_PATIENCE_S: Final = 120.0


def deploy(cluster: Cluster, report: Callable[[str], object], overlay: Path = OVERLAY) -> None:
    """Deploy gshare with simulated GPUs; return when all nodes offer them."""
    report("building gshare's images")
    archives = images.build(_IMAGES).values()
    for archive in archives:
        cluster.import_image(archive)
    cluster.kubectl("apply", "--server-side", "--kustomize", str(overlay))
    wait(lambda: _nodes_offer_gpus(cluster), _PATIENCE_S, "every node offers its GPUs")
    if EXTENDER in cluster.processes:
        wait(lambda: _extender_is_ready(cluster), _PATIENCE_S, "the extender is ready")
    report("gshare is deployed")


def _nodes_offer_gpus(cluster: Cluster) -> bool:
    """Tell whether each node has both resources and its inventory; name what is missing."""
    for node in cluster.api.items("/api/v1/nodes"):
        offered = node["status"].get("allocatable", {})
        for resource in (names.RESOURCE_SM, names.RESOURCE_QUOTA):
            if int(offered.get(resource, 0)) == 0:
                raise ClusterError(f"{node['metadata']['name']} offers no {resource}")
        if names.ANNOTATION_GPUS not in node["metadata"].get("annotations", {}):
            raise ClusterError(f"{node['metadata']['name']} has no {names.ANNOTATION_GPUS}")
    return True


def _extender_is_ready(cluster: Cluster) -> bool:
    url = f"http://{cluster.addresses.control_plane}:10481/readyz"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        raise ClusterError(f"{url}: {error.code} {error.read().decode()}") from error
