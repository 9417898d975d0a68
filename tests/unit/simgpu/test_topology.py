"""Profiles and topologies check themselves."""

from dataclasses import replace
from pathlib import Path

import pytest

from gshare_simgpu import SimulatedGpuError, Topology, profile, profiles


def test_every_profile_can_be_loaded() -> None:
    loaded = {name: profile.load(name).sm_count for name in profiles()}

    assert loaded == {"a100": 108, "h100": 132, "v100": 80}


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(SimulatedGpuError, match="'k80': unknown; there are a100, h100, v100"):
        profile.load("k80")


def test_a_profile_refuses_a_missing_key() -> None:
    with pytest.raises(SimulatedGpuError, match="missing or unknown"):
        profile.from_table({"name": "x"}, "x")


@pytest.mark.parametrize("value", [-1, 1.5, "80", 0, 70_000])
def test_a_profile_refuses_a_wrong_sm_count(value: object) -> None:
    with pytest.raises(SimulatedGpuError, match="sm_count"):
        replace(profile.load("v100"), sm_count=value)  # type: ignore[arg-type]


def test_a_topology_gives_the_same_uuids_each_time() -> None:
    first, second = (Topology.uniform("v100", 3) for _ in range(2))

    assert first == second
    assert len({gpu.uuid for gpu in first.gpus}) == 3


def test_a_topology_file_may_mix_kinds(tmp_path: Path) -> None:
    path = tmp_path / "topology.toml"
    path.write_text(
        'time_scale = 4\nmps = false\n[[gpus]]\nprofile = "v100"\ncount = 2\n'
        '[[gpus]]\nprofile = "h100"\n'
    )

    topology = Topology.load(path)

    assert (topology.time_scale, topology.mps) == (4, False)
    assert [gpu.profile.sm_count for gpu in topology.gpus] == [80, 80, 132]


@pytest.mark.parametrize(
    "text",
    [
        "gpus = 3",
        "[[gpus]]\ncount = 1",
        '[[gpus]]\nprofile = "v100"\nmemory = 1',
        "colour = 1",
        "[",
    ],
    ids=["no tables", "no profile", "unknown key", "unknown field", "not toml"],
)
def test_a_topology_file_with_a_mistake_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "topology.toml"
    path.write_text(text)

    with pytest.raises(SimulatedGpuError, match=r"topology\.toml"):
        Topology.load(path)


@pytest.mark.parametrize("arguments", [{"count": 0}, {"count": 17}, {"time_scale": 0}], ids=str)
def test_a_topology_refuses_what_the_driver_would(arguments: dict[str, int]) -> None:
    with pytest.raises(SimulatedGpuError, match="topology"):
        Topology.uniform("v100", **arguments)


def test_the_drivers_text_has_one_line_a_gpu_with_the_name_last() -> None:
    lines = Topology.uniform("v100", 2, time_scale=4, mps=False).lines().splitlines()

    assert len(lines) == 2
    assert " sm_count=80 " in lines[0]
    assert " index=1 mps=0 time_scale=4 name=Tesla V100-SXM2-16GB" in lines[1]


def test_the_gpus_of_two_nodes_have_different_uuids() -> None:
    nodes = [Topology.uniform("v100", 2, node=name) for name in ("", "node-a", "node-b")]

    assert len({gpu.uuid for topology in nodes for gpu in topology.gpus}) == 6
