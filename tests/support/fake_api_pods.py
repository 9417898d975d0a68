"""Bindings and evictions of a FakeApiServer, as far as gshare depends on them."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from .fake_api_state import FakeApiState, Object
from .fake_api_troubles import Answer

GRACE_S = 30


def bind(fake: FakeApiState, namespace: str, name: str, binding: Object) -> Answer | Object:
    """Bind a pod and merge the binding's annotations, at once, as the real one does."""
    with fake.writing():
        pod = fake.find("pods", namespace, name)
        if pod is None:
            return Answer(404, "NotFound", f'pods "{name}" not found')
        uid = binding["metadata"].get("uid")
        if uid and uid != pod["metadata"]["uid"]:
            return Answer(409, "Conflict", f"Precondition failed: UID in precondition: {uid}")
        if pod["spec"].get("nodeName"):
            text = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            return Answer(409, "Conflict", text)
        bound = json.loads(json.dumps(pod))
        bound["spec"]["nodeName"] = binding["target"]["name"]
        annotations = bound["metadata"].setdefault("annotations", {})
        annotations |= binding["metadata"].get("annotations", {})
        fake.put("pods", bound)
    return {"kind": "Status", "status": "Success", "metadata": {}}


def evict(
    fake: FakeApiState, namespace: str, name: str, params: Mapping[str, str], eviction: Object
) -> Answer | Object:
    """Begin a pod's grace period, unless it is guarded; the test has it go by `drop`."""
    with fake.writing():
        pod = fake.find("pods", namespace, name)
        if pod is None:
            return Answer(404, "NotFound", f'pods "{name}" not found')
        wanted = eviction.get("deleteOptions", {}).get("preconditions", {}).get("uid")
        if wanted not in {None, pod["metadata"]["uid"]}:
            return Answer(409, "Conflict", "Precondition failed: UID in precondition")
        if name in fake.guarded:
            return Answer(429, "TooManyRequests", "Cannot evict pod: its disruption budget")
        if "dryRun" not in params:
            leaving: dict[str, Any] = json.loads(json.dumps(pod))
            ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=GRACE_S + fake.clock_ahead_s)
            leaving["metadata"]["deletionTimestamp"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
            fake.put("pods", leaving)
    return {"kind": "Status", "status": "Success", "metadata": {}}
