"""PodDisruptionBudgets as the chooser of victims takes them."""

import msgspec
import pytest
from tests.support.ledgers import placed

from gshare_extender.budgets import PodDisruptionBudget


def budget(selector, allowed=1):
    body = {
        "metadata": {"name": "guard", "namespace": "team"},
        "spec": {"selector": selector, "maxUnavailable": 1},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 3},
    }
    return msgspec.convert(body, PodDisruptionBudget).budget


def test_a_budget_says_how_many_may_go():
    found = budget({"matchLabels": {"app": "a"}}, allowed=2)

    assert (found.namespace, found.name, found.allowed) == ("team", "guard", 2)


@pytest.mark.parametrize(
    ("selector", "covered"),
    [
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "front"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Unheard"}]}, True),
    ],
    ids=[
        "everything",
        "a label",
        "a label that is missing",
        "in",
        "not in",
        "not in, absent",
        "exists",
        "exists, absent",
        "does not exist",
        "does not exist, present",
        "an operator that is none covers, to be careful",
    ],
)
def test_a_selector_covers_as_the_api_server_has_it(selector, covered):
    assert budget(selector).covers(placed("p", labels={"app": "web"})) is covered


def test_a_budget_covers_no_other_namespace():
    assert not budget({}).covers(placed("p", namespace="elsewhere"))
