"""The gauge that is the second door."""

from prometheus_client import CollectorRegistry, generate_latest

from gshare_autoscaler.answers import About, Answers, Target
from gshare_autoscaler.conditions import Reason, Trouble
from gshare_autoscaler.doors.metrics import DesiredReplicas


def scraped(answers):
    registry = CollectorRegistry()
    registry.register(DesiredReplicas(answers))
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_each_number_is_a_series_with_its_function():
    answers = Answers(60.0)
    answers.decided(Target("team", "resnet-12-40"), About("resnet"), 3)
    answers.decided(Target("team", "resnet-24-20"), About("resnet"), 0)

    series = 'gshare_desired_replicas{{deployment="{}",function="resnet",namespace="team"}} {}'
    assert scraped(answers) == [
        series.format("resnet-12-40", "3.0"),
        series.format("resnet-24-20", "0.0"),
    ]


def test_what_has_no_number_has_no_series():
    answers = Answers(60.0)
    answers.withheld(Target("team", "a"), About("f"), Trouble(Reason.NO_DATA, "none"))

    assert scraped(answers) == []
