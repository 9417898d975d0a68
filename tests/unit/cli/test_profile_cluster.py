"""Trials on a cluster, against an API that runs Jobs at once and whose pods say what they are told.

The real API server and real pods: tests/cluster/scaling/test_profile.py.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.profiling import Notes

from gshare import names
from gshare.annotations import NodeGpu, PodPlacement, encode_inventory, encode_placement
from gshare.errors import GshareError, InputError
from gshare.runtime.kube import ApiError, ApiServer
from gshare_cli import profile_cluster, profile_subject, up
from gshare_cli.profile_cluster import ClusterSettings, ClusterSite
from gshare_profiler.campaign import Campaign
from gshare_profiler.design import Grid
from gshare_profiler.journal import Journal, Trial
from gshare_profiler.load import Figures, Phase
from gshare_profiler.load.plan import line_of, read_plan
from gshare_profiler.settings import TrialSettings

EXAMPLE = Path(__file__).parents[3] / "examples" / "paper" / "resnet.yaml"
GIB = 2**30
V100 = NodeGpu("GPU-0", "V100", 80, 16 * GIB, is_simulated=True)
A100 = NodeGpu("GPU-1", "A100", 108, 40 * GIB)
FIGURES = Figures(6.85, 5.5, 100, 80.0, 160.0, 200.0)
"""Of a GPU that is four times slower than real: 27.4 requests/s."""


class FakeApi:
    """Keeps objects by path; a Job gets a pod that is ready at once, a load says its figures."""

    host = "https://fake"

    def __init__(self, nodes: Mapping[str, tuple[NodeGpu, ...]]) -> None:
        self.nodes = nodes
        self.objects: dict[str, dict[str, Any]] = {}
        self.loads: list[dict[str, Any]] = []
        self.says: list[str] = [*map(line_of, Phase), line_of(FIGURES)]
        self.pod_status: dict[str, Any] = {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": "True"}],
        }

    def get(self, path: str, params: Mapping[str, Any] | None = None, **_: object) -> bytes:
        name = path.rpartition("/")[2]
        if path == "/api/v1/nodes":
            return _list([_node(each, gpus) for each, gpus in self.nodes.items()])
        if path.endswith("/configmaps"):
            return _list([{"data": {names.ENV_TIME_SCALE: "4"}}])
        if path.endswith("/proxy/metrics"):
            return self._metrics().encode()
        if path.startswith(f"/api/v1/namespaces/{names.NAMESPACE}/"):
            agent = _pod(f"{names.PART_NODE_AGENT}-x", {}, {"phase": "Running"})
            return _list([agent | {"spec": {"nodeName": "n1"}}])
        if name == "log":
            is_load = "-load-" in path
            return "\n".join(self.says if is_load else ["starting", "no weights here"]).encode()
        key, _, value = str((params or {})["labelSelector"]).partition("=")
        pods = [each for each in self.objects.values() if each["kind"] == "Pod"]
        return _list([each for each in pods if each["metadata"]["labels"].get(key) == value])

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        made = json.loads(json.dumps(body))
        metadata = made["metadata"]
        metadata["name"] = metadata.get("name") or f"{metadata['generateName']}1"
        metadata["uid"] = "u1"
        self.objects[f"{path}/{metadata['name']}"] = made
        if made["kind"] == "Job":
            self._start(made)
        else:
            self.loads.append(made)
            made["status"] = {"phase": "Succeeded"}
        return json.dumps(made).encode()

    def delete(self, path: str, *_: object) -> bytes:
        if path not in self.objects:
            raise ApiError(f"DELETE {path}: 404", 404)
        self.objects.clear()
        return b"{}"

    def _start(self, job: dict[str, Any]) -> None:
        placed = encode_placement(PodPlacement("GPU-0", 12, 40, 16 * GIB))
        template = job["spec"]["template"]
        pod = _pod("trial-x", template["metadata"]["labels"], self.pod_status)
        pod["metadata"]["annotations"] = {names.ANNOTATION_PLACEMENT: placed}
        pod["spec"] = {"nodeName": "n1"}
        self.objects["pod"] = pod

    def _metrics(self) -> str:
        lease = 'namespace="models",pod="trial-x",container="c",gpu="GPU-0",lease="l"'
        return (
            f"{names.METRIC_LEASE_GPU_SECONDS}{{{lease}}} 1\n"
            f"{names.METRIC_LEASE_MEMORY_BYTES}{{{lease}}} {GIB}\n"
            f'{names.METRIC_GPU_CLOCK_SECONDS}{{gpu="GPU-0",model="V100"}} 2\n'
        )


def _list(items: list[dict[str, Any]]) -> bytes:
    return json.dumps({"metadata": {}, "items": items}).encode()


def _node(name: str, gpus: tuple[NodeGpu, ...]) -> dict[str, Any]:
    inventory = {names.ANNOTATION_GPUS: encode_inventory(gpus)}
    return {"metadata": {"name": name, "annotations": inventory}}


def _pod(name: str, labels: Mapping[str, str], status: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "models", "labels": dict(labels)}
    return {"kind": "Pod", "metadata": metadata, "status": dict(status)}


def site_of(api: FakeApi, **settings: Any) -> ClusterSite:
    said = profile_subject.choose(EXAMPLE, up.read(EXAMPLE), None)
    return ClusterSite.open(cast("ApiServer", api), said, ClusterSettings("models", **settings))


def run(api: FakeApi, folder: Path, **settings: Any) -> list[Trial]:
    site = site_of(api, **settings)
    with Journal.open(folder / "trials.jsonl", {}) as journal:
        campaign = Campaign(Grid((12,), (40,)), site.said.request(), TrialSettings())
        return list(asyncio.run(campaign.run(site, journal, Notes())))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    monkeypatch.setattr(profile_cluster, "_POLL_S", 0.01)
    return FakeApi({"n1": (V100,), "n2": (V100, V100)})


def test_a_trial_is_measured_and_nothing_of_it_is_left(api: FakeApi, tmp_path: Path) -> None:
    (found,) = run(api, tmp_path)

    assert found.measured is not None, found.reason
    assert found.measured.throughput_rps == pytest.approx(27.4)
    assert found.measured.p99_ms == pytest.approx(50)
    assert found.measured.memory_bytes == GIB
    assert api.objects == {}


def test_the_load_goes_to_the_pod_and_holds_on_for_who_watches(
    api: FakeApi, tmp_path: Path
) -> None:
    run(api, tmp_path, load_image="registry/profiler:1")

    (load,) = api.loads
    (container,) = load["spec"]["containers"]
    plan, url = container["args"]
    assert (container["image"], url) == ("registry/profiler:1", "http://10.0.0.7:8080")
    assert read_plan(plan).hold_s >= 2
    assert read_plan(plan).settings == TrialSettings().times(4)


def test_a_server_that_ends_is_told_with_its_last_words(api: FakeApi, tmp_path: Path) -> None:
    api.pod_status = {"phase": "Failed"}

    (found,) = run(api, tmp_path)

    assert found.reason == "the server ended: no weights here"
    assert api.objects == {}


def test_a_pod_that_does_not_become_ready_is_told_with_what_it_waits_for(
    api: FakeApi, tmp_path: Path
) -> None:
    waiting = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes have room"}
    api.pod_status = {"phase": "Pending", "conditions": [waiting]}

    (found,) = run(api, tmp_path, ready_timeout_s=0.01, time_scale=1)

    assert found.reason == "not ready within 0.01 s: 0/2 nodes have room"


def test_a_load_that_breaks_off_is_told_with_its_last_words(api: FakeApi, tmp_path: Path) -> None:
    api.says = ["exec: no such file"]

    (found,) = run(api, tmp_path)

    assert "the load ended without figures: exec: no such file" in found.reason


def test_what_a_killed_profile_left_is_removed_first(api: FakeApi, tmp_path: Path) -> None:
    path = "/apis/batch/v1/namespaces/models/jobs/resnet-trial-12-40"
    api.objects[path] = {"kind": "Job", "metadata": {"labels": {}}}

    (found,) = run(api, tmp_path)

    assert found.measured is not None


def test_of_several_models_one_must_be_named(api: FakeApi) -> None:
    api.nodes = {"n1": (V100,), "n2": (A100,), "n3": (A100, V100)}

    with pytest.raises(InputError, match=r"--gpu-model.*A100, V100"):
        site_of(api)
    site = site_of(api, gpu_model="A100")

    assert (site.place.gpu.model, site.place.time_scale, site.nodes) == ("A100", 1, ("n2",))
    with pytest.raises(InputError, match="'H100': is on no node by itself"):
        site_of(api, gpu_model="H100")


def test_a_cluster_without_gpus_is_told(api: FakeApi) -> None:
    api.nodes = {}

    with pytest.raises(GshareError, match="no node has GPUs"):
        site_of(api)
