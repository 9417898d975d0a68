"""What Deployments and ConfigMaps say of functions, and what is wrong with them."""

import json

import msgspec
import pytest
from tests.support.autoscaler import config_map, deployment, profile_json

from gshare import names
from gshare.scaling import Shape
from gshare_autoscaler import functions
from gshare_autoscaler.bounds import follows
from gshare_autoscaler.bounds import of as bounds_of
from gshare_autoscaler.conditions import Reason, Trouble
from gshare_autoscaler.functions import Defaults
from gshare_autoscaler.objects import ConfigMap, Deployment, Hpa
from gshare_autoscaler.profiles import Name, Profiles

DEFAULTS = Defaults("exact", 300.0, "30s")
A, B = Shape(12, 40), Shape(24, 100)


def read(deployments, config_maps=None, bounds=None):
    """Return the function of these Deployments."""
    profiles = Profiles()
    given = [config_map()] if config_maps is None else config_maps
    profiles.take([msgspec.convert(each, ConfigMap) for each in given])
    grouped = functions.grouped([msgspec.convert(each, Deployment) for each in deployments])
    ((name, found),) = grouped.items()
    return functions.read(name, found, profiles, DEFAULTS, bounds or {})


def annotated(name="resnet-a", **annotations):
    """Return a Deployment with annotations by the end of their names, "_" for "-"."""
    texts = {f"{names.DOMAIN}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return deployment(name, annotations=texts)


def test_deployments_of_one_label_are_the_shapes_of_one_function():
    found = read([deployment("a"), deployment("b", 24, 100, replicas=3, ready=2)])

    assert found.name == Name("team", "resnet")
    assert found.counts(lambda member: member.running) == {A: 1, B: 3}
    assert found.counts(lambda member: member.ready) == {A: 1, B: 2}
    assert [option.throughput_rps for option in found.scaling.options] == [35.0, 75.0]


def test_replicas_beyond_what_is_asked_serve_only_for_now():
    """In a rolling update, and before a scale-down is through."""
    found = read([deployment("a", replicas=2, ready=3)])

    assert found.members[0].ready == 2


def test_a_function_has_defaults_where_nothing_is_said():
    scaling = read([deployment()]).scaling

    assert (scaling.slo_ms, scaling.policy, scaling.scale_down_window_s) == (69.0, "exact", 300.0)
    assert 'function="resnet"' in scaling.query.promql


def hpa(name="resnet-a", least=1, most=10, metric=names.METRIC_DESIRED_REPLICAS):
    """Return an HPA of a Deployment of the same name."""
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "team"},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": name},
                "minReplicas": least,
                "maxReplicas": most,
                "metrics": [{"type": "Object", "object": {"metric": {"name": metric}}}],
            },
        },
        Hpa,
    )


def test_what_hpas_allow_bounds_what_is_planned():
    bounds = bounds_of([hpa("a", 1, 4)])

    first, second = read([deployment("a"), deployment("b", 24, 100)], bounds=bounds).scaling.options

    assert (first.least, first.most) == (1, 4)
    assert (second.least, second.most) == (0, None)


@pytest.mark.parametrize(
    ("found", "is_ours"),
    [
        pytest.param(hpa(), True, id="of our number"),
        pytest.param(hpa(metric="hits"), False, id="of another number"),
        pytest.param(Hpa(hpa().metadata), False, id="of nothing"),
    ],
)
def test_only_hpas_that_follow_our_number_bound_it(found, is_ours):
    assert follows(found) is is_ours


def test_annotations_are_heard():
    said = annotated(slo="1s", scaling_policy="rpr", scale_down_window="2m", rate_query="sum(hits)")

    scaling = read([said]).scaling

    assert (scaling.slo_ms, scaling.policy, scaling.scale_down_window_s) == (1000.0, "rpr", 120.0)
    assert scaling.query.promql == "sum(hits)"


def test_the_config_map_speaks_where_no_annotation_does():
    maps = [config_map(slo="80ms", rate_query="sum(hits)", scaling_policy="rpr")]

    found = read([annotated(slo="100ms")], maps)

    assert (found.scaling.slo_ms, found.scaling.policy) == (100.0, "rpr")
    assert found.scaling.query.origin == "ConfigMap team/resnet-profile: data[rate-query]"


def test_memory_that_a_deployment_reserves_is_what_it_costs():
    reserving = deployment(template_annotations={names.ANNOTATION_GPU_MEM: "8Gi"})

    (option,) = read([reserving]).scaling.options

    assert option.cost == 0.5


def test_a_shape_over_the_slo_is_no_option_and_others_are():
    found = read([deployment("thin", 6, 20), deployment("b", 24, 100)])

    assert [option.shape for option in found.scaling.options] == [B]
    assert "200.0 ms" in found.scaling.unfit[Shape(6, 20)]
    assert not found.refused


@pytest.mark.parametrize(
    ("deployments", "reason", "text"),
    [
        (
            [deployment("old"), deployment("new", created="2026-11-24T11:00:00Z")],
            Reason.SAME_SHAPE,
            (
                "Deployment team/new: limits of spec.template: '12x40' (SM x quota): is the "
                "shape of the older Deployment old of this function, which is scaled: delete one "
                "or change its shape"
            ),
        ),
        (
            [deployment("old"), deployment("bare", limits={})],
            Reason.BAD_SHAPE,
            (
                "Deployment team/bare: spec.template.spec.containers[0].resources.limits: a "
                "mapping: must name gshare.io/vgpu-sm and gshare.io/vgpu-quota"
            ),
        ),
        (
            [deployment("old"), deployment("half", limits={names.RESOURCE_SM: "12"})],
            Reason.BAD_SHAPE,
            (
                "Deployment team/half: spec.template.spec.containers[0].resources.limits"
                "[gshare.io/vgpu-quota]: nothing: is missing: a rectangle needs both "
                "gshare.io/vgpu-quota and gshare.io/vgpu-sm in limits"
            ),
        ),
        (
            [deployment("old"), deployment("far", 2, 2)],
            Reason.BAD_SHAPE,
            (
                "Deployment team/far: limits of spec.template: '2x2' (SM x quota): lies outside "
                "the points of the profile (SM 6-24, quota 20-100): profile it there too"
            ),
        ),
    ],
    ids=["same shape", "no limits", "half a rectangle", "outside the profile"],
)
def test_a_deployment_that_cannot_be_scaled_is_named_and_the_other_goes_on(
    deployments, reason, text
):
    found = read(deployments)

    assert [each.trouble for each in found.refused] == [Trouble(reason, text)]
    assert [member.target.name for member in found.members] == ["old"]
    assert [option.shape for option in found.scaling.options] == [A]


def broken_point(**changes):
    """Return a profile whose second point is changed."""
    whole = json.loads(profile_json())
    whole["points"][1] |= changes
    whole["points"][1] = {key: each for key, each in whole["points"][1].items() if each is not None}
    return [config_map(text=json.dumps(whole))]


@pytest.mark.parametrize(
    ("deployments", "config_maps", "reason", "parts"),
    [
        ([deployment()], [], Reason.NO_PROFILE, ["function team/resnet", names.LABEL_PROFILE]),
        (
            [deployment()],
            [config_map(name="p1"), config_map(name="p2")],
            Reason.BAD_PROFILE,
            ["ConfigMap team/p2: metadata.labels[gshare.io/function]: 'resnet'", "team/p1"],
        ),
        (
            [deployment()],
            [config_map(text="{")],
            Reason.BAD_PROFILE,
            ["ConfigMap team/resnet-profile: data[profile.json]", "is not JSON"],
        ),
        (
            [deployment()],
            broken_point(throughput=None),
            Reason.BAD_PROFILE,
            ["points[1].throughput", "is missing"],
        ),
        (
            [deployment()],
            broken_point(throughput=-1),
            Reason.BAD_PROFILE,
            ["points[1].throughput: -1", "above 0"],
        ),
        (
            [deployment()],
            broken_point(throughput=10.0),
            Reason.BAD_PROFILE,
            ["points[1].throughput: 10.0", "is less than the 13.5 of SM 6 quota 20"],
        ),
        (
            [annotated(slo="10ms")],
            None,
            Reason.NO_SHAPE_MEETS_SLO,
            [
                "Deployment team/resnet-a: metadata.annotations[gshare.io/slo]: resnet: no shape",
                "SLO of 10 ms",
                "nearest is 12x40",
                "60.0 ms",
            ],
        ),
        (
            [deployment("thin", 6, 20)],
            None,
            Reason.NO_SHAPE_MEETS_SLO,
            ["function team/resnet: slo_ms of its profile", "; 12x40 of the profile would"],
        ),
        (
            [annotated(slo="69")],
            None,
            Reason.BAD_SETTING,
            ["Deployment team/resnet-a: metadata.annotations[gshare.io/slo]: '69'", "its unit"],
        ),
        (
            [annotated("a", slo="69ms"), annotated("b", slo="70ms")],
            None,
            Reason.BAD_SETTING,
            ["Deployment team/b: metadata.annotations[gshare.io/slo]: '70ms'", "'69ms'", "team/a"],
        ),
        (
            [annotated(scaling_policy="best")],
            None,
            Reason.BAD_SETTING,
            ["metadata.annotations[gshare.io/scaling-policy]: 'best'", "exact, rpr"],
        ),
        (
            [deployment()],
            [config_map(slo="fast")],
            Reason.BAD_SETTING,
            ["ConfigMap team/resnet-profile: data[slo]: 'fast'"],
        ),
    ],
    ids=[
        "no profile",
        "two profiles",
        "no JSON",
        "missing point",
        "negative point",
        "uneven points",
        "SLO that no shape meets",
        "SLO that other shapes meet",
        "SLO without unit",
        "contradicting Deployments",
        "unknown policy",
        "bad key of the ConfigMap",
    ],
)
def test_a_function_that_cannot_be_scaled_says_in_one_line_why(
    deployments, config_maps, reason, parts
):
    found = read(deployments, config_maps)

    assert isinstance(found.scaling, Trouble)
    assert found.scaling.reason is reason
    assert "\n" not in found.scaling.text
    assert [part for part in parts if part not in found.scaling.text] == []
    assert found.members


def test_functions_of_two_namespaces_are_two():
    deployments = [deployment("a"), deployment("a")]
    deployments[1]["metadata"]["namespace"] = "other"

    found = functions.grouped([msgspec.convert(each, Deployment) for each in deployments])

    assert list(found) == [Name("other", "resnet"), Name("team", "resnet")]


def test_a_profile_that_did_not_change_is_read_once():
    profiles = Profiles()
    profiles.take([msgspec.convert(config_map(), ConfigMap)])
    first = profiles.profile(Name("team", "resnet"))

    profiles.take([msgspec.convert(config_map(), ConfigMap)])

    assert profiles.profile(Name("team", "resnet")) is first
