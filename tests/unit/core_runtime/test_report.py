"""Reports have one form, and a claim is judged before it is rounded."""

import json

import pytest

from gshare.runtime.report import Claim, Report


@pytest.mark.parametrize(
    ("sign", "value", "holds"),
    [
        pytest.param(">=", 97.0, True, id="at-least-and-equal"),
        pytest.param(">=", 96.99999, False, id="just-below-is-not-rounded-up"),
        pytest.param("<=", 97.00001, False, id="just-above-is-not-rounded-down"),
        pytest.param("==", 97.0, True, id="exactly"),
    ],
)
def test_a_claim_is_judged_unrounded(sign, value, holds):
    assert Claim.compare("delivered", value, "percent", sign, 97).holds is holds


def test_a_report_carries_claims_cases_machine_and_simulated(tmp_path):
    path = tmp_path / "bench" / "x.json"
    claim = Claim.compare("gpus_used", 1, "GPUs", "==", 1)

    Report([claim], [{"mode": "shared"}], simulated=True, conditions={"time_scale": 4}).write(path)

    document = json.loads(path.read_text())
    assert document["claims"] == [
        {"name": "gpus_used", "value": 1, "unit": "GPUs", "bar": "== 1", "holds": True}
    ]
    assert document["cases"] == [{"mode": "shared"}]
    assert document["simulated"] is True
    assert document["machine"]["cores"] >= 1


def test_one_broken_claim_breaks_the_report():
    good = Claim.compare("a", 1, "", ">=", 1)
    bad = Claim.compare("b", 0, "", ">=", 1)

    assert Report([good], [], simulated=True).holds
    assert not Report([good, bad], [], simulated=True).holds


def test_writing_a_report_leaves_no_partial_file(tmp_path):
    Report([], [], simulated=False).write(tmp_path / "r.json")

    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
