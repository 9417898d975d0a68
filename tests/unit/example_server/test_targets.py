"""Targets of a load run are read from one word each."""

import pytest

from gshare_example_server.load import Target, TargetError


@pytest.mark.parametrize(
    ("text", "target"),
    [
        pytest.param(
            "a=http://h:1/infer", Target("a", "http://h:1/infer"), id="a closed loop by default"
        ),
        pytest.param(
            "a=http://h:1/,users=9", Target("a", "http://h:1/", users=9), id="as many users"
        ),
        pytest.param(
            "a=http://h:1/,users=9,rate=2.5",
            Target("a", "http://h:1/", users=9, rate_rps=2.5),
            id="a fixed rate",
        ),
    ],
)
def test_a_target_is_read_and_written_as_one_word(text: str, target: Target) -> None:
    assert Target.parse(text) == target
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("http://h:1/", id="no name"),
        pytest.param("a=ftp://h/", id="not http"),
        pytest.param("a=http://h/,users=0", id="no users"),
        pytest.param("a=http://h/,users=many", id="users not a number"),
        pytest.param("a=http://h/,speed=3", id="an unknown option"),
    ],
)
def test_a_target_that_no_load_can_be_put_on_is_refused(text: str) -> None:
    with pytest.raises(TargetError):
        Target.parse(text)
