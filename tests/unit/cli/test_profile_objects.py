"""The objects of a trial on a cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gshare import names
from gshare.workload import Shape
from gshare_cli import profile_objects, profile_subject, up

EXAMPLE = Path(__file__).parents[3] / "examples" / "paper" / "resnet.yaml"
SHAPE = Shape(6, 20, 20, 16 * 2**30)


def body() -> dict[str, Any]:
    found: dict[str, Any] = next(iter(yaml.safe_load_all(EXAMPLE.read_text())))
    return found


def job(written: dict[str, Any] | None = None, nodes: tuple[str, ...] = ()) -> dict[str, Any]:
    function = profile_subject.choose(EXAMPLE, up.read(EXAMPLE), None).function
    return profile_objects.job(written or body(), function, SHAPE, nodes, 900)


def pod_of(found: dict[str, Any]) -> dict[str, Any]:
    template: dict[str, Any] = found["spec"]["template"]
    return template


def test_a_trial_has_the_shape_and_its_quota_as_the_limit() -> None:
    (container,) = pod_of(job())["spec"]["containers"]
    annotations = pod_of(job())["metadata"]["annotations"]

    assert container["resources"]["limits"] == {
        names.RESOURCE_SM: "6",
        names.RESOURCE_QUOTA: "20",
    }
    assert annotations[names.ANNOTATION_QUOTA_LIMIT] == "20"


def test_a_trial_asks_for_all_memory_of_a_gpu() -> None:
    annotations = pod_of(job())["metadata"]["annotations"]

    assert annotations[names.ANNOTATION_GPU_MEM] == str(16 * 2**30)


def test_no_service_and_nobody_who_counts_replicas_sees_a_trial() -> None:
    labels = pod_of(job())["metadata"]["labels"]

    assert labels == {profile_objects.LABEL_TRIAL: "resnet-trial-6-20"}


def test_a_trial_ends_by_itself_and_is_not_made_again() -> None:
    spec = job()["spec"]

    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 900)
    assert pod_of(job())["spec"]["restartPolicy"] == "Never"
    assert spec["ttlSecondsAfterFinished"] > 0


def test_the_rest_of_the_pod_is_the_functions_own() -> None:
    written = body()
    written["spec"]["template"]["spec"] |= {
        "serviceAccountName": "models",
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
    }
    written["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_QUOTA_REQUEST] = "90"
    before = yaml.safe_dump(written)

    made = pod_of(job(written))

    assert made["spec"]["serviceAccountName"] == "models"
    assert made["spec"]["containers"][0]["command"] == ["gshare-example-server", "--model=resnet50"]
    assert names.ANNOTATION_QUOTA_REQUEST not in made["metadata"]["annotations"]
    assert yaml.safe_dump(written) == before


def test_a_trial_keeps_to_the_nodes_of_its_model_and_to_its_own_affinity() -> None:
    written = body()
    own = {"key": "zone", "operator": "In", "values": ["a"]}
    written["spec"]["template"]["spec"]["affinity"] = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [own]}]
            }
        }
    }

    affinity = pod_of(job(written, nodes=("n1", "n2")))["spec"]["affinity"]["nodeAffinity"]

    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        own,
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1", "n2"]},
    ]


def test_the_load_goes_with_its_trial_and_tolerates_what_the_function_does() -> None:
    trial = {"metadata": {"name": "resnet-trial-6-20", "uid": "u1"}}
    like = {"tolerations": [{"key": "gpu"}], "nodeSelector": {"gpu": "yes"}}

    pod = profile_objects.load_pod(trial, "gshare/profiler:0.1.0", ["PLAN", "URL"], like)

    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Job", "u1")
    assert pod["spec"]["containers"][0]["args"] == ["PLAN", "URL"]
    assert pod["spec"]["tolerations"] == [{"key": "gpu"}]
    assert "nodeSelector" not in pod["spec"]
    assert names.RESOURCE_SM not in str(pod)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("resnet", "resnet-trial-100-100"),
        ("Res.Net_50", "res-net-50-trial-100-100"),
        ("x" * 80, "x" * 43 + "-trial-100-100"),
    ],
    ids=["plain", "odd letters", "long"],
)
def test_a_name_is_one_that_the_cluster_takes(function: str, name: str) -> None:
    assert profile_objects.job_name(function, 100, 100) == name
