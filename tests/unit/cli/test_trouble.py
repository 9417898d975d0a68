"""A trouble is told once for as long as it lasts."""

from gshare_cli.trouble import Trouble


def test_a_trouble_that_lasts_is_told_once() -> None:
    told: list[str] = []
    trouble = Trouble(told.append)

    for text in ("away", "away", "", "away", "full"):
        trouble.is_now(text)

    assert told == ["away", "away", "full"]
