"""The keeper's rule: killed in place of any step, the next one finds everything in agreement.

No running container loses its lease or its pages, no ended one keeps any, and nothing is left that
no record names.
"""

import contextlib
from collections.abc import Callable

import pytest
from tests.support.keeper_node import KeeperNode, Killed, keeper_node, killed_after

_MOST_STEPS = 200


def first_start(node: KeeperNode) -> None:
    node.start("a")


def start_beside_others(node: KeeperNode) -> None:
    node.start("c", 50, 60)


def start_again(node: KeeperNode) -> None:
    node.start("a")


def start_with_other_devices(node: KeeperNode) -> None:
    node.start("a", ids="others")


def start_with_the_devices_of_one_that_left(node: KeeperNode) -> None:
    del node.live["a"]
    node.answered.pop("a")
    node.start("c", ids="a")


def leave(node: KeeperNode) -> None:
    node.leave("a")


def ask_for_less(node: KeeperNode) -> None:
    node.ask("b", 30)


def ask_for_more(node: KeeperNode) -> None:
    node.ask("a", 70)


def ask_and_start_again(node: KeeperNode) -> None:
    node.ask("b", 20)
    node.ask("a", 80)
    node.start("a")


def leave_and_start(node: KeeperNode) -> None:
    node.leave("b")
    node.start("c", 50, 60)
    node.start("a")


def nothing(_: KeeperNode) -> None:
    """Begin with an empty node."""


def two(node: KeeperNode) -> None:
    node.start("a")
    node.start("b", 50, 60)


def two_halves(node: KeeperNode) -> None:
    node.start("a", 50, 60)
    node.start("b", 50, 60)


def in_slices(node: KeeperNode) -> None:
    two_halves(node)
    start_what_only_slices_hold(node)


def start_what_only_slices_hold(node: KeeperNode) -> None:
    node.start("c", 50, 80)


@pytest.mark.parametrize(
    ("before", "action"),
    [
        pytest.param(nothing, first_start, id="first start"),
        pytest.param(two, start_beside_others, id="start beside others"),
        pytest.param(two, start_again, id="start again"),
        pytest.param(two, start_with_other_devices, id="start with other devices"),
        pytest.param(two, start_with_the_devices_of_one_that_left, id="devices used again"),
        pytest.param(two, leave, id="leave"),
        pytest.param(two, leave_and_start, id="leave and start"),
        pytest.param(two, ask_for_less, id="ask for less"),
        pytest.param(two, ask_for_more, id="ask for more"),
        pytest.param(two, ask_and_start_again, id="ask and start again"),
        pytest.param(two_halves, start_what_only_slices_hold, id="start in slices"),
        pytest.param(in_slices, ask_for_less, id="ask for less in slices"),
        pytest.param(in_slices, leave, id="leave slices"),
    ],
)
def test_a_keeper_killed_at_any_step_leaves_what_the_next_one_completes(
    before: Callable[[KeeperNode], None], action: Callable[[KeeperNode], None]
) -> None:
    for steps in range(_MOST_STEPS):
        with keeper_node() as node:
            before(node)
            with killed_after(steps) as taken, contextlib.suppress(Killed):
                action(node)

            node.revive()

            node.check()
        if taken[0] < steps:
            return
    raise AssertionError("it took more steps than expected")


def test_a_second_kill_during_the_repair_does_no_harm() -> None:
    for steps in range(0, 60, 3):
        with keeper_node() as node:
            two(node)
            with killed_after(steps), contextlib.suppress(Killed):
                leave_and_start(node)
            with killed_after(steps // 2), contextlib.suppress(Killed):
                node.revive()

            node.revive()

            node.check()
