"""An autoscaler in this process, against a FakeApiServer and a FakePrometheus."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gshare import names
from gshare.runtime.address import Address
from gshare.runtime.kube import ApiServer
from gshare_autoscaler.doors import DoorSettings
from gshare_autoscaler.service import Service
from gshare_autoscaler.settings import AutoscalerSettings, PrometheusSettings

from .fake_api_server import FakeApiServer
from .fake_prometheus import FakePrometheus

GIB = 2**30
LOOPBACK = Address("127.0.0.1", 0)
SETTINGS = AutoscalerSettings(
    metrics=LOOPBACK,
    doors=DoorSettings(api=None, keda=None),
    interval_s=0.05,
    costs_s=0.05,
    patience_s=0.1,
)
RESNET = {(6, 20): 13.5, (12, 40): 35.0, (24, 40): 37.5, (24, 100): 75.0}
"""Throughput by SM and quota, as the paper has it."""


@contextmanager
def serving(
    api: FakeApiServer, prometheus: FakePrometheus, folder: Path, **changes: Any
) -> Iterator[Service]:
    """Run an autoscaler whose settings are changed by `changes`."""
    asked = PrometheusSettings(
        url=prometheus.url,
        timeout_s=changes.pop("timeout_s", 2.0),
        token_file=changes.pop("token_file", None),
        window="1s",
    )
    settings = dataclasses.replace(SETTINGS, prometheus=asked, **changes)
    service = Service(settings, ApiServer.connect(api.kubeconfig(folder)))
    service.start()
    try:
        yield service
    finally:
        service.stop()


def profile_json(**changes: Any) -> str:
    """Return a profile of ResNet on a V100; p99 is 60 ms everywhere but at 6x20: 200 ms."""
    points = [
        {
            "sm": sm,
            "quota": quota,
            "throughput": rate,
            "latency_ms": {"p50": 20, "p95": 40, "p99": 200 if sm == 6 else 60},
            "memory": GIB,
        }
        for (sm, quota), rate in RESNET.items()
    ]
    whole = {
        "version": 1,
        "function": "resnet",
        "gpu": {"model": "V100", "sms": 80, "memory": 16 * GIB},
        "slo_ms": 69,
        "points": points,
    }
    return json.dumps(whole | changes)


def config_map(
    function: str = "resnet", text: str | None = None, name: str = "", **data: str
) -> dict[str, Any]:
    """Return the ConfigMap of a function's profile; `data` are further keys, "_" for "-"."""
    more = {key.replace("_", "-"): value for key, value in data.items()}
    return {
        "metadata": {
            "name": name or f"{function}-profile",
            "namespace": "team",
            "labels": {names.LABEL_PROFILE: "true", names.LABEL_FUNCTION: function},
        },
        "data": {names.KEY_PROFILE: profile_json() if text is None else text, **more},
    }


def deployment(
    name: str = "resnet-a", sm: int = 12, quota: int = 40, **more: Any
) -> dict[str, Any]:
    """Return a Deployment of the function resnet; `ready` replicas are as many as `replicas`."""
    replicas = more.get("replicas", 1)
    limits = {names.RESOURCE_SM: str(sm), names.RESOURCE_QUOTA: str(quota)}
    container = {"name": "server", "resources": {"limits": more.get("limits", limits)}}
    return {
        "metadata": {
            "name": name,
            "namespace": "team",
            "creationTimestamp": more.get("created", "2026-11-24T10:00:00Z"),
            "labels": {names.LABEL_FUNCTION: more.get("function", "resnet")},
            "annotations": more.get("annotations", {}),
        },
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"annotations": more.get("template_annotations", {})},
                "spec": {"containers": [container]},
            },
        },
        "status": {"replicas": replicas, "readyReplicas": more.get("ready", replicas)},
    }
