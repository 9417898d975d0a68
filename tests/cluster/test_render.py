"""A real API server takes what `gshare render` and `gshare convert` write, field for field."""

import json

import pytest
from tests.cluster.harness import Cluster
from tests.cluster.harness.settings import REPOSITORY
from tests.support.profiles import resnet

from gshare import names, rendering
from gshare.rendering import KEEPS, Aim, Keep, Load, Object

EXAMPLE = REPOSITORY / "examples" / "paper" / "resnet.yaml"
FASTPOD = """
apiVersion: fastgshare.caps.in.tum/v1
kind: FaSTPod
metadata:
  name: converted
  labels: {com.openfaas.scale.min: "1", com.openfaas.scale.max: "1e3"}
  annotations:
    fastgshare/gpu_quota_request: "0.3"
    fastgshare/gpu_quota_limit: "0.4"
    fastgshare/gpu_sm_partition: "30"
    fastgshare/gpu_mem: "2700000000"
    hasfunc/sched_node: "kgpu3"
spec:
  replicas: 2
  podSpec:
    restartPolicy: Never
    containers:
    - name: server
      image: example/resnet
      readinessProbe: {tcpSocket: {port: 5000}}
      volumeMounts: [{name: models, mountPath: /models/}]
    volumes: [{name: models, hostPath: {path: /models/}}]
"""


def applied(cluster: Cluster, objects: tuple[Object, ...]) -> list[Object]:
    """Return what the API server would keep of `objects`; it refuses every field it knows not."""
    printed = cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-",
        stdin=rendering.write(objects),
    )  # fmt: skip
    found = json.loads(printed)
    return list(found["items"]) if found["kind"] == "List" else [found]


@pytest.mark.parametrize("keep", KEEPS)
def test_every_object_that_render_writes_is_taken(cluster: Cluster, keep: Keep) -> None:
    template = rendering.read_template("resnet.yaml", EXAMPLE.read_text(encoding="utf-8"))
    bundle = rendering.bundle(template, resnet(slo_ms=69), Aim(load=Load(10, 200), keep=keep))

    kept = applied(cluster, bundle.objects)

    assert [each["kind"] for each in kept] == [each["kind"] for each in bundle.objects]
    hpas = [each for each in kept if each["kind"] == "HorizontalPodAutoscaler"]
    assert [each["spec"]["minReplicas"] for each in hpas] == [each.least for each in bundle.written]
    for hpa in hpas:
        assert {way["tolerance"] for way in hpa["spec"]["behavior"].values()} == {"0"}


def test_a_converted_fastpod_is_taken(cluster: Cluster) -> None:
    (kept,) = applied(cluster, rendering.convert("fastpod.yaml", FASTPOD).objects)

    pods = kept["spec"]["template"]
    limits = pods["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {names.RESOURCE_SM: "30", names.RESOURCE_QUOTA: "30"}
    assert pods["metadata"]["annotations"][names.ANNOTATION_GPU_MEM] == "2700000000"
    assert kept["metadata"]["labels"]["com.openfaas.scale.max"] == "1e3"
