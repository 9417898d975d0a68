"""Whatever stands in Deployments and ConfigMaps: each is scaled or refused, all others go on."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.autoscaler import config_map, deployment, profile_json

from gshare import names
from gshare_autoscaler import functions
from gshare_autoscaler.conditions import Trouble
from gshare_autoscaler.functions import Defaults, Scaling
from gshare_autoscaler.objects import ConfigMap, Deployment
from gshare_autoscaler.profiles import Name, Profiles

DEFAULTS = Defaults("exact", 300.0, "30s")
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["12", "100", "0", "-1", "1e2", "20k", "69ms", "exact", "openfaas"])
)  # fmt: skip
KEYS = st.sampled_from(
    [
        *(*names.RESOURCES, "limits", "requests", "resources", "containers", "initContainers"),
        *("name", "spec", "metadata", "annotations", names.ANNOTATION_GPU_MEM),
        *(names.ANNOTATION_QUOTA_LIMIT, names.ANNOTATION_QUOTA_REQUEST, "sm", "quota", "points"),
    ]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
TEMPLATES = st.fixed_dictionaries({}, optional={"spec": JSON, "metadata": JSON}) | st.builds(
    lambda limits, annotations: {
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": "c", "resources": {"limits": limits}}]},
    },
    st.dictionaries(st.sampled_from(names.RESOURCES), LEAVES, max_size=2),
    JSON,
)
SETTINGS = st.dictionaries(
    st.sampled_from(
        [
            *(names.ANNOTATION_SLO, names.ANNOTATION_RATE_QUERY),
            *(names.ANNOTATION_SCALING_POLICY, names.ANNOTATION_SCALE_DOWN_WINDOW),
        ]
    ),
    st.text(max_size=10) | st.sampled_from(["69ms", "1s", "exact", "rpr", "gshare", "knative"]),
)
PROFILES = (
    st.just(profile_json())
    | st.text(max_size=20)
    | JSON.map(json.dumps)
    | JSON.map(lambda points: profile_json(points=points))
    | JSON.map(lambda gpu: profile_json(gpu=gpu))
)


def made(index, template, annotations):
    found = deployment(f"d{index}", annotations=annotations)
    found["spec"]["template"] = template
    return msgspec.convert(found, Deployment)


def read(deployments, text, keys):
    profiles = Profiles()
    data = {key.partition("/")[2]: each for key, each in keys.items()}
    whole = config_map(text=text)
    whole["data"] |= data
    profiles.take([msgspec.convert(whole, ConfigMap)])
    ((name, found),) = functions.grouped(deployments).items()
    return functions.read(name, found, profiles, DEFAULTS)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TEMPLATES, SETTINGS), min_size=1, max_size=4), PROFILES, SETTINGS)
def test_every_deployment_is_scaled_or_refused_with_one_line(given_, text, keys):
    """Nothing is raised, nothing is lost, and no text has two lines."""
    deployments = [made(index, *each) for index, each in enumerate(given_)]

    found = read(deployments, text, keys)

    told = sorted(each.target.name for each in found.deployments)
    assert told == sorted(each.metadata.name for each in deployments)
    texts = [each.trouble.text for each in found.refused]
    if isinstance(found.scaling, Trouble):
        texts.append(found.scaling.text)
    assert all(each.strip() and "\n" not in each for each in texts)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEMPLATES, max_size=3))
def test_a_good_deployment_is_scaled_whatever_stands_beside_it(templates):
    """The one of the profile's shape that is oldest goes on."""
    good = msgspec.convert(deployment("good", created="2020-01-01T00:00:00Z"), Deployment)
    others = [made(index, each, {}) for index, each in enumerate(templates)]

    found = read([*others, good], profile_json(), {})

    assert isinstance(found.scaling, Scaling)
    assert "good" in {member.target.name for member in found.members}
    assert found.name == Name("team", "resnet")
