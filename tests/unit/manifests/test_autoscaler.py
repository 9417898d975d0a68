"""The autoscaler's manifests say what its program and its doors need."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gshare import names
from gshare_autoscaler.__main__ import _parser, _settings
from gshare_autoscaler.doors import registration
from gshare_autoscaler.doors.settings import SERVING_SECRET, DoorSettings
from gshare_autoscaler.settings import AutoscalerSettings

FOLDER = Path(__file__).resolve().parents[3] / "manifests" / "autoscaler"
ENV = dict(
    line.split("=", 1)
    for line in (FOLDER / "autoscaler.env").read_text().splitlines()
    if line and not line.startswith("#")
)


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], Any]:
    """Return the objects by kind and name."""
    paths = (FOLDER / "autoscaler.yaml", FOLDER / "rbac.yaml")
    objects = [each for path in paths for each in yaml.safe_load_all(path.read_text())]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


@pytest.fixture
def container(found):
    [only] = found["Deployment", names.PART_AUTOSCALER]["spec"]["template"]["spec"]["containers"]
    return only


def test_the_arguments_are_those_that_the_program_takes(container):
    given = [re.sub(r"\$\((\w+)\)", lambda word: ENV[word[1]], each) for each in container["args"]]

    settings = _settings(_parser().parse_args(given))

    assert settings == AutoscalerSettings()


def test_the_ports_are_those_that_the_program_listens_on(container, found):
    doors = DoorSettings()
    said = {each["name"]: each["containerPort"] for each in container["ports"]}

    assert said == {
        "metrics": AutoscalerSettings().metrics.port,
        "custom-metrics": doors.api.port,
        "keda": doors.keda.port,
    }
    ports = found["Service", doors.service.name]["spec"]["ports"]
    assert {each["targetPort"] for each in ports} == set(said)
    assert [each["port"] for each in ports if each["name"] == "custom-metrics"] == [
        doors.service.port
    ]


def test_the_service_selects_the_deployments_pods(found):
    labels = found["Deployment", names.PART_AUTOSCALER]["spec"]["template"]["metadata"]["labels"]

    selector = found["Service", names.PART_AUTOSCALER]["spec"]["selector"]

    assert selector.items() <= labels.items()


def test_it_may_write_its_own_secret_and_apiservices_alone(found):
    rules = [
        *found["ClusterRole", names.PART_AUTOSCALER]["rules"],
        *found["Role", names.PART_AUTOSCALER]["rules"],
    ]
    named = {
        (resource, verb): set(rule["resourceNames"])
        for rule in rules
        if "resourceNames" in rule
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

    assert named["secrets", "patch"] == named["secrets", "get"] == {SERVING_SECRET}
    assert named["apiservices", "patch"] == set(registration.names_of_all())


def test_kustomize_renames_nothing_that_roles_name(found):
    """It gives a generated ConfigMap another name, and puts that wherever the old one stands."""
    said = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    generated = {each["name"] for each in said["configMapGenerator"]}

    named = {
        name
        for (kind, _), each in found.items()
        if kind in {"Role", "ClusterRole"}
        for rule in each["rules"]
        for name in rule.get("resourceNames", [])
    }

    assert not generated & named


def test_it_may_scale_nothing(found):
    written = {
        resource
        for rule in found["ClusterRole", names.PART_AUTOSCALER]["rules"]
        if not {"create", "patch", "update", "delete"}.isdisjoint(rule["verbs"])
        for resource in rule["resources"]
    }

    assert written == {"pods", "events", "apiservices"}
