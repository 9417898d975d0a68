"""Writes the HorizontalPodAutoscaler of one Deployment: it sets exactly what gshare answers.

An Object metric with the target AverageValue 1 makes the wanted count ceil(metric), whatever runs.
HPA's own caution is switched off, since the autoscaler has taken it already, knowing the whole
function: its tolerance of 10 % would swallow one replica more or less from 11 up, and its windows
would let a shape go before the one that replaces it is ready.
Field `tolerance`: beta in Kubernetes 1.35. `minReplicas: 0`: beta, and on, in 1.37.
"""

from typing import Final

from gshare import names

from .deployments import Written
from .plain import Object

_MOST_AT_ONCE: Final = 1000
_EXACTLY: Final = {
    "stabilizationWindowSeconds": 0,
    "tolerance": "0",
    "selectPolicy": "Max",
    "policies": [{"type": "Pods", "value": _MOST_AT_ONCE, "periodSeconds": 1}],
}


def autoscaler(written: Written) -> Object:
    """Return the HPA of a Deployment, of the same name, between its bounds."""
    metadata = written.deployment["metadata"]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": written.name}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": written.name,
            **({"namespace": metadata["namespace"]} if metadata.get("namespace") else {}),
            "labels": {names.LABEL_FUNCTION: metadata["labels"][names.LABEL_FUNCTION]},
        },
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": written.least,
            "maxReplicas": written.most,
            "metrics": [
                {
                    "type": "Object",
                    "object": {
                        "describedObject": target,
                        "metric": {"name": names.METRIC_DESIRED_REPLICAS},
                        "target": {"type": "AverageValue", "averageValue": "1"},
                    },
                }
            ],
            "behavior": {"scaleUp": dict(_EXACTLY), "scaleDown": dict(_EXACTLY)},
        },
    }
