"""Objects that users send, and what the policies answer: one line each."""

import copy

from tests.cluster.harness.api import Object
from tests.support import manifests as build

from gshare import names

PATHS = {
    "Pod": "/api/v1/namespaces/default/pods",
    "ReplicationController": "/api/v1/namespaces/default/replicationcontrollers",
    "Deployment": "/apis/apps/v1/namespaces/default/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/default/replicasets",
    "StatefulSet": "/apis/apps/v1/namespaces/default/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/default/daemonsets",
    "Job": "/apis/batch/v1/namespaces/default/jobs",
    "CronJob": "/apis/batch/v1/namespaces/default/cronjobs",
}


def pod(*containers: Object, init: tuple[Object, ...] = (), **metadata: object) -> Object:
    """Return a Pod of `containers`, of one that asks for a rectangle if none is given."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "asks", **metadata},
        "spec": {
            "containers": [_with_image(each) for each in containers or (build.container(),)],
            "initContainers": [_with_image(each) for each in init],
            "restartPolicy": "Always",
        },
    }


def asking(sm: object = None, quota: object = None, name: str = "server") -> Object:
    """Return a container with these limits; None leaves one out."""
    wanted = {names.RESOURCE_SM: sm, names.RESOURCE_QUOTA: quota}
    limits = {key: value for key, value in wanted.items() if value is not None}
    return build.container(name, resources={"limits": limits})


def annotated(**annotations: str) -> Object:
    """Return a Pod with annotations of gshare: quota_request, quota_limit, gpu_mem, placement."""
    return pod(
        annotations={
            f"{names.DOMAIN}/{key.replace('_', '-')}": value for key, value in annotations.items()
        }
    )


def workload(kind: str, template: Object) -> Object:
    """Return an object of `kind` whose pods are like the Pod `template`."""
    inner = copy.deepcopy({key: template[key] for key in ("metadata", "spec")})
    inner["metadata"]["labels"] = {"app": "asks"}
    inner["metadata"].pop("name")
    if kind in {"Job", "CronJob"}:
        inner["spec"]["restartPolicy"] = "Never"
    spec: Object = {"template": inner}
    if kind == "CronJob":
        spec = {"schedule": "@daily", "jobTemplate": {"spec": spec}}
    elif kind == "ReplicationController":
        spec["selector"] = {"app": "asks"}
    elif kind != "Job":
        spec["selector"] = {"matchLabels": {"app": "asks"}}
    if kind == "StatefulSet":
        spec["serviceName"] = "asks"
    group = "v1" if kind == "ReplicationController" else PATHS[kind].split("/namespaces")[0][6:]
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "asks"}, "spec": spec}


def _with_image(container: Object) -> Object:
    return {"image": "gshare-test/busybox:1", **container}


GOOD = {
    "a rectangle": pod(),
    "the smallest and the largest": pod(asking(1, 100)),
    "percents in quotes": pod(asking("12", "40")),
    "a quota limit above the quota": annotated(quota_limit="80"),
    "a quota limit equal to the quota": annotated(quota_limit="40"),
    "a quota request above the container's": annotated(quota_request="60"),
    "a quota limit that a smaller request allows": annotated(quota_request="20", quota_limit="30"),
    "memory": annotated(gpu_mem="1560Mi"),
    "memory as a number": annotated(gpu_mem="2e9"),
    "a model": annotated(model="team-b/vit:v2@1"),
    "a model and its size": annotated(model="shared/vit=2411Mi"),
    "a hook by a preload": annotated(hook="preload"),
    "a hook by a shim": annotated(hook="shim"),
    "side-cars without a GPU": pod(build.container(), {"name": "log"}, init=({"name": "first"},)),
    "no rectangle at all": pod({"name": "web"}),
    "an annotation of a future version": annotated(colour="red"),
}
BAD = {
    "only SMs": (
        pod(asking(12)),
        (
            "gshare: container server: limits: gshare.io/vgpu-quota: is missing: a rectangle needs "
            "both gshare.io/vgpu-sm and gshare.io/vgpu-quota"
        ),
    ),
    "only a quota": (
        pod(asking(quota=40)),
        "gshare: container server: limits: gshare.io/vgpu-sm: is missing",
    ),
    "more SMs than there are": (
        pod(asking(120, 40)),
        (
            "gshare: container server: limits: gshare.io/vgpu-sm: 120: "
            "must be a whole percent from 1 to 100"
        ),
    ),
    "a large quota": (
        pod(asking(12, 20000)),
        (
            "gshare: container server: limits: gshare.io/vgpu-quota: 20k: "
            "must be a whole percent from 1 to 100"
        ),
    ),
    "no SMs": (pod(asking(0, 40)), "gshare: container server: limits: gshare.io/vgpu-sm: 0: must"),
    "the second container": (
        pod({"name": "log"}, asking(12, 400)),
        "gshare: container server: limits: gshare.io/vgpu-quota: 400: must",
    ),
    "two containers that ask": (
        pod(asking(12, 40, "a"), asking(12, 40, "b")),
        "gshare: container b: is the second container that asks for a GPU, beside a: one may",
    ),
    "an init container that asks": (
        pod({"name": "web"}, init=(asking(12, 40, "first"),)),
        (
            "gshare: init container first: limits: gshare.io/vgpu-sm: only a container gets a GPU, "
            "no init container and no restartable sidecar"
        ),
    ),
    "a restartable side-car that asks": (
        pod(init=({**asking(12, 40, "car"), "restartPolicy": "Always"},)),
        "gshare: init container car: limits: gshare.io/vgpu-sm: only a container gets a GPU",
    ),
    "a quota limit below the quota": (
        annotated(quota_limit="30"),
        (
            "gshare: metadata.annotations: gshare.io/quota-limit: 30: "
            "must be at least the 40 of gshare.io/vgpu-quota"
        ),
    ),
    "a quota limit below the request over it": (
        annotated(quota_request="60", quota_limit="50"),
        (
            "gshare: metadata.annotations: gshare.io/quota-limit: 50: "
            "must be at least the 60 of gshare.io/quota-request"
        ),
    ),
    "a quota request of nothing": (
        annotated(quota_request="0"),
        (
            "gshare: metadata.annotations: gshare.io/quota-request: 0: "
            "must be a whole percent from 1 to 100, in digits"
        ),
    ),
    "a quota request in words": (
        annotated(quota_request="more"),
        "gshare.io/quota-request: more: must be a whole percent",
    ),
    "a quota limit above 100": (
        annotated(quota_limit="101"),
        (
            "gshare: metadata.annotations: gshare.io/quota-limit: 101: "
            "must be a whole percent from 1 to 100, in digits"
        ),
    ),
    "a quota limit in words": (annotated(quota_limit="all"), "gshare.io/quota-limit: all: must be"),
    "a quota limit with a fraction": (annotated(quota_limit="80.5"), "80.5: must be a whole"),
    "a model without a key": (annotated(model="=98Mi"), "gshare.io/model: =98Mi: must be KEY or"),
    "a model of a key that is none": (
        annotated(model="resnet 50"),
        "gshare: metadata.annotations: gshare.io/model: resnet 50: must be KEY or KEY=SIZE",
    ),
    "a shared model without a name": (annotated(model="shared/=1Gi"), "shared/=1Gi: must be KEY"),
    "a model of no size": (annotated(model="vit=0"), "gshare.io/model: vit=0: must be KEY"),
    "a model of a size in words": (annotated(model="vit=big"), "gshare.io/model: vit=big: must"),
    "a hook that is none": (
        annotated(hook="audit"),
        "gshare: metadata.annotations: gshare.io/hook: audit: must be preload or shim",
    ),
    "an empty quota limit": (annotated(quota_limit=""), "gshare.io/quota-limit: : must be"),
    "memory in words": (
        annotated(gpu_mem="much"),
        (
            "gshare: metadata.annotations: gshare.io/gpu-mem: much: "
            "must be an amount of memory above 0, such as 1500Mi"
        ),
    ),
    "no memory": (annotated(gpu_mem="0"), "gshare.io/gpu-mem: 0: must be"),
    "less than no memory": (annotated(gpu_mem="-1Gi"), "gshare.io/gpu-mem: -1Gi: must be"),
    "a forged placement": (
        annotated(placement='{"gpu":"GPU-1","sm":100,"quota":100,"memory":1}'),
        (
            "gshare: metadata.annotations: gshare.io/placement: is written by gshare alone, "
            "with the binding: remove it"
        ),
    ),
    "a forged placement without a rectangle": (
        pod({"name": "web"}, annotations={names.ANNOTATION_PLACEMENT: ""}),
        "gshare.io/placement: is written by gshare alone",
    ),
}
# These the API server refuses by itself, for extended resources of any name.
REFUSED_ANYWAY = {
    "half a percent": (pod(asking("0.5", 40)), "must be an integer"),
    "a request apart from the limit": (
        pod(build.container(resources={
            "limits": {names.RESOURCE_SM: 12, names.RESOURCE_QUOTA: 40},
            "requests": {names.RESOURCE_SM: 6, names.RESOURCE_QUOTA: 40},
        })),
        "must be equal to",
    ),
    "a request without a limit": (
        pod(build.container(resources={
            "requests": {names.RESOURCE_SM: 12, names.RESOURCE_QUOTA: 40},
        })),
        "Limit must be set",
    ),
}  # fmt: skip
