"""Label selectors as queries write them."""

import pytest

from gshare_autoscaler.doors import labels

LABELS = {"app": "web", "tier": "gold", "gpus": "4", "gshare.io/function": "resnet", "empty": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("  ", True),
        ("app=web", True),
        ("app == web", True),
        ("app=shop", False),
        ("app!=shop", True),
        ("app!=web", False),
        ("absent!=web", True),
        ("app in (web, shop)", True),
        ("app in (shop)", False),
        ("app notin (shop,store)", True),
        ("app notin (web)", False),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("!app", False),
        ("gpus>3", True),
        ("gpus > 4", False),
        ("gpus<5", True),
        ("app>3", False),
        ("absent<3", False),
        ("empty=", True),
        ("app=", False),
        ("gshare.io/function=resnet", True),
        ("app=web,tier in (gold,silver),!absent", True),
        ("app=web,tier=silver", False),
    ],
)
def test_a_selector_means_what_the_api_means_by_it(text, expected):
    assert labels.hold(labels.parse(text), LABELS) is expected


@pytest.mark.parametrize(
    "text",
    [
        "app web",
        "=web",
        "app=web,",
        ",",
        "app in web",
        "app in (we b)",
        "app=w!b",
        "gpus>many",
        "!",
    ],
)
def test_a_selector_that_means_nothing_is_refused(text):
    with pytest.raises(labels.SelectorError, match="selector: "):
        labels.parse(text)
