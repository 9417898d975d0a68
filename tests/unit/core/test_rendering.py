"""What `gshare render` writes: Deployments by shape, HPAs, Service, the profile's ConfigMap."""

import math
from dataclasses import replace

import pytest
import yaml
from tests.support.manifests import ABSENT, changed, container, deployment, service, text
from tests.support.profiles import resnet as profile

from gshare import names, rendering, scaling, workload
from gshare import profile as profiles
from gshare.errors import InputError
from gshare.rendering import Aim, Load
from gshare.scaling import NoShapeError, Shape

THIN, WIDE = Shape(12, 40), Shape(24, 80)
TEMPLATE = ("spec", "template", "metadata")
LABELLED = changed(deployment(), ("metadata", "labels"), {names.LABEL_FUNCTION: "resnet"})


def rendered(*documents, found=None, **aim):
    template = rendering.read_template("app.yaml", text(*(documents or [LABELLED])))
    chosen = {} if {"shapes", "load"} & aim.keys() else {"shapes": (THIN, WIDE)}
    return rendering.bundle(template, found, Aim(**(chosen | aim)))


def objects(bundle, kind):
    return [each for each in bundle.objects if each["kind"] == kind]


def functions(bundle):
    return workload.parse("out.yaml", rendering.write(bundle.objects)).functions


def test_each_shape_gets_a_deployment_of_the_function():
    found = functions(rendered())

    assert [each.name for each in found] == ["resnet-s12-q40", "resnet-s24-q80"]
    assert [each.shape.sm_percent for each in found] == [12, 24]
    assert [each.shape.quota_request_percent for each in found] == [40, 80]
    assert {each.family for each in found} == {"resnet"}


def test_no_deployment_selects_the_pods_of_another():
    first, second = objects(rendered(), "Deployment")

    selector = first["spec"]["selector"]["matchLabels"]
    labels = second["spec"]["template"]["metadata"]["labels"]
    assert not selector.items() <= labels.items()
    assert labels.items() >= second["spec"]["selector"]["matchLabels"].items()


def test_a_deployment_leaves_its_replicas_to_its_hpa():
    assert all("replicas" not in each["spec"] for each in objects(rendered(), "Deployment"))


def test_an_hpa_sets_exactly_what_is_answered_for_its_deployment():
    for written, hpa in zip(
        objects(rendered(), "Deployment"),
        objects(rendered(), "HorizontalPodAutoscaler"),
        strict=True,
    ):
        target = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": written["metadata"]["name"],
        }
        metric = hpa["spec"]["metrics"][0]["object"]
        assert hpa["spec"]["scaleTargetRef"] == target == metric["describedObject"]
        assert metric["metric"] == {"name": "gshare_desired_replicas"}
        assert metric["target"] == {"type": "AverageValue", "averageValue": "1"}
        for way in hpa["spec"]["behavior"].values():
            assert (way["tolerance"], way["stabilizationWindowSeconds"]) == ("0", 0)


@pytest.mark.parametrize(
    ("keep", "least"),
    [
        pytest.param("one", [1, 0], id="one replica of the cheapest shape"),
        pytest.param("none", [0, 0], id="none"),
        pytest.param("each", [1, 1], id="one of each shape"),
    ],
)
def test_what_stays_at_no_load_is_the_users_choice(keep, least):
    hpas = objects(rendered(keep=keep), "HorizontalPodAutoscaler")

    assert [hpa["spec"]["minReplicas"] for hpa in hpas] == least


@pytest.mark.parametrize(
    ("query", "shapes", "least"),
    [
        pytest.param(ABSENT, (THIN, WIDE), [0, 0], id="the autoscaler keeps one of two"),
        pytest.param("gshare", (THIN, WIDE), [0, 0], id="the same, by name"),
        pytest.param("openfaas", (THIN, WIDE), [1, 0], id="the autoscaler keeps none"),
        pytest.param(ABSENT, (THIN,), [1], id="there is but one"),
    ],
)
def test_with_a_profile_an_hpa_keeps_a_replica_only_where_the_autoscaler_does_not(
    query, shapes, least
):
    annotated = changed(LABELLED, ("metadata", "annotations"), {names.ANNOTATION_RATE_QUERY: query})
    document = LABELLED if query is ABSENT else annotated

    bundle = rendered(document, found=profile(), shapes=shapes, keep="one")

    hpas = objects(bundle, "HorizontalPodAutoscaler")
    assert [hpa["spec"]["minReplicas"] for hpa in hpas] == least


def test_what_the_user_wrote_stays():
    document = deployment("vision", container(env=[{"name": "A", "value": "1"}]), hook="shim")
    document = changed(document, ("metadata", "annotations"), {"team": "vision"})
    document = changed(document, ("metadata", "namespace"), "prod")
    document = changed(document, ("spec", "strategy"), {"type": "Recreate"})

    bundle = rendered(document)

    written = objects(bundle, "Deployment")[0]
    assert written["metadata"]["annotations"] == {"team": "vision"}
    assert written["spec"]["strategy"] == {"type": "Recreate"}
    assert written["spec"]["template"]["metadata"]["annotations"] == {names.ANNOTATION_HOOK: "shim"}
    assert written["spec"]["template"]["spec"]["containers"][0]["env"][0]["name"] == "A"
    assert {each["metadata"]["namespace"] for each in bundle.objects} == {"prod"}


def test_what_the_cluster_wrote_goes():
    document = changed(LABELLED, ("metadata", "uid"), "1-2-3") | {"status": {"replicas": 1}}
    revision = "deployment.kubernetes.io/revision"
    document = changed(document, ("metadata", "annotations"), {revision: "4"})

    written = objects(rendered(document), "Deployment")[0]

    assert "status" not in written
    assert written["metadata"].keys() == {"name", "labels", "annotations"}
    assert written["metadata"]["annotations"] == {}


def test_a_shape_in_the_name_is_replaced():
    document = changed(LABELLED, ("metadata", "name"), "resnet-s6-q20")

    assert objects(rendered(document), "Deployment")[0]["metadata"]["name"] == "resnet-s12-q40"


@pytest.mark.parametrize(
    ("limit", "limits"),
    [
        pytest.param("60", [60, 80], id="raised where a request is above it"),
        pytest.param("100", [100, 100], id="kept"),
    ],
)
def test_a_quota_limit_holds_for_every_shape(limit, limits):
    found = functions(rendered(deployment(quota_limit=limit)))

    assert [each.shape.quota_limit_percent for each in found] == limits


def test_a_live_quota_request_of_one_shape_is_left_out():
    found = functions(rendered(deployment(quota_request="50")))

    assert [each.shape.quota_request_percent for each in found] == [40, 80]


def test_a_deployment_without_limits_gets_them_on_its_only_container():
    document = deployment("resnet", {"name": "server", "command": ["serve"]})

    assert [each.shape.sm_percent for each in functions(rendered(document))] == [12, 24]


def test_requests_that_stood_beside_the_limits_go():
    both = {names.RESOURCE_SM: 50, names.RESOURCE_QUOTA: 50}
    resources = {"limits": both | {"cpu": 2}, "requests": both | {"cpu": 1}}

    found = objects(rendered(deployment("resnet", container(resources=resources))), "Deployment")[0]

    written = found["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert written["requests"] == {"cpu": 1}
    assert written["limits"] == {"cpu": 2, names.RESOURCE_SM: 12, names.RESOURCE_QUOTA: 40}


def test_pods_without_a_declared_port_get_no_service():
    assert objects(rendered(), "Service") == []


@pytest.mark.parametrize(
    ("ports", "written"),
    [
        pytest.param(
            [{"containerPort": 8080, "name": "http"}],
            [{"name": "http", "port": 80, "targetPort": "http"}],
            id="one with a name",
        ),
        pytest.param(
            [{"containerPort": 8080}], [{"port": 80, "targetPort": 8080}], id="one without"
        ),
        pytest.param(
            [{"containerPort": 8080}, {"containerPort": 9000, "protocol": "UDP"}],
            [
                {"name": "port-8080", "port": 8080, "targetPort": 8080},
                {"name": "port-9000", "port": 9000, "targetPort": 9000, "protocol": "UDP"},
            ],
            id="two",
        ),
    ],
)
def test_declared_ports_get_a_service_over_all_shapes(ports, written):
    bundle = rendered(deployment("resnet", container(ports=ports)))

    (found,) = objects(bundle, "Service")

    assert found["spec"] == {"selector": {names.LABEL_FUNCTION: "resnet"}, "ports": written}


def test_a_service_of_the_file_that_picks_the_pods_is_enough():
    document = deployment("resnet", container(ports=[{"containerPort": 8080}]))

    assert objects(rendered(document, service()), "Service") == [service()]


def test_a_service_for_other_pods_is_not():
    document = deployment("resnet", container(ports=[{"containerPort": 8080}]))
    other = service("bert")

    assert [each["metadata"]["name"] for each in objects(rendered(document, other), "Service")] == [
        "bert",
        "resnet",
    ]


def test_the_profile_goes_along_where_the_autoscaler_finds_it():
    found = profile()

    (written,) = objects(rendered(found=found), "ConfigMap")

    assert written["metadata"]["name"] == "resnet-v100-profile"
    assert written["metadata"]["labels"] == {
        "gshare.io/function": "resnet",
        "gshare.io/profile": "true",
    }
    assert profiles.read(written["data"]["profile.json"], "it") == found


def test_the_shapes_of_a_load_are_the_cheapest_two():
    found = profile()
    load = Load(10, 200)

    bundle = rendered(deployment(gpu_mem="1525Mi"), found=found, load=load, slo_ms=69)

    best = min(
        mean_cost([first, second], load)
        for first in scaling.options(found, None, 69)
        for second in scaling.options(found, None, 69)
    )
    assert bundle.chosen.cost == pytest.approx(best)
    assert bundle.chosen.cost >= bundle.chosen.cost_of_all


def mean_cost(options, load):
    rates = load.planned_rps(scaling.ControllerSettings().headroom)
    return math.fsum(scaling.plan("exact", options, rate).cost for rate in rates) / len(rates)


def test_a_load_that_one_shape_serves_cheapest_gets_one():
    bundle = rendered(found=profile(), load=Load(1, 2), slo_ms=69)

    assert len(bundle.written) == 1


def test_no_shape_over_the_objective_is_chosen():
    bundle = rendered(found=profile(), load=Load(10, 200), slo_ms=50)

    assert all(option.p99_ms <= 50 for option in bundle.chosen.options)


@pytest.mark.parametrize(
    ("option", "deployment_", "profile_", "written"),
    [
        pytest.param(69, None, None, "69ms", id="the option's"),
        pytest.param(None, "1.5s", 80, "1500ms", id="the Deployment's"),
        pytest.param(None, None, 80, "80ms", id="the profile's"),
        pytest.param(None, None, None, None, id="none"),
    ],
)
def test_the_objective_stands_on_the_deployments(option, deployment_, profile_, written):
    document = LABELLED
    if deployment_:
        document = changed(
            document, ("metadata", "annotations"), {names.ANNOTATION_SLO: deployment_}
        )

    bundle = rendered(document, found=profile(slo_ms=profile_), slo_ms=option)

    for each in objects(bundle, "Deployment"):
        assert each["metadata"]["annotations"].get(names.ANNOTATION_SLO) == written


def test_a_policy_other_than_the_default_stands_on_the_deployments():
    found = objects(rendered(found=profile(), policy="rpr"), "Deployment")[0]

    assert found["metadata"]["annotations"][names.ANNOTATION_SCALING_POLICY] == "rpr"


def test_replicas_reserve_the_profiles_peak_and_a_tenth():
    found = functions(rendered(found=profile()))

    assert {each.shape.memory_bytes for each in found} == {1678 * 2**20}


def test_memory_that_the_user_wrote_stays():
    bundle = rendered(deployment(gpu_mem="2Gi"), found=profile())

    assert {each.shape.memory_bytes for each in functions(bundle)} == {2 * 2**30}
    assert all(option.cost >= 2 / 16 for option in bundle.chosen.options)


def test_an_hpa_may_grow_to_twice_the_load_by_its_shape_alone():
    bundle = rendered(found=profile(), load=Load(10, 100), slo_ms=69)

    for option, written in zip(bundle.chosen.options, bundle.written, strict=True):
        assert written.most == math.ceil(2 * 125 / option.throughput_rps)


def test_quota_limits_are_sized_for_a_burst():
    bundle = rendered(found=profile(), load=Load(50, 100), slo_ms=69, peak_rps=140)

    used = scaling.plan("exact", bundle.chosen.options, 125).counts
    for found in functions(bundle):
        shape = Shape(found.shape.sm_percent, found.shape.quota_request_percent)
        is_sized = shape.quota_percent < found.shape.quota_limit_percent < 100
        assert is_sized or shape not in used or shape.quota_percent >= 80


def test_a_shape_over_the_objective_is_refused():
    with pytest.raises(InputError, match=r"--shape: '6x20': has a p99 of .* over the SLO of 60 ms"):
        rendered(found=profile(), shapes=(Shape(6, 20), Shape(24, 100)), slo_ms=60)


def test_an_objective_that_no_shape_keeps_names_the_nearest():
    with pytest.raises(NoShapeError, match="the nearest is 24x100"):
        rendered(found=profile(), load=Load(1, 10), slo_ms=5)


def test_a_profile_of_another_function_is_refused():
    with pytest.raises(InputError, match="this function 'resnet', and the profile is of 'bert'"):
        rendered(found=replace(profile(), function="bert"))


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        pytest.param(("apiVersion",), "v1", "apiVersion", "apps/v1", id="version"),
        pytest.param(
            ("spec", "selector", "matchLabels", "app"),
            "x",
            "spec.selector.matchLabels.app",
            "not a label of the pod template",
            id="selector",
        ),
        pytest.param(
            ("spec", "template", "spec", "containers"),
            [{"name": "a"}, {"name": "b"}],
            "spec.template.spec.containers",
            "must be one",
            id="two containers without limits",
        ),
        pytest.param(
            ("spec", "template", "spec", "containers"),
            ABSENT,
            "spec.template.spec.containers",
            "must be one",
            id="no containers",
        ),
        pytest.param(
            (*TEMPLATE, "annotations", names.ANNOTATION_QUOTA_LIMIT),
            "lots",
            f"spec.template.metadata.annotations[{names.ANNOTATION_QUOTA_LIMIT}]",
            "whole percent",
            id="limit",
        ),
        pytest.param(
            ("metadata", "annotations"), ["x"], "metadata.annotations", "mapping", id="annotations"
        ),
        pytest.param(
            ("spec", "template", "spec", "containers", 0, "ports"),
            [{}],
            "spec.template.spec.containers[0].ports[0].containerPort",
            "from 1 to 65535",
            id="port",
        ),
    ],
)
def test_a_wrong_deployment_is_refused(path, value, field, problem):
    with pytest.raises(InputError) as caught:
        rendered(changed(deployment(), path, value))

    assert caught.value.field == f"Deployment/resnet {field}"
    assert problem in caught.value.problem


def test_of_several_deployments_one_must_be_named():
    both = text(deployment("resnet"), deployment("bert"))

    with pytest.raises(InputError, match="'resnet, bert': must hold one Deployment"):
        rendering.read_template("app.yaml", both)
    with pytest.raises(InputError, match=r"--deployment: 'gnmt': is no Deployment of app\.yaml"):
        rendering.read_template("app.yaml", both, "gnmt")
    assert rendering.read_template("app.yaml", both, "bert").name == "bert"


@pytest.mark.parametrize(
    ("least", "most"), [(0, 0), (-1, 5), (5, 1), (1, math.inf), (math.nan, 1), (1, math.nan)]
)
def test_rates_that_are_none_are_refused(least, most):
    with pytest.raises(ValueError, match="must be rates from low to high"):
        Load(least, most)


def test_the_rates_to_plan_for_spread_over_the_range():
    assert Load(0, 15).planned_rps(2) == [2.0 * number for number in range(1, 16)]
    assert Load(7, 7).planned_rps(2) == [14]


def test_what_is_written_is_read_back_the_same():
    bundle = rendered(found=profile())

    assert list(yaml.safe_load_all(rendering.write(bundle.objects))) == list(bundle.objects)
