"""References in commands and variables."""

import pytest
from tests.support.manifests import container, deployment, text

from gshare import workload


def launch(given: dict[str, str], **changes: object) -> workload.Launch:
    document = deployment("resnet", container(**changes))
    return workload.launch_of(
        workload.parse("app.yaml", text(document)).functions[0], "resnet-0", given
    )


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        pytest.param("no reference", "no reference", id="plain text"),
        pytest.param("$(A)", "1", id="a variable"),
        pytest.param("-$(A)-$(B)-", "-1-2-", id="two variables"),
        pytest.param("$(C)", "$(C)", id="an unknown variable"),
        pytest.param("$$(A)", "$(A)", id="an escaped reference"),
        pytest.param("$$$(A)", "$1", id="an escape before a reference"),
        pytest.param("$$", "$", id="an escape"),
        pytest.param("$A ${A}", "$A ${A}", id="references of a shell"),
        pytest.param("$(A", "$(A", id="an open reference"),
        pytest.param("$()", "$()", id="a reference to nothing"),
        pytest.param("cost: $", "cost: $", id="a dollar at the end"),
    ],
)
def test_expand_follows_kubernetes(written, expanded):
    assert workload.expand(written, {"A": "1", "B": "2"}) == expanded


def test_command_and_args_see_the_containers_variables():
    result = launch(
        {}, command=["run", "$(A)"], args=["--x=$(A)"], env=[{"name": "A", "value": "1"}]
    )

    assert result.argv == ("run", "1", "--x=1")


def test_a_variable_sees_only_those_before_it():
    env = [
        {"name": "EARLY", "value": "$(LATE)"},
        {"name": "LATE", "value": "x"},
        {"name": "LAST", "value": "$(LATE)"},
    ]

    assert launch({}, env=env).env == {"EARLY": "$(LATE)", "LATE": "x", "LAST": "x"}


def test_a_pod_field_is_that_of_the_replica():
    env = [
        {"name": key, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.{key}"}}}
        for key in ("name", "namespace")
    ]

    assert launch({}, env=env).env == {"name": "resnet-0", "namespace": "default"}


def test_what_the_node_gives_wins_and_can_be_referred_to():
    env = [{"name": "PORT", "value": "8080"}, {"name": "URL", "value": "http://:$(PORT)"}]

    result = launch({"PORT": "40001"}, args=["$(PORT)"], env=env)

    assert result.env == {"PORT": "40001", "URL": "http://:40001"}
    assert result.argv == ("serve", "40001")


def test_the_working_directory_is_the_containers():
    assert launch({}, workingDir="/srv").working_dir == "/srv"
