"""Bad input ends `gshare up` with exit code 2 and one line that names file, field and value."""

from pathlib import Path

import pytest
from tests.support import manifests
from tests.support.manifests import Object, changed, container, deployment
from tests.support.node_run import Machine, asking

RESOURCES = ("spec", "template", "spec", "containers", 0, "resources", "limits")
SM, QUOTA = "gshare.io/vgpu-sm", "gshare.io/vgpu-quota"


def sm(value: object) -> Object:
    return changed(deployment(), (*RESOURCES, SM), value)


def replicas(count: int) -> Object:
    return changed(deployment("big", asking(container(), 60, 60)), ("spec", "replicas"), count)


def refused(machine: Machine, text: str) -> str:
    """Return the one line on standard error, having checked that nothing was started."""
    file = machine.write()
    file.write_text(text)

    ended = machine.run("up", file, "--simulated")

    lines = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout, len(lines)) == (2, "", 1), ended
    assert str(file) in lines[0]
    assert not machine.state.exists()
    assert not machine.processes()
    return lines[0]


@pytest.mark.parametrize(
    ("document", "field", "value"),
    [
        pytest.param(sm(0), SM, "0", id="no SMs"),
        pytest.param(sm(101), SM, "101", id="more than all SMs"),
        pytest.param(sm("12.5"), SM, "12.5", id="half a percent"),
        pytest.param(sm(manifests.ABSENT), SM, "missing", id="only one of the two resources"),
        pytest.param(deployment(quota_limit="30"), "quota-limit", "30", id="limit below request"),
        pytest.param(deployment(gpu_mem="much"), "gpu-mem", "much", id="memory not a quantity"),
        pytest.param(deployment(gpu_mem="17Gi"), "gpu-mem", "17Gi", id="memory above the card"),
        pytest.param(
            deployment("two", container("a"), container("b")),
            "containers",
            "b",
            id="two GPU containers in one pod",
        ),
        pytest.param(
            changed(deployment(), ("spec", "template", "spec", "containers", 0, "command"), []),
            "command",
            "must be given",
            id="no command",
        ),
    ],
)
def test_a_wrong_value_is_named(machine: Machine, document: Object, field: str, value: str) -> None:
    line = refused(machine, manifests.text(document))

    assert field in line
    assert value in line


def test_text_that_is_not_yaml_is_named(machine: Machine) -> None:
    line = refused(machine, "kind: [Deployment\n  name: }")

    assert "YAML" in line


def test_a_workload_that_does_not_fit_names_replica_room_and_way_out(machine: Machine) -> None:
    line = refused(machine, manifests.text(replicas(2)))

    assert "big-1" in line
    assert "40 % of the SMs" in line or "40 % of the time" in line
    assert "Pending" in line
    assert "--watch" in line


def test_a_file_that_is_not_there_is_named(machine: Machine) -> None:
    ended = machine.run("up", Path("/nowhere/at-all.yaml"))

    assert ended.returncode == 2
    expected = (
        "/nowhere/at-all.yaml: file: 'at-all.yaml': cannot be read: No such file or directory"
    )
    assert ended.stderr == f"gshare: {expected}\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param("--gpus", "0", id="no GPU"),
        pytest.param("--gpus", "17", id="more GPUs than can be simulated"),
        pytest.param("--profile", "z9", id="a model that is not known"),
        pytest.param("--time-scale", "0", id="no time"),
        pytest.param("--window-ms", "0", id="no window"),
        pytest.param("--duration", "-1", id="an end before the start"),
        pytest.param("--grace", "nan", id="a grace that is no number"),
    ],
)
def test_a_wrong_option_is_named(machine: Machine, option: str, value: str) -> None:
    ended = machine.run("up", machine.write(deployment()), "--simulated", option, value)

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended
    assert f"command line: {option}: " in ended.stderr
    assert value in ended.stderr
    assert not machine.processes()
