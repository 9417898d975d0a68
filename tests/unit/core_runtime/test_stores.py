"""What the node tells a GPU's model store, and what it believes of what the store tells."""

import json
from pathlib import Path

import pytest

from gshare import names
from gshare.models import ModelShare
from gshare.runtime import leases, stores
from gshare.runtime.stores import Budget, Identity
from gshare.wire import Limits, Slice

GIB = 2**30
LIMITS = Limits("vit-0", "GPU-0", 12, 40, 100, (Slice(0, 40),), memory_limit_bytes=GIB)
VIT = Identity.of("team", "vit-0", "vit", ModelShare("vit", 2 * GIB))
PLAIN = Identity.of("team", "vit-0", "vit", None)


def identity_file(gpu: Path) -> Path:
    return leases.folder_of(gpu, "vit-0") / names.FILE_IDENTITY


def test_a_lease_says_who_it_is_and_which_model_it_announces(tmp_path: Path) -> None:
    leases.prepare(tmp_path, [LIMITS], {"vit-0": VIT})

    assert json.loads(identity_file(tmp_path).read_text()) == {
        "namespace": "team",
        "pod": "vit-0",
        "function": "vit",
        "model": "vit",
        "model_bytes": 2 * GIB,
    }


def test_an_identity_that_stays_is_not_touched(tmp_path: Path) -> None:
    leases.prepare(tmp_path, [LIMITS], {"vit-0": VIT})
    before = identity_file(tmp_path).stat().st_ino

    leases.prepare(tmp_path, [LIMITS], {"vit-0": VIT})

    assert identity_file(tmp_path).stat().st_ino == before


@pytest.mark.parametrize(
    ("is_announced", "runs", "caps", "left"),
    [
        pytest.param(True, False, [5, 3], 7, id="announced: what leases and context leave"),
        pytest.param(True, False, [9, 9], 0, id="announced and nothing left: still a store"),
        pytest.param(False, False, [5], None, id="not announced: no store"),
        pytest.param(False, True, [5], 10, id="it lingers in memory that nobody wants"),
        pytest.param(False, True, [8, 7], None, id="and ends where its context is wanted"),
    ],
)
def test_a_store_has_what_leases_leave(is_announced, runs, caps, left) -> None:
    assert stores.remaining(16, 1, caps, is_announced=is_announced, runs=runs) == left


def test_a_store_is_wanted_while_it_has_a_budget(tmp_path: Path) -> None:
    stores.write_budget(tmp_path, Budget(GIB, 0, ("team",)))
    before = stores.is_wanted(tmp_path)

    stores.write_budget(tmp_path, None)

    assert (before, stores.is_wanted(tmp_path)) == (True, False)


def test_what_a_store_kept_counts_only_while_one_is_wanted(tmp_path: Path) -> None:
    (tmp_path / names.FILE_RESIDENT).write_text('{"team/vit": 5}')
    without = stores.resident(tmp_path)

    stores.write_budget(tmp_path, Budget(GIB, 0))

    assert (without, stores.resident(tmp_path)) == ({}, {"team/vit": 5})


@pytest.mark.parametrize("text", ["", "[]", '{"team/vit": "5"}', '{"team/'])
def test_a_file_that_is_no_store_s_names_no_model(tmp_path: Path, text: str) -> None:
    stores.write_budget(tmp_path, Budget(GIB, 0))
    (tmp_path / names.FILE_RESIDENT).write_text(text)

    assert stores.resident(tmp_path) == {}


def test_only_leases_that_announce_a_model_wait_for_the_store(tmp_path: Path) -> None:
    both = [LIMITS, Limits("bert-0", "GPU-0", 12, 40, 100, (Slice(40, 40),))]
    leases.prepare(tmp_path, both, {"vit-0": VIT, "bert-0": PLAIN})
    before = stores.unserved(tmp_path)

    (leases.folder_of(tmp_path, "vit-0") / names.FILE_STORE_SOCKET).touch()

    assert (before, stores.unserved(tmp_path)) == (["vit-0"], [])


def test_a_socket_of_a_store_that_was_killed_does_not_answer(tmp_path: Path) -> None:
    leases.prepare(tmp_path, [LIMITS], {"vit-0": VIT})
    (leases.folder_of(tmp_path, "vit-0") / names.FILE_STORE_SOCKET).touch()

    assert not stores.answers(tmp_path, 1.0)
