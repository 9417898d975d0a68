"""`gshare profile --cluster`: a Job a trial, on a GPU that it has to itself."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from tests.cluster import images
from tests.cluster.harness import Cluster
from tests.cluster.harness.settings import REPOSITORY
from tests.cluster.support import workloads
from tests.cluster.support.figures import Figures
from tests.cluster.support.scene import Scene, placement_of
from tests.cluster.support.workloads import Ask
from tests.support.profiling import Notes

from gshare.runtime.kube import ApiServer
from gshare_cli import profile_subject, up
from gshare_cli.profile_cluster import ClusterSettings, ClusterSite
from gshare_profiler.campaign import Campaign
from gshare_profiler.design import Grid
from gshare_profiler.journal import Journal, Trial
from gshare_profiler.settings import Rounds, Span, TrialSettings

RESNET = REPOSITORY / "examples" / "paper" / "resnet.yaml"
CALIBRATED_RPS = 68.5
ROUNDS = Rounds(Span(2.0, 20, 8.0), most=3)
SHORT = TrialSettings(warm_up_s=0.5, saturation=ROUNDS, latency=Span(1.0, 15, 8.0))
GRID = Grid(sms=(12,), quotas=(40, 80))


@pytest.fixture
def load_image(cluster: Cluster) -> str:
    for archive in images.build(["profiler"]).values():
        cluster.import_image(archive)
    return images.reference("profiler")


def profiled(cluster: Cluster, scene: Scene, image: str, folder: Path) -> Sequence[Trial]:
    said = profile_subject.choose(RESNET, up.read(RESNET), None)
    settings = ClusterSettings(scene.namespace, image)
    site = ClusterSite.open(ApiServer.connect(cluster.kubeconfig), said, settings)
    with Journal.open(folder / "trials.jsonl", {}) as journal:
        campaign = Campaign(GRID, said.request(), SHORT)
        return asyncio.run(campaign.run(site, journal, Notes()))


def test_trials_on_a_cluster_measure_the_quota_beside_a_busy_neighbour(
    cluster: Cluster, scene: Scene, load_image: str, figures: Figures, tmp_path: Path
) -> None:
    """A busy pod is on one GPU; trials go to another, and give what their quota is worth."""
    scene.create(workloads.pod("busy", Ask(50, 60)))
    scene.wait_running(1)

    trials = profiled(cluster, scene, load_image, tmp_path)

    for found in trials:
        assert found.measured is not None, found.reason
        kept = found.measured.throughput_rps / (CALIBRATED_RPS * found.quota / 100)
        figures.claim(f"profile, quota {found.quota}: kept", round(100 * kept, 1), "%", ">=", 90)
        assert 0.9 <= kept <= 1.05
        assert found.measured.gpu_utilization == pytest.approx(found.quota / 100, abs=0.05)
    assert [placement_of(pod) is not None for pod in scene.pods()] == [True]
    assert scene.api.items(f"/apis/batch/v1/namespaces/{scene.namespace}/jobs") == []


def test_the_command_profiles_the_current_cluster(
    cluster: Cluster, scene: Scene, load_image: str, tmp_path: Path
) -> None:
    """A function that cannot start: the reason is the pod's own, and nothing is left behind."""
    broken = tmp_path / "broken.yaml"
    body = next(iter(yaml.safe_load_all(RESNET.read_text())))
    body["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", "echo no weights"]
    broken.write_text(yaml.safe_dump(body))

    ended = asyncio.run(_gshare(cluster, broken, scene.namespace, load_image, tmp_path / "out"))

    assert "the server ended: no weights" in ended
    assert scene.pods() == []


async def _gshare(cluster: Cluster, file: Path, namespace: str, image: str, output: Path) -> str:
    """Run the command and return what it says on standard error."""
    arguments = ["profile", str(file), "--cluster", "-n", namespace, "--load-image", image]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gshare_cli", *arguments, "--output", str(output),
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
    )  # fmt: skip
    _, err = await process.communicate()
    return err.decode()
