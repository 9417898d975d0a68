"""Profiles: what is read, what is refused in one line, what lies between the points."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.profiles import make_point, make_profile, resnet

from gshare import profile as profiles
from gshare.errors import InputError
from gshare.profile import FailedPoint, Law, ProfiledGpu, ProfileError, Trend

PAPER = Path(__file__).parents[3] / "examples" / "paper" / "profiles" / "resnet.json"
LAW = Law(Trend(76.2, 1.0, 8.5, 3.0), Trend(58.0, 0.7, 5.0, 3.0), 0.03, 0.1)
ENTRY = json.loads(profiles.write(make_profile(make_point(12, 20, 18.5), make_point(12, 40, 35.0))))


def changed(path, value):
    """Return a profile's JSON with one field changed, or taken out where `value` is None."""
    entry = copy.deepcopy(ENTRY)
    *way, last = path
    parent = entry
    for key in way:
        parent = parent[key]
    if value is None:
        del parent[last]
    else:
        parent[last] = value
    return json.dumps(entry)


def refusal(text):
    with pytest.raises(ProfileError) as caught:
        profiles.read(text, "resnet.json")
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "profile",
    [
        make_profile(),
        resnet(slo_ms=69.0, is_simulated=True, note="read off a figure"),
        make_profile(make_point(gpu_utilization=0.4, sm_occupancy=0.05, trials=2), law=LAW),
        make_profile(failed=(FailedPoint(6, 20, "not ready within 60 s"),)),
    ],
    ids=["least", "paper", "measured", "failed"],
)
def test_what_is_written_is_read_again(profile):
    assert profiles.read(profiles.write(profile), "profile") == profile


def test_points_are_kept_in_order_of_shape():
    profile = make_profile(make_point(24, 40), make_point(12, 40))

    assert [point.key for point in profile.points] == [(12, 40), (24, 40)]


def test_the_papers_profile_is_read():
    profile = profiles.read(PAPER.read_text(encoding="utf-8"), str(PAPER))

    assert len(profile.points) == 35
    assert profile.at(12, 100).throughput_rps == 68.5
    assert not profile.is_simulated


def test_fields_of_a_later_writer_are_ignored():
    assert profiles.read(changed(["points", 0, "power_w"], 70), "x").points


def test_a_larger_shape_may_be_slower_by_what_noise_explains():
    text = changed(["points", 1, "throughput"], 17.0)

    assert profiles.read(text, "x").points[1].throughput_rps == 17.0


WRONG = [
    (["version"], 2, "profile version: 2: must be 1"),
    (["version"], True, "profile version: True: must be 1"),
    (["version"], None, "profile version: nothing: must be 1"),
    (["function"], None, "profile function: nothing: is missing"),
    (["gpu"], None, "profile gpu: nothing: is missing"),
    (["gpu", "memory"], 0, "profile gpu.memory: 0: must be above 0"),
    (["gpu", "sms"], "80", "profile gpu.sms: '80': must be a number, not in quotes"),
    (["simulated"], "yes", "profile simulated: 'yes': must be true or false"),
    (["simulated"], 1, "profile simulated: 1: must be true or false"),
    (["slo_ms"], -1, "profile slo_ms: -1: must be above 0"),
    (["points"], None, "profile points: nothing: must hold one point or more"),
    (["points"], [], "profile points: a list: must hold one point or more"),
    (["points", 1, "sm"], None, "profile points[1].sm: nothing: is missing"),
    (["points", 1, "sm"], 101, "profile points[1].sm: 101: must be a whole percent"),
    (["points", 1, "quota"], 0.4, "profile points[1].quota: 0.4: must be a whole percent"),
    (["points", 1, "throughput"], None, "profile points[1].throughput: nothing: is missing"),
    (["points", 1, "throughput"], -35, "profile points[1].throughput: -35: must be above 0"),
    (["points", 1, "throughput"], 10**400, "must be a number that is not that large"),
    (["points", 1, "throughput"], 1e300, "1e+300: must be a number that is not that large"),
    (["points", 1, "latency_ms"], None, "profile points[1].latency_ms: nothing: is missing"),
    (["points", 1, "latency_ms", "p99"], None, "latency_ms.p99: nothing: is missing"),
    (["points", 1, "latency_ms", "p99"], -1, "latency_ms.p99: -1: must be above 0"),
    (["points", 1, "latency_ms", "p99"], 1, "latency_ms: a mapping: must have p50 <= p95"),
    (["points", 1, "memory"], 1.5, "profile points[1].memory: 1.5: must be a whole number"),
    (["points", 1, "gpu_utilization"], 40, "points[1].gpu_utilization: 40: must be from 0 to"),
    (["points", 1, "trials"], 0, "profile points[1].trials: 0: must be 1 or more"),
    (
        ["points", 1, "throughput"],
        9,
        "points[1].throughput: 9: is less than the 18.5 of SM 12 quota 20, a smaller shape",
    ),
    (
        ["points", 0, "quota"],
        60,
        "points[1].throughput: 35.0: is more than the 18.5 of SM 12 quota 60, a larger shape",
    ),
    (["points", 1, "quota"], 20, "points[1].sm: 12: is a second point of SM 12 quota 20"),
    (["failed"], [{"sm": 6, "quota": 20}], "profile failed[0].reason: nothing: is missing"),
    (["law"], {}, "profile law.throughput: nothing: is missing"),
    (["law"], {"throughput": {}}, "profile law.throughput.level: nothing: is missing"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    WRONG,
    ids=[f"{'.'.join(map(str, path))} is {str(value)[:20]}" for path, value, _ in WRONG],
)
def test_a_wrong_field_is_named_with_its_value(path, value, message):
    text = refusal(changed(path, value))

    assert text.startswith("resnet.json: ")
    assert message in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "resnet.json: line 1 column 1: '': is not JSON: Expecting value"),
        ('{\n "version": 1,,}', "resnet.json: line 2 column 15: ' \"version\": 1,,}': is not JSON"),
        ("[1]", "resnet.json: profile: a list: must be a mapping"),
        ('{"version": NaN}', "is not JSON: NaN is not a number"),
        ("[" * 100_000, "is not JSON"),
        ('{"version": 1' + "0" * 5000 + "}", "is not JSON"),
    ],
    ids=["empty", "broken", "no mapping", "not a number", "deep", "long number"],
)
def test_what_is_no_profile_at_all_is_one_line(text, message):
    assert message in refusal(text)


def test_a_refused_profile_is_bad_input():
    assert issubclass(ProfileError, InputError)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_point(0, 40), "sm 0: must be from 1 to 100"),
        (lambda: make_point(12, 40, 0.0), "throughput_rps 0.0: must be above 0"),
        (lambda: make_point(12, 40, float("nan")), "throughput_rps nan: must be above 0"),
        (lambda: make_point(gpu_utilization=1.5), "gpu_utilization 1.5: must be from 0 to 1"),
        (lambda: FailedPoint(6, 20, ""), "must have a reason"),
        (lambda: ProfiledGpu("", 80, 2**34), "model '': must be a name"),
        (lambda: ProfiledGpu("V100", 0, 2**34), "sm_count 0: must be above 0"),
        (lambda: replace(make_profile(), function=""), "function '': must be a name"),
        (lambda: replace(make_profile(), points=()), "must hold one point or more"),
        (lambda: replace(make_profile(), slo_ms=0.0), "slo_ms 0.0: must be above 0"),
        (lambda: make_profile(make_point(), make_point()), "SM 12 quota 40 stands there twice"),
        (
            lambda: make_profile(make_point(12, 40, 35.0), make_point(24, 40, 20.0)),
            "SM 24 quota 40 has 20 req/s, less than the 35 of the smaller SM 12 quota 40",
        ),
    ],
)
def test_values_that_make_no_sense_cannot_exist(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_measured_point_is_told_as_it_is():
    found = profiles.estimate(resnet(), 12, 40)

    assert (found.throughput_rps, found.origin) == (35, "measured")


def test_between_four_points_throughput_is_linear_and_p99_the_worst():
    found = profiles.estimate(resnet(), 9, 50)

    assert found.origin == "interpolated"
    assert found.throughput_rps == pytest.approx((25 + 34.5 + 35 + 46) / 4)
    assert found.p99_ms == resnet().at(6, 40).latency.p99_ms


def test_beyond_the_points_nothing_is_guessed_without_a_law():
    assert profiles.estimate(resnet(), 50, 40) is None


def test_beyond_the_points_the_law_tells():
    found = profiles.estimate(make_profile(make_point(12, 40, 35.0), law=LAW), 24, 80)

    assert found.origin == "law"
    assert 35 < found.throughput_rps < 100


def test_a_missing_corner_is_not_filled_in():
    points = [point for point in resnet().points if point.key != (12, 60)]

    assert profiles.estimate(make_profile(*points), 9, 50) is None


def test_a_side_that_is_none_is_refused():
    with pytest.raises(ValueError, match="quota 0"):
        profiles.estimate(resnet(), 12, 0)
