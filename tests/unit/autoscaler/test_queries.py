"""Queries: presets and a user's own."""

import pytest

from gshare import names
from gshare_autoscaler import queries

VALUES = {"namespace": "team", "function": "resnet", "window": "30s"}


def promql(text):
    return queries.query(text, "here", VALUES).promql


def test_the_default_asks_for_arrivals_of_the_function():
    assert promql(queries.DEFAULT) == (
        f'sum(rate({names.METRIC_FUNCTION_REQUESTS}{{namespace="team",function="resnet"}}[30s]))'
    )


def test_openfaas_names_a_function_with_its_namespace():
    assert 'function_name="resnet.team"' in promql("openfaas")


@pytest.mark.parametrize("preset", queries.PRESETS)
def test_no_variable_is_left_in_a_preset(preset):
    assert "$" not in promql(preset)


def test_promql_of_a_user_may_hold_the_variables():
    own = 'sum(rate(hits{ns="$namespace",path=~"/$function/.*$"}[$window]))'

    assert promql(own) == 'sum(rate(hits{ns="team",path=~"/resnet/.*$"}[30s]))'


def test_a_dollar_that_begins_no_variable_stays():
    assert promql('up{job=~"a$",x="$name"}') == 'up{job=~"a$",x="$name"}'


@pytest.mark.parametrize(
    ("text", "window_s"),
    [
        ("gshare", 30.0),
        ("sum(rate(a[5m])) + sum(rate(b[90s]))", 300.0),
        ("max_over_time(sum(rate(a[1m]))[2m:10s])", 120.0),
        ("sum(increase(a[1d])) / 86400", 300.0),
        ("load_now", 0.0),
    ],
    ids=["a preset", "the longest of several", "a subquery", "a day", "no range"],
)
def test_a_query_averages_over_its_longest_range(text, window_s):
    assert queries.query(text, "here", VALUES).window_s == window_s
