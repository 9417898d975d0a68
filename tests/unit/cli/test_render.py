"""`gshare render` and `gshare convert`: files in, YAML out, trouble on one line."""

import pytest
import yaml
from tests.support.manifests import container, deployment, service, text
from tests.support.profiles import resnet as profile
from typer.testing import CliRunner

from gshare import names
from gshare import profile as profiles
from gshare.errors import InputError
from gshare_cli.app import app

FASTPOD = {
    "kind": "FaSTPod",
    "metadata": {
        "name": "resnet",
        "annotations": {
            "faasshare/sm_partition": "12",
            "faasshare/quota_request": "0.4",
            "hasfunc/sched_node": "kgpu3",
        },
    },
    "spec": {"podSpec": {"containers": [{"name": "server"}]}},
}


@pytest.fixture
def files(tmp_path):
    """Return a folder with a Deployment, its profile and a FaSTPod."""
    document = deployment("resnet", container(ports=[{"containerPort": 8080}]), gpu_mem="1Gi")
    (tmp_path / "app.yaml").write_text(text(document), encoding="utf-8")
    (tmp_path / "profile.json").write_text(profiles.write(profile(slo_ms=69)), encoding="utf-8")
    (tmp_path / "fastpod.yaml").write_text(text(FASTPOD, service()), encoding="utf-8")
    return tmp_path


def ran(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def kinds(written):
    return [each["kind"] for each in yaml.safe_load_all(written)]


def test_render_prints_objects_and_says_what_it_chose(files):
    options = ("--profile", files / "profile.json", "--rate", "10:200")

    result = ran("render", files / "app.yaml", *options)

    assert kinds(result.stdout) == ["ConfigMap", "Service"] + 2 * ["Deployment"] + 2 * [
        "HorizontalPodAutoscaler"
    ]
    assert "gshare: resnet-s12-q" in result.stderr
    assert "GPUs on average over these rates" in result.stderr
    assert "may use 1Gi of GPU memory, and used 1.5Gi when they were profiled" in result.stderr


def test_render_needs_no_profile_for_shapes_that_are_named(files):
    options = ("--shape", "12x40", "--shape", "24x80", "--max-replicas", 7, "--keep", "none")

    result = ran("render", files / "app.yaml", *options)

    hpas = [each for each in yaml.safe_load_all(result.stdout) if each["kind"].startswith("H")]
    assert [each["spec"]["maxReplicas"] for each in hpas] == [7, 7]
    assert [each["spec"]["minReplicas"] for each in hpas] == [0, 0]
    assert not result.stderr


def test_output_goes_to_a_file_whole(files):
    to = files / "out.yaml"

    result = ran("convert", files / "fastpod.yaml", "-o", to)

    assert not result.stdout
    assert kinds(to.read_text(encoding="utf-8")) == ["Deployment", "Service"]
    assert [each.name for each in files.glob(".*")] == []


def test_convert_says_what_it_left_out(files):
    result = ran("convert", files / "fastpod.yaml")

    first = next(yaml.safe_load_all(result.stdout))
    (written,) = first["spec"]["template"]["spec"]["containers"]
    assert written["resources"]["limits"] == {names.RESOURCE_SM: 12, names.RESOURCE_QUOTA: 40}
    assert "annotations[hasfunc/sched_node]: left out" in result.stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [
        pytest.param([], "--rate: '': is missing", id="neither rate nor shape"),
        pytest.param(["--rate", "10"], "--profile: '': is missing", id="a rate and no profile"),
        pytest.param(["--shape", "12x40", "--rate", "1"], "goes without --shape", id="both"),
        pytest.param(["--shape", "12"], "'12': must be SM x quota", id="half a shape"),
        pytest.param(["--shape", "12x101"], "must be SM x quota", id="shape above the GPU"),
        pytest.param(["--shape", "1x2", "--shape", "1x2"], "stands twice", id="shape twice"),
        pytest.param(["--rate", "fast"], "--rate: 'fast': must be requests", id="rate in words"),
        pytest.param(["--rate", "9:1"], "'9:1': must be requests per second", id="rates reversed"),
        pytest.param(["--rate", "nan"], "must be requests per second", id="rate not a number"),
        pytest.param(["--rate", "1:2", "--peak", "1"], "at least the highest", id="low peak"),
        pytest.param(["--shape", "12x40", "--peak", "1"], "goes with --rate", id="peak alone"),
        pytest.param(["--shape", "12x40", "--slo", "69"], "duration with its unit", id="slo"),
        pytest.param(["--shape", "12x40", "--policy", "best"], "exact or rpr", id="policy"),
        pytest.param(["--shape", "12x40", "--keep", "all"], "one, none, each", id="keep"),
        pytest.param(["--shape", "12x40", "--max-replicas", "0"], "at least 1", id="bound"),
        pytest.param(["--shape", "12x40", "--shapes", "0"], "at least 1", id="no shapes"),
    ],
)
def test_wrong_options_are_one_line(files, options, line):
    with pytest.raises(InputError) as caught:
        ran("render", files / "app.yaml", *options)

    assert str(caught.value).startswith("command line: --")
    assert line in str(caught.value)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read_is_one_line(files, name):
    with pytest.raises(InputError, match="cannot be read"):
        ran("convert", files / name)


@pytest.mark.parametrize("name", [".", "absent/out.yaml"])
def test_a_file_that_cannot_be_written_is_one_line(files, name):
    with pytest.raises(InputError, match="--output"):
        ran("convert", files / "fastpod.yaml", "-o", files / name)


def test_a_broken_profile_names_its_file_and_field(files):
    (files / "profile.json").write_text('{"version": 2}', encoding="utf-8")

    with pytest.raises(InputError, match=r"profile\.json: profile version: 2: must be 1"):
        ran("render", files / "app.yaml", "--profile", files / "profile.json", "--rate", "1")
