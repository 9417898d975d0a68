"""`gshare plan`: both policies side by side, trouble on one line."""

import json

import pytest
from tests.support.profiles import resnet
from typer.testing import CliRunner

from gshare import profile as profiles
from gshare.errors import InputError
from gshare.scaling import NoShapeError
from gshare_cli.app import app


@pytest.fixture
def file(tmp_path):
    """Return the file of the paper's ResNet, whose p99 is under 100 ms from 18.5 req/s on."""
    path = tmp_path / "resnet.json"
    path.write_text(profiles.write(resnet(slo_ms=100.0)), encoding="utf-8")
    return path


def ran(file, *options):
    result = CliRunner().invoke(app, ["plan", "--profile", str(file), *map(str, options)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def row(text, heading):
    (line,) = [line for line in text.splitlines() if line.startswith(heading)]
    return line.removeprefix(heading).split()


def test_both_policies_stand_side_by_side_with_their_cost(file):
    text = ran(file, "--rate", 100)

    assert text.startswith("resnet on V100: 100 req/s, p99 at most 100 ms\n")
    assert row(text, "replicas") == ["2", "4"]
    assert row(text, "serve, req/s") == ["108.8", "100.0"]
    assert row(text, "cost, GPUs") == ["0.189", "0.372"]


def test_json_has_what_the_table_has(file):
    found = json.loads(ran(file, "--rate", 100, "--json"))

    counts = {
        policy: {(each["sm"], each["quota"]): each["replicas"] for each in plan["shapes"]}
        for policy, plan in found["policies"].items()
    }
    assert counts == {"exact": {(6, 100): 1, (12, 80): 1}, "rpr": {(6, 40): 4}}
    assert found["policies"]["exact"]["cost"] == pytest.approx(0.18908, abs=1e-5)


def test_one_policy_alone(file):
    found = json.loads(ran(file, "--rate", 100, "--policy", "rpr", "--json"))

    assert list(found["policies"]) == ["rpr"]


def test_the_slo_of_the_command_line_goes_before_the_profiles(file):
    found = json.loads(ran(file, "--rate", 100, "--slo", "0.2s", "--policy", "rpr", "--json"))

    assert [each["quota"] for each in found["policies"]["rpr"]["shapes"]] == [20]
    assert found["slo_ms"] == 200


def test_headroom_is_planned_for_and_load_beyond_it_is_said(file):
    tight = ran(file, "--rate", 100, "--policy", "exact")
    roomy = ran(file, "--rate", 100, "--policy", "exact", "--headroom", 1.25)

    assert "exact loads its replicas to 92 %; p99 was measured at 80 %" in tight
    assert "100 req/s, planned for 125" in roomy
    assert "loads" not in roomy


def test_quotas_are_sized_from_rate_and_peak(file):
    text = ran(file, "--rate", 50, "--peak", 65, "--shape", "12x80", "--policy", "exact")

    assert (
        "exact, 12x80: quota request 67 for its part of the rate, "
        "quota limit 93 for its part of the peak"
    ) in text


def test_a_peak_that_limits_do_not_cover_is_said(file):
    text = ran(file, "--rate", 50, "--peak", 90, "--shape", "12x80", "--policy", "exact")

    assert "quota limit 100 for its part of the peak, which that does not cover" in text


def test_what_runs_is_taken_into_account(file):
    text = ran(file, "--rate", 70, "--policy", "rpr", "--running", "12x40:3")

    assert row(text, "12x40")[-1] == "2"


def test_no_rate_needs_nothing(file):
    assert row(ran(file, "--rate", 0), "replicas") == ["0", "0"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rate", -1), "--rate: -1.0: must be a number from 0"),
        (("--rate", "nan"), "--rate: nan: must be a number from 0"),
        (("--rate", 9, "--headroom", 0.5), "--headroom: 0.5: must be a number from 1"),
        (("--rate", 9, "--peak", 5), "--peak: 5.0: must be a number from 9"),
        (("--rate", 9, "--slo", "69"), "--slo: '69': must be a duration with its unit"),
        (("--rate", 9, "--policy", "best"), "--policy: 'best': must be exact or rpr"),
        (("--rate", 9, "--shape", "12"), "--shape: '12': must be SM x quota"),
        (("--rate", 9, "--shape", "50x40", "--shape", "12x40"), "--shape: '50x40': lies outside"),
        (("--rate", 9, "--running", "12x40"), "--running: '12x40': must be a shape and how many"),
        (("--rate", 9, "--running", "x:2"), "--running: 'x': must be SM x quota"),
    ],
)
def test_a_wrong_option_is_one_line(file, options, message):
    with pytest.raises(InputError) as caught:
        ran(file, *options)

    assert message in str(caught.value)


def test_an_slo_that_no_shape_keeps_names_the_nearest(file):
    with pytest.raises(NoShapeError, match="the nearest is 24x100"):
        ran(file, "--rate", 9, "--slo", "10ms")


def test_a_profile_that_is_none_is_one_line(tmp_path):
    path = tmp_path / "none.json"
    path.write_text("{}", encoding="utf-8")

    with pytest.raises(InputError, match=r"none\.json: profile version"):
        ran(path, "--rate", 9)
