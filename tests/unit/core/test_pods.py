"""What a live pod asks of a GPU."""

import pytest

from gshare import names
from gshare.errors import InputError
from gshare.models import ModelShare
from gshare.workload.pods import Asked, asked, rectangle
from gshare.workload.values import Shape

LIMITS = {names.RESOURCE_SM: "12", names.RESOURCE_QUOTA: "40"}


def container(name="server", limits=None, requests=None):
    resources = {"limits": LIMITS if limits is None else limits}
    return {"name": name, "resources": resources | ({"requests": requests} if requests else {})}


def pod(*containers, annotations=None, init=()):
    return {
        "metadata": {"name": "p", "namespace": "team", "annotations": annotations or {}},
        "spec": {"containers": list(containers), "initContainers": list(init)},
    }


def refusal(body) -> str:
    with pytest.raises(InputError) as caught:
        asked(body)
    return str(caught.value)


def test_a_pod_asks_through_its_limits():
    assert asked(pod(container())) == Asked("server", Shape(12, 40, 100))


def test_annotations_say_how_far_it_may_borrow_and_how_much_memory_it_gets():
    annotations = {names.ANNOTATION_QUOTA_LIMIT: "80", names.ANNOTATION_GPU_MEM: "1500Mi"}

    answer = asked(pod(container(), annotations=annotations))

    assert answer == Asked("server", Shape(12, 40, 80, 1500 * 2**20))


def test_an_annotation_announces_the_model():
    annotations = {names.ANNOTATION_MODEL: "shared/bert=5"}

    answer = asked(pod(container(), annotations=annotations))

    assert answer == Asked("server", Shape(12, 40, 100, None, ModelShare("shared/bert", 5)))


def test_a_model_that_is_none_is_refused_by_its_annotation():
    said = refusal(pod(container(), annotations={names.ANNOTATION_MODEL: "bert=0"}))

    assert said.startswith("pod team/p: Pod metadata.annotations[gshare.io/model]: 'bert=0': the ")


def test_a_pod_that_names_neither_resource_asks_nothing():
    assert asked(pod(container(limits={"cpu": "1"}))) is None


def test_containers_beside_the_one_that_asks_are_no_matter():
    beside = {"name": "sidecar"}

    answer = asked(pod(beside, container(), init=[beside]))

    assert answer is not None
    assert answer.container == "server"


def test_the_default_requests_of_the_api_server_are_taken():
    assert asked(pod(container(requests=LIMITS))) is not None


def test_one_resource_alone_is_refused():
    text = refusal(pod(container(limits={names.RESOURCE_SM: "12"})))

    assert text.startswith("pod team/p: ")
    assert "a rectangle needs both" in text


def test_a_second_container_that_asks_is_refused():
    text = refusal(pod(container("one"), container("two")))

    assert "'two': is the second container of this pod that asks for a GPU" in text


def test_an_init_container_that_asks_is_refused():
    text = refusal(pod(container(), init=[container("prepare")]))

    assert "'prepare': is an init container: only a container gets a GPU" in text


def test_an_annotation_that_says_nothing_sensible_is_refused():
    text = refusal(pod(container(), annotations={names.ANNOTATION_QUOTA_LIMIT: "30"}))

    assert "must be at least the 40" in text


def test_a_pod_without_a_name_is_called_pod():
    body = {"spec": pod(container(limits={names.RESOURCE_SM: "0"}))["spec"]}

    assert refusal(body).startswith("pod: ")


def test_a_quota_limit_may_be_as_low_as_the_quota_request_over_the_containers():
    annotations = {names.ANNOTATION_QUOTA_REQUEST: "20", names.ANNOTATION_QUOTA_LIMIT: "30"}

    answer = asked(pod(container(), annotations=annotations))

    assert answer == Asked("server", Shape(12, 40, 30))


def test_a_quota_request_that_says_nothing_sensible_is_refused():
    text = refusal(pod(container(), annotations={names.ANNOTATION_QUOTA_REQUEST: "0"}))

    assert f"[{names.ANNOTATION_QUOTA_REQUEST}]: '0': must be a whole percent" in text


def test_a_pods_rectangle_is_its_containers_alone():
    annotations = {names.ANNOTATION_QUOTA_LIMIT: "much"}

    answer = rectangle(pod(container(), annotations=annotations))

    assert answer == Asked("server", Shape(12, 40, 100))
