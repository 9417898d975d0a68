"""What is read of the API's objects."""

import msgspec
import pytest

from gshare import names
from gshare.errors import InputError
from gshare.runtime.kube.objects import Event, Node, Pod, pod_json
from gshare.workload import pods

POD = {
    "kind": "Pod",
    "metadata": {
        "name": "web",
        "namespace": "team",
        "uid": "u",
        "annotations": {names.ANNOTATION_QUOTA_LIMIT: "80"},
        "managedFields": [{"fieldsV1": {}}],
    },
    "spec": {
        "nodeName": "n",
        "priority": 5,
        "containers": [
            {"name": "side", "image": "x"},
            {
                "name": "main",
                "resources": {
                    "limits": {names.RESOURCE_SM: "12", names.RESOURCE_QUOTA: "40", "cpu": "500m"}
                },
            },
        ],
    },
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {"name": "main", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
        ],
    },
}


def decode(body, kind=Pod):
    return msgspec.json.decode(msgspec.json.encode(body), type=kind)


def test_a_pod_keeps_what_is_used():
    pod = decode(POD)

    assert (pod.spec.node_name, pod.spec.priority) == ("n", 5)
    assert pod.status.container_statuses[0].state.running is not None
    assert not pod.is_ended


def test_what_a_decoded_pod_asks_can_be_read():
    asked = pods.asked(pod_json(decode(POD)))

    assert asked
    assert asked.container == "main"
    assert (asked.shape.sm_percent, asked.shape.quota_limit_percent) == (12, 80)


def test_what_a_decoded_pod_asks_wrongly_is_refused_with_its_name():
    wrong = decode(POD)
    del wrong.spec.containers[1].resources.limits[names.RESOURCE_QUOTA]

    with pytest.raises(InputError, match="pod team/web"):
        pods.asked(pod_json(wrong))


def test_a_bare_pod_has_defaults():
    pod = decode({"metadata": {"name": "a"}})

    assert (pod.spec.containers, pod.metadata.annotations, pod.status.phase) == ([], {}, "")


@pytest.mark.parametrize(
    ("conditions", "is_ready"),
    [
        ([], False),
        ([{"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready", "status": "Unknown"}, {"type": "Other", "status": "True"}], False),
    ],
    ids=["says nothing", "ready", "lost"],
)
def test_a_node_is_ready_where_its_kubelet_says_so(conditions, is_ready):
    node = decode({"metadata": {"name": "n"}, "status": {"conditions": conditions}}, Node)

    assert node.is_ready is is_ready


def test_an_event_knows_when_it_was_last_seen():
    event = decode(
        {
            "metadata": {"name": "e", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "eventTime": "2026-01-01T00:00:01.000000Z",
            "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:02.000000Z"},
        },
        Event,
    )

    assert event.last_time == "2026-01-01T00:00:02.000000Z"
