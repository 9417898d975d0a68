"""The demo's claims hold where every promise was kept, and fail where one was not."""

import dataclasses

import pytest

from gshare_cli.demo_result import ModeResult, ReplicaResult, claims
from gshare_cli.usage import GpuUsage, Usage


def gpu(max_concurrent_sm_percent: int = 98) -> GpuUsage:
    return GpuUsage("GPU-0", "V100", 30.0, 97.0, 31.0, max_concurrent_sm_percent)


def replica(delivered_percent: float = 40.0, **changes: object) -> ReplicaResult:
    kept = ReplicaResult("resnet-0", "resnet", 12, 40, 100, delivered_percent, 27.4)
    return dataclasses.replace(kept, **changes)  # type: ignore[arg-type]


def shared(*replicas: ReplicaResult, gpus: tuple[GpuUsage, ...] = (gpu(),)) -> ModeResult:
    return ModeResult("shared", 30.0, Usage(gpus, {}), replicas or (replica(),), 30.0)


def broken(result: ModeResult) -> list[str]:
    return [claim.name for claim in claims(result) if not claim.holds]


def test_all_claims_hold_where_every_promise_was_kept() -> None:
    assert broken(shared(replica(), replica(38.9))) == []


@pytest.mark.parametrize(
    ("result", "claim"),
    [
        pytest.param(
            shared(replica(), replica(38.7)), "least_delivered_of_request", id="one got too little"
        ),
        pytest.param(
            shared(replica(62.1, quota_limit_percent=60)), "most_above_limit", id="one got too much"
        ),
        pytest.param(shared(gpus=(gpu(), gpu())), "gpus_used", id="a second GPU"),
        pytest.param(shared(gpus=(gpu(101),)), "max_concurrent_sm", id="SMs over-committed"),
    ],
)
def test_a_broken_promise_fails_its_claim_alone(result: ModeResult, claim: str) -> None:
    assert broken(result) == [claim]


def test_a_case_has_the_figures_that_the_report_promises() -> None:
    case = shared(replica(39.996)).as_case()

    assert case["mode"] == "shared"
    assert case["gpus_used"] == 1
    assert case["replicas"] == [
        {
            "name": "resnet-0",
            "function": "resnet",
            "sm": 12,
            "quota_request": 40,
            "quota_limit": 100,
            "delivered_percent": 40.0,
            "requests_per_second": 27.4,
        }
    ]


def test_the_rate_of_a_function_is_the_sum_of_its_replicas() -> None:
    result = shared(replica(), replica(), replica(function="bert", requests_per_second=19.5))

    assert result.requests_per_second("resnet") == pytest.approx(54.8)
    assert result.requests_per_second() == pytest.approx(74.3)
