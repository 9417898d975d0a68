"""`kubectl gshare` and the API access beneath it, against the real API server."""

import json
import os
import subprocess
import sysconfig

from tests.cluster.harness import Cluster
from tests.cluster.support import workloads
from tests.cluster.support.scene import Scene, node_of, placement_of, until
from tests.cluster.support.workloads import Ask


def kubectl_gshare(cluster: Cluster, *arguments: str) -> str:
    """Return what `kubectl gshare` prints."""
    found = [sysconfig.get_path("scripts"), os.environ.get("PATH", "")]
    ended = subprocess.run(
        [cluster.kubectl_program, "gshare", *arguments],
        env=os.environ
        | {"KUBECONFIG": str(cluster.kubeconfig), "PATH": ":".join(found), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_ps_shows_where_a_pod_is_and_what_it_got(scene: Scene) -> None:
    scene.create(workloads.pod("busy", Ask(12, 40, annotations={"quota_limit": "40"})))
    scene.wait_running(1)
    scene.wait_launching(["busy"])

    def row() -> dict[str, object]:
        printed = kubectl_gshare(scene.cluster, "ps", "-n", scene.namespace, "--json")
        (found,) = json.loads(printed)
        if not (found["delivered_percent"] or 0) > 20:
            raise LookupError(str(found))
        return dict(found)

    shown = until(row, "ps tells what the pod got", poll_s=1)

    pod = scene.pod("busy")
    placed = placement_of(pod)
    assert placed
    assert (shown["node"], shown["gpu_uuid"]) == (node_of(pod), placed.gpu_uuid)
    assert (shown["state"], shown["sm_percent"]) == ("Running", 12)


def test_map_draws_the_pod_on_its_gpu(scene: Scene) -> None:
    scene.create(workloads.pod("drawn"))
    scene.wait_running(1)

    gpus = json.loads(kubectl_gshare(scene.cluster, "map", "--json"))

    labels = [[box["label"] for box in gpu["boxes"]] for gpu in gpus]
    assert sorted(filter(None, labels)) == [["drawn"]]
    assert all("(simulated)" in gpu["title"] for gpu in gpus)


def test_explain_says_what_every_node_lacks(scene: Scene) -> None:
    scene.create(workloads.pod("vast", Ask(annotations={"gpu_mem": "1Ti"})))
    scene.wait_event("vast", "FailedScheduling", "memory")

    printed = kubectl_gshare(scene.cluster, "explain", f"{scene.namespace}/vast")

    for node in scene.cluster.nodes:
        assert f"  {node.name}: GPU 0" in printed
    assert "of memory are missing: 1Ti asked" in printed
    assert "FailedScheduling" in printed
