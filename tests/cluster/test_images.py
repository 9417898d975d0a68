"""What is in the images: each its own program, as the right user, and nothing to install more."""

import functools
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import images


@pytest.fixture(scope="module")
def tars() -> dict[str, Path]:
    """Return our own images, built if something changed."""
    for program in ("buildah", "debootstrap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    return images.build()


def _configuration(tar: Path) -> dict[str, Any]:
    with tarfile.open(tar) as archive:
        [listed] = json.loads(_content(archive, "manifest.json"))
        found: dict[str, Any] = json.loads(_content(archive, listed["Config"]))["config"]
    return found


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None
    return member.read()


@functools.cache
def _paths(tar: Path) -> set[str]:
    """Return every path of every layer."""
    with tarfile.open(tar) as archive:
        [listed] = json.loads(_content(archive, "manifest.json"))
        found: set[str] = set()
        for layer in listed["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(layer)) as content:
                found.update(content.getnames())
    return found


@pytest.mark.parametrize("name", images.RECIPES)
def test_an_image_starts_its_own_program(tars: dict[str, Path], name: str):
    recipe = images.RECIPES[name]

    [program] = _configuration(tars[name])["Entrypoint"]

    assert f"{recipe.prefix[1:]}/bin/{program}" in _paths(tars[name])


def test_only_the_node_agent_is_root(tars: dict[str, Path]):
    users = {name: _configuration(tar).get("User", "") for name, tar in tars.items()}

    others = dict.fromkeys(("extender", "autoscaler", "profiler", "example-server"), "65532:65532")
    assert users == {"node-agent": "", **others}


def test_the_example_server_image_has_nothing_of_gshare(tars: dict[str, Path]):
    packages = {Path(path).name for path in _paths(tars["example-server"])}

    assert "gshare_example_server" in packages
    assert not packages & {"gshare", "gshare_deviceplugin", "gshare_extender", "kubernetes"}


def test_the_node_agent_image_has_the_compiled_parts(tars: dict[str, Path]):
    files = {Path(path).name for path in _paths(tars["node-agent"])}

    assert {"libgshare_hook.so", "gshare-tokend", "libcuda.so.1", "libnvidia-ml.so.1"} <= files


@pytest.mark.parametrize("name", images.RECIPES)
def test_no_image_can_install_more(tars: dict[str, Path], name: str):
    assert not any("/site-packages/pip/" in path for path in _paths(tars[name]))


def test_a_second_build_builds_nothing(tars: dict[str, Path]):
    names = ("example-server",)  # the others change while somebody edits

    again = images.build(names)

    assert again == {name: tars[name] for name in names}
