"""Which function of a file is profiled, and what its Deployment says of that."""

from pathlib import Path

import pytest
import yaml
from tests.support import manifests
from tests.support.manifests import changed

from gshare.errors import InputError
from gshare.workload import Shape, TcpSocket
from gshare_cli import profile_subject, up
from gshare_cli.profile_subject import Said
from gshare_profiler.request import Request

EXAMPLE = Path(__file__).parents[3] / "examples" / "paper" / "resnet.yaml"


def write(folder: Path, *documents: object) -> Path:
    file = folder / "workload.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return file


def choose(file: Path, name: str | None = None) -> Said:
    return profile_subject.choose(file, up.read(file), name)


def served(name: str) -> manifests.Object:
    return manifests.deployment(name, manifests.container(ports=[{"containerPort": 8080}]))


def one(folder: Path, **annotations: str) -> Said:
    written = {f"gshare.io/{key.replace('_', '-')}": text for key, text in annotations.items()}
    document = changed(served("one"), ("metadata", "annotations"), written)
    return choose(write(folder, document))


def test_the_papers_function_says_its_own_request() -> None:
    said = choose(EXAMPLE)

    assert said.function.family == "resnet"
    assert said.request() == Request("GET", "/infer")


def test_without_an_annotation_the_request_is_the_plainest(tmp_path: Path) -> None:
    assert one(tmp_path).request() == Request("GET", "/")
    assert one(tmp_path).slo_ms() is None


def test_a_body_lies_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8")

    said = one(tmp_path, profile_request="{method: POST, path: /, bodyFile: cat.jpg}", slo="69ms")

    assert said.request().body == b"\xff\xd8"
    assert said.slo_ms() == 69


def test_a_wrong_annotation_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Deployment/one.*profile-request.*'PUSH'.*such as"):
        one(tmp_path, profile_request="PUSH").request()
    with pytest.raises(InputError, match=r"gshare.io/slo.*'soon'.*duration"):
        one(tmp_path, slo="soon").slo_ms()


def test_of_several_functions_one_must_be_named(tmp_path: Path) -> None:
    file = write(tmp_path, served("one"), served("two"))

    with pytest.raises(InputError, match=r"one, two.*--function"):
        choose(file)
    with pytest.raises(InputError, match="'three': is not there; there is: one, two"):
        choose(file, "three")
    assert choose(file, "two").function.name == "two"


def test_a_function_of_a_list_is_found(tmp_path: Path) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [served("one")]}

    assert choose(write(tmp_path, listed)).body["metadata"] == {"name": "one"}


def test_a_function_without_a_port_has_nowhere_to_send_requests(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ports.*where would the requests"):
        choose(write(tmp_path, manifests.deployment("one")))


def test_a_trial_is_one_replica_that_is_started_once() -> None:
    function = choose(EXAMPLE).function

    trial = profile_subject.shaped(function, Shape(6, 20, 20, 2**30))

    assert (trial.replicas, trial.container.restart_policy) == (1, "Never")
    assert trial.shape == Shape(6, 20, 20, 2**30)
    assert trial.container.readiness == function.container.readiness


def test_without_a_probe_a_trial_is_ready_when_its_port_is_open(tmp_path: Path) -> None:
    trial = profile_subject.shaped(one(tmp_path).function, Shape(6, 20, 20))

    assert trial.container.readiness is not None
    assert trial.container.readiness.action == TcpSocket(8080)
    assert trial.container.readiness.period_seconds == 1
