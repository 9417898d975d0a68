"""A function that is scaled: the example's file through `gshare render`, on a cluster."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from tests.cluster.harness.settings import REPOSITORY

from gshare import names, profile
from gshare.profile import Latency, Point, Profile, ProfiledGpu

from .replicas import Course
from .scene import Scene, until

EXAMPLE: Final = REPOSITORY / "examples" / "autoscaling" / "resnet.yaml"
NAME: Final = "resnet"
SLO_MS: Final = 69.0
"""The paper's, for ResNet-50."""

_CALIBRATED_RPS: Final = {6: 49.8, 12: 68.5, 24: 75.0, 100: 75.0}
"""What the simulated V100 was calibrated to at 100 % of the time, by SM partition."""
_QUOTAS: Final = (20, 40, 60, 80, 100)
_WINDOW_MS: Final = 40.0
_MEMORY_BYTES: Final = 1525 << 20


def resnet_profile() -> Profile:
    """Return the profile of the example: quotas are exact, waiting is for a slot of the window."""
    points = [
        Point(sm, quota, full_rps * quota / 100, _latency(full_rps, quota), _MEMORY_BYTES)
        for sm, full_rps in _CALIBRATED_RPS.items()
        for quota in _QUOTAS
    ]
    gpu = ProfiledGpu("Tesla V100-SXM2-16GB", 80, 16 << 30)
    return Profile(NAME, gpu, tuple(points), is_simulated=True, slo_ms=SLO_MS)


def _latency(full_rps: float, quota: int) -> Latency:
    alone_ms, waiting_ms = 1000 / full_rps, _WINDOW_MS * (100 - quota) / 100
    return Latency(alone_ms, alone_ms + waiting_ms / 2, alone_ms + waiting_ms)


def throughput_rps(sm: int, quota: int) -> float:
    """Return what a replica of a shape serves, as the profile says."""
    point = resnet_profile().at(sm, quota)
    assert point is not None
    return point.throughput_rps


@dataclass(frozen=True, slots=True)
class Function:
    """The example on a cluster, one Deployment and HPA for each of its shapes."""

    scene: Scene
    file: Path
    """What `gshare render` wrote."""

    @property
    def url(self) -> str:
        """Where its Service takes requests; pods here have no DNS, so by address."""
        path = f"/api/v1/namespaces/{self.scene.namespace}/services/{NAME}"
        return f"http://{self.scene.api.get(path)['spec']['clusterIP']}/infer"

    def apply(self) -> None:
        """Apply all of it, its HPAs too, and leave the replicas as they are."""
        self.scene.cluster.kubectl("apply", "-n", self.scene.namespace, "-f", str(self.file))

    def apply_unscaled(self, replicas: int) -> None:
        """Apply all but its HPAs, and return when its only Deployment has so many replicas."""
        found = list(yaml.safe_load_all(self.file.read_text()))
        items = [each for each in found if each["kind"] != "HorizontalPodAutoscaler"]
        (name,) = (each["metadata"]["name"] for each in items if each["kind"] == "Deployment")
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.scene.cluster.kubectl("apply", "-n", self.scene.namespace, "-f", "-", stdin=text)
        self.scene.scale(name, replicas)
        self.wait_ready(replicas)

    def course(self) -> Course:
        """Return a watcher of its replicas."""
        return Course(self.scene, NAME)

    def wait_ready(self, count: int, timeout_s: float = 60.0) -> None:
        """Return when exactly so many of its replicas are wanted and Ready."""
        course = self.course()

        def stands() -> bool:
            sight = course.look()
            if sight.total == sum(sight.ready.values()) == count:
                return True
            raise LookupError(f"wanted {sight.wanted}, ready {sight.ready}")

        until(stands, f"{NAME} has {count} replicas", timeout_s, poll_s=0.5)

    def remove(self) -> None:
        """Delete all of it."""
        self.scene.cluster.kubectl(
            "delete", "--ignore-not-found", "-n", self.scene.namespace, "-f", str(self.file)
        )


def annotated(**annotations: str) -> str:
    """Return the example with more annotations of gshare, their names without the domain."""
    own = f"{names.ANNOTATION_SLO}: {SLO_MS:g}ms"
    found = EXAMPLE.read_text()
    assert found.count(own) == 1
    more = [
        f"{names.DOMAIN}/{key.replace('_', '-')}: {value}" for key, value in annotations.items()
    ]
    return found.replace(own, "\n    ".join([own, *more]))


def render(scene: Scene, folder: Path, options: Sequence[str], text: str | None = None) -> Function:
    """Return what `gshare render` makes of the example, or of `text`, with `options`."""
    folder.mkdir(exist_ok=True)
    source, profiled, made = (folder / name for name in ("in.yaml", "profile.json", "out.yaml"))
    source.write_text(text or EXAMPLE.read_text())
    profiled.write_text(profile.write(resnet_profile()))
    command = [
        sys.executable,
        "-m",
        "gshare_cli",
        "render",
        str(source),
        "--profile",
        str(profiled),
    ]
    made.write_text(
        subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    )
    return Function(scene, made)
