"""How claims are ordered and shown: those that fail come first."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from gshare.runtime.report import Claim

_LEAST_WIDTH = 120


def console() -> Console:
    """Return where to print; wide enough for our tables where the terminal does not tell."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=_LEAST_WIDTH)


def failing_first(claims: Iterable[Claim]) -> list[Claim]:
    """Return the claims that fail, then the others, each in the order given."""
    return sorted(claims, key=lambda claim: claim.holds)


def show(out: Console, claims: Sequence[Claim]) -> None:
    """Print a line a claim, and how many fail."""
    table = Table("claim", "value", "bar", "holds")
    for claim in claims:
        holds = "yes" if claim.holds else "[red]no[/red]"
        table.add_row(claim.name, f"{claim.value:g} {claim.unit}", claim.bar, holds)
    out.print(table)
    failing = sum(not claim.holds for claim in claims)
    out.print(f"{failing} of {len(claims)} bars fail")
