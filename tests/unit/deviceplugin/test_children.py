"""How long a child that ended waits for its next start."""

from gshare_deviceplugin.children import Pause


def test_a_child_that_lasted_is_back_at_once() -> None:
    assert Pause(5).after(60.0).seconds(10) < 0.05


def test_each_start_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    pause, seconds = Pause(), []
    for _ in range(6):
        pause = pause.after(0.1)
        seconds.append(pause.seconds(0.4))

    assert seconds == [0.05, 0.1, 0.2, 0.4, 0.4, 0.4]


def test_endless_failures_do_not_overflow() -> None:
    assert Pause(10_000).seconds(10) == 10
