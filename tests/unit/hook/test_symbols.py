"""The hook's table of driver calls against the driver's own lists, as cuda-bindings has them.

A CUDA that is newer than the table fails here, name by name, until each of its calls is hooked,
gated, or known to need neither.
"""

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[3] / "hook" / "src" / "hook"
TWINS = re.compile(r"^GSHARE_LAUNCH_TWINS\((\w+), (\w+), (\w+), (\d+), (\d+),", re.MULTILINE)
ROW = re.compile(r"^GSHARE_(?:LAUNCH|HOOKED)\((\w+), (\w+), (\d+),", re.MULTILINE)
OWN_CALL = re.compile(r"^GSHARE_REAL\((\w+),", re.MULTILINE)
UNHOOKED = re.compile(r"GSHARE_UNHOOKED\((cu\w+)\)")
DECLARED = re.compile(r"^cdef CUresult (cu\w+)\(", re.MULTILINE)
ASKED = re.compile(r"cuGetProcAddress_v2\('(cu\w+)', .*, (\d+), ptds_mode")


@dataclass(frozen=True, slots=True)
class Table:
    """What symbols.def says."""

    symbols: frozenset[str]
    versions: frozenset[tuple[str, int]]
    own_calls: frozenset[str]
    unhooked: frozenset[str]

    @property
    def bases(self) -> frozenset[str]:
        """Names of which some version is intercepted."""
        return frozenset(base for base, _ in self.versions)

    def knows(self, symbol: str) -> bool:
        """Return whether an exported name is in the table."""
        base = re.sub(r"_v\d+$", "", symbol)
        own = {base, symbol} & self.own_calls
        return symbol in self.symbols or bool(own) or base in self.unhooked


@cache
def table() -> Table:
    """Read symbols.def and the files that it includes."""
    text = "".join(path.read_text() for path in sorted(SOURCES.glob("symbols*.def")))
    twins = TWINS.findall(text)
    rows = ROW.findall(text)
    symbols = {row[0] for row in rows}
    symbols |= {name for row in twins for name in (row[0], f"{row[0]}_{row[1]}")}
    versions = {(base, int(since)) for _, base, since in rows}
    versions |= {(row[2], int(since)) for row in twins for since in row[3:]}
    own_calls = {re.sub(r"_v\d+$", "", name) for name in OWN_CALL.findall(text)}
    return Table(
        frozenset(symbols),
        frozenset(versions),
        frozenset(own_calls),
        frozenset(UNHOOKED.findall(text)),
    )


def bindings(name: str) -> str:
    """Return a file of the installed cuda-bindings; skip without one."""
    found = importlib.util.find_spec("cuda.bindings")
    if found is None or not found.submodule_search_locations:
        pytest.skip("cuda-bindings is not installed")
    path = Path(next(iter(found.submodule_search_locations))) / name
    if not path.is_file():
        pytest.skip(f"this cuda-bindings has no {name}")
    return path.read_text()


def test_every_driver_call_is_hooked_or_known_to_need_no_hook() -> None:
    declared = DECLARED.findall(bindings("cydriver.pxd"))

    unknown = [name for name in declared if not table().knows(name)]

    assert len(declared) > 400
    assert unknown == []


def test_every_version_of_a_hooked_call_that_clients_ask_for_is_hooked() -> None:
    asked = ASKED.findall(bindings("_internal/driver_linux.pyx"))

    unknown = [
        (base, int(since))
        for base, since in asked
        if base in table().bases and (base, int(since)) not in table().versions
    ]

    assert len(asked) > 400
    assert unknown == []


def test_no_call_is_both_hooked_and_left_alone() -> None:
    assert table().bases & table().unhooked == frozenset()
    assert len(table().bases) > 100
