"""What FaSTPods of FaST-GShare become."""

import pytest
import yaml
from tests.support.manifests import ABSENT, changed, deployment, service, text

from gshare import names, rendering, workload
from gshare.errors import InputError
from gshare.workload import Shape

POD = ("spec", "podSpec")
ANNOTATIONS = ("metadata", "annotations")
NEW = {
    "fastgshare/gpu_quota_request": "0.3",
    "fastgshare/gpu_quota_limit": "0.4",
    "fastgshare/gpu_sm_partition": "30",
    "fastgshare/gpu_mem": "4700000000",
}
OF_THE_SLIDES = {
    "faasshare/quota_request": "0.3",
    "faasshare/quota_limit": "0.4",
    "faasshare/sm_partition": "30",
    "faasshare/gpu_mem": "4700000000",
}


def fastpod(name="resnet", annotations=None, **container):
    return {
        "apiVersion": "fastgshare.caps.in.tum/v1",
        "kind": "FaSTPod",
        "metadata": {"name": name, "annotations": dict(annotations or NEW)},
        "spec": {
            "replicas": 2,
            "podSpec": {"containers": [{"name": "server", "command": ["serve"], **container}]},
        },
    }


def converted(*documents):
    return rendering.convert("app.yaml", text(*documents))


def deployed(document):
    return converted(document).objects[0]


def notes_of(document):
    return {
        note.field.removeprefix("FaSTPod/resnet "): note.text for note in converted(document).notes
    }


@pytest.mark.parametrize(
    ("version", "annotations"),
    [
        pytest.param("fastgshare.caps.in.tum/v1", NEW, id="of the code"),
        pytest.param("faasshare.com/v1", OF_THE_SLIDES, id="of the slides"),
    ],
)
def test_a_fastpod_becomes_a_deployment_with_its_rectangle(version, annotations):
    document = fastpod(annotations=annotations) | {"apiVersion": version}

    written = rendering.write(converted(document).objects)

    function = workload.parse("out.yaml", written).functions[0]
    assert function.shape == Shape(30, 30, 40, 4_700_000_000)
    assert function.replicas == 2
    assert function.family == "resnet"


def test_without_limit_and_memory_their_defaults_count():
    document = changed(fastpod(), (*ANNOTATIONS, "fastgshare/gpu_quota_limit"), ABSENT)
    document = changed(document, (*ANNOTATIONS, "fastgshare/gpu_mem"), ABSENT)

    template = deployed(document)["spec"]["template"]

    assert template["metadata"]["annotations"] == {}


@pytest.mark.parametrize(
    ("part", "percent"),
    [
        ("1", 100),
        ("1.0", 100),
        (".5", 50),
        (0.07, 7),
        ("0.29", 29),
        (1, 100),
        ("0.125", 13),
        ("0.001", 1),
    ],
)
def test_a_part_of_the_time_becomes_the_next_whole_percent(part, percent):
    document = changed(fastpod(), (*ANNOTATIONS, "fastgshare/gpu_quota_limit"), "1.0")
    document = changed(document, (*ANNOTATIONS, "fastgshare/gpu_quota_request"), part)

    limits = deployed(document)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]

    assert limits[names.RESOURCE_QUOTA] == percent


def test_what_was_rounded_is_said():
    document = changed(fastpod(), (*ANNOTATIONS, "fastgshare/gpu_quota_request"), "0.125")

    assert notes_of(document) == {
        "metadata.annotations[fastgshare/gpu_quota_request]": (
            "0.125 of the time became 13 %, the next whole percent"
        )
    }


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        pytest.param("gpu_quota_request", "40", "at most 1, such as 0.4", id="percent for a part"),
        pytest.param("gpu_quota_request", "0", "above 0", id="no time"),
        pytest.param("gpu_quota_request", "-0.1", "above 0", id="less than no time"),
        pytest.param("gpu_quota_request", "nan", "above 0", id="not a number"),
        pytest.param("gpu_quota_request", "snan", "above 0", id="signalling not a number"),
        pytest.param("gpu_quota_request", "inf", "at most 1", id="infinity"),
        pytest.param("gpu_quota_request", True, "above 0", id="boolean"),
        pytest.param("gpu_quota_request", ABSENT, "is missing", id="no request"),
        pytest.param("gpu_quota_limit", "0.2", "at least the quota request, 0.3", id="low limit"),
        pytest.param("gpu_quota_limit", "1.2", "at most 1", id="limit above the window"),
        pytest.param("gpu_sm_partition", ABSENT, "is missing", id="no SM partition"),
        pytest.param("gpu_sm_partition", "0", "from 1 to 100", id="no SMs"),
        pytest.param("gpu_sm_partition", "0.3", "not a fraction", id="SMs as a part"),
        pytest.param("gpu_mem", "lots", "amount of memory", id="memory that is no quantity"),
        pytest.param("gpu_mem", "0", "above 0", id="no memory"),
    ],
)
def test_wrong_annotations_are_refused(key, value, problem):
    document = changed(fastpod(), (*ANNOTATIONS, f"fastgshare/{key}"), value)

    with pytest.raises(InputError) as caught:
        converted(document)

    assert caught.value.field == f"FaSTPod/resnet metadata.annotations[fastgshare/{key}]"
    assert problem in caught.value.problem
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named_as_the_file_names_the_rest():
    document = fastpod(annotations=OF_THE_SLIDES)
    document = changed(document, (*ANNOTATIONS, "faasshare/sm_partition"), ABSENT)

    with pytest.raises(InputError, match=r"annotations\[faasshare/sm_partition\]"):
        converted(document)


def test_one_term_said_twice_is_refused():
    document = fastpod(annotations=NEW | {"faasshare/quota_limit": "0.5"})

    with pytest.raises(InputError, match=r"says again what .*fastgshare/gpu_quota_limit"):
        converted(document)


def test_pins_to_a_node_or_gpu_are_left_out_with_a_note():
    pins = {"hasfunc/sched_node": "kgpu3", "fastgshare/vgpu_id": "a1", "has-gpu/batch_size": "2"}
    document = fastpod(annotations=NEW | pins | {"team": "vision"})

    written = deployed(document)

    assert written["metadata"]["annotations"] == {"team": "vision"}
    assert written["spec"]["template"]["metadata"]["annotations"]["team"] == "vision"
    assert set(notes_of(document)) == {f"metadata.annotations[{key}]" for key in pins}


def test_what_only_a_bare_pod_may_say_is_left_out_with_a_note():
    said = {"nodeName": "kgpu3", "hostIPC": True, "restartPolicy": "Never"}
    document = changed(fastpod(), POD, fastpod()["spec"]["podSpec"] | said)

    pod = deployed(document)["spec"]["template"]["spec"]

    assert not said.keys() & pod.keys()
    assert set(notes_of(document)) == {f"spec.podSpec.{key}" for key in said}


def test_what_a_deployment_says_anyway_needs_no_note():
    said = {"restartPolicy": "Always", "hostIPC": False}
    document = changed(fastpod(), POD, fastpod()["spec"]["podSpec"] | said)

    assert notes_of(document) == {}


def test_settings_of_mps_and_whole_gpus_are_left_out_with_a_note():
    environment = [{"name": names.ENV_MPS_PERCENTAGE, "value": "60"}, {"name": "A", "value": "1"}]
    limits = {"nvidia.com/gpu": 1, "cpu": 2}
    document = fastpod(env=environment, resources={"limits": limits})

    container = deployed(document)["spec"]["template"]["spec"]["containers"][0]

    assert container["env"] == [{"name": "A", "value": "1"}]
    assert container["resources"]["limits"] == {
        "cpu": 2,
        names.RESOURCE_SM: 30,
        names.RESOURCE_QUOTA: 30,
    }
    assert len(notes_of(document)) == 2


@pytest.mark.parametrize("resources", [None, {}, {"limits": None}])
def test_empty_resources_get_the_rectangle(resources):
    container = deployed(fastpod(resources=resources))["spec"]["template"]["spec"]["containers"][0]

    assert container["resources"]["limits"] == {names.RESOURCE_SM: 30, names.RESOURCE_QUOTA: 30}


def test_the_first_container_gets_the_rectangle_and_the_others_a_note():
    document = changed(fastpod(), (*POD, "containers"), [{"name": "one"}, {"name": "two"}])

    first, second = deployed(document)["spec"]["template"]["spec"]["containers"]

    assert names.RESOURCE_SM in first["resources"]["limits"]
    assert second == {"name": "two"}
    assert set(notes_of(document)) == {"spec.podSpec.containers[1].name"}


def test_pods_keep_the_labels_that_services_find_them_by():
    document = changed(fastpod(), ("metadata", "labels"), {"faas_function": "vision", "app": "v"})
    document = changed(document, ("spec", "selector"), {"matchLabels": {"tier": "gpu"}})

    written = deployed(document)

    labels = written["spec"]["template"]["metadata"]["labels"]
    assert labels == {
        "app": "v",
        "controller": "resnet",
        "fast_function": "resnet",
        "tier": "gpu",
        "faas_function": "vision",
        names.LABEL_FUNCTION: "vision",
    }
    assert written["metadata"]["labels"][names.LABEL_FUNCTION] == "vision"


@pytest.mark.parametrize(
    ("replicas", "least", "wanted"),
    [(None, "3", 3), (1, "3", 3), (5, "3", 5), (0, "3", 0), (2, "many", 2), (2, None, 2)],
)
def test_the_least_replicas_of_openfaas_count_unless_there_are_none(replicas, least, wanted):
    document = changed(fastpod(), ("spec", "replicas"), replicas)
    if least:
        document = changed(document, ("metadata", "labels"), {"com.openfaas.scale.min": least})

    assert deployed(document)["spec"]["replicas"] == wanted


def test_what_the_cluster_added_is_left_out_silently():
    document = changed(fastpod(), ("metadata", "uid"), "1-2-3")
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    document = changed(document, (*ANNOTATIONS, applied), "{}") | {"status": {"replicas": 2}}

    written = deployed(document)

    assert written["metadata"] == {"name": "resnet", "labels": {names.LABEL_FUNCTION: "resnet"}}
    assert "status" not in written
    assert notes_of(document) == {}


def test_all_other_objects_stay_as_they_are():
    others = [service(), deployment("bert")]

    assert list(converted(fastpod(), *others).objects[1:]) == others


def test_a_function_without_a_rectangle_is_named():
    function = {"kind": "FaSTFunc", "metadata": {"name": "bert"}}

    conversion = converted(fastpod(), function)

    assert len(conversion.objects) == 1
    assert str(conversion.notes[0]).startswith("app.yaml: FaSTFunc/bert: left out")


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        pytest.param(("spec",), ABSENT, "spec.podSpec.containers", "a container", id="no spec"),
        pytest.param(("spec", "replicas"), -1, "spec.replicas", "0 or more", id="replicas"),
        pytest.param(
            (*POD, "containers"), ["x"], "spec.podSpec.containers[0]", "a mapping", id="container"
        ),
        pytest.param((*POD, "x"), b"\1", "spec.podSpec.x", "must be a text", id="bytes"),
        pytest.param((*POD, "x"), float("inf"), "spec.podSpec.x", "a number", id="infinity"),
        pytest.param((*POD, "x"), [0] * 60_000, "spec.podSpec", "more than 50000", id="endless"),
    ],
)
def test_a_wrong_fastpod_is_refused(path, value, field, problem):
    with pytest.raises(InputError) as caught:
        converted(changed(fastpod(), path, value))

    assert caught.value.field == f"FaSTPod/resnet {field}"
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    "name", [pytest.param("X", id="capital"), pytest.param("x" * 64, id="long")]
)
def test_a_name_that_no_label_can_hold_is_refused(name):
    with pytest.raises(InputError) as caught:
        converted(fastpod(name))

    assert caught.value.field == f"FaSTPod/{name} metadata.name"
    assert "at most 63 lower-case" in caught.value.problem


def test_a_list_that_holds_itself_is_refused():
    file = text(fastpod()).replace("replicas: 2", "podSpecs: &a [*a]")
    file = file.replace("podSpec:", "podSpec:\n    x: &b [*b]\n")

    with pytest.raises(InputError, match="inside each other"):
        rendering.convert("app.yaml", file)


def test_a_file_without_a_fastpod_is_refused():
    with pytest.raises(InputError, match=r"app\.yaml: kind: 'Service': holds no FaSTPod"):
        converted(service())


@pytest.mark.parametrize(
    "word", ["1e3", "0o17", "yes", "y", "12:30", "~", "0.5", "a: b", "a\nb", ""]
)
def test_texts_stay_texts_for_every_reader(word):
    written = rendering.write([{"annotations": {"key": word}}])

    assert yaml.safe_load(written) == {"annotations": {"key": word}}
    assert f": {word}\n" not in written
