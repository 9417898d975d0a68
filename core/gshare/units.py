"""Reads the quantities that users write: whole percents, Kubernetes memory, durations."""

import functools
import re
from fractions import Fraction
from typing import Final

# Decimal and binary suffixes of Kubernetes quantities, and the exponent form.
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_SUFFIXES: Final = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[KMGTPE]i|[numkMGTPE]?))"
)
_LARGEST_BYTES: Final = 2**63 - 1
_DURATIONS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_DURATION: Final = re.compile(r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,12})?)(?P<unit>ms|s|m|h)")
_LONGEST_MS: Final = 86_400_000


def whole_percent(value: object) -> int:
    """Return a percentage from 1 to 100, written as an integer or as a Kubernetes quantity.

    ValueError, with a text that says what would do, for anything else: fractions ("12.5",
    "500m"), 0, more than 100 (also in the form "20k", as the API server writes 20000), booleans.
    """
    amount = _quantity(value, "a whole percent from 1 to 100, such as 12")
    if amount.denominator != 1:
        raise ValueError("must be a whole percent from 1 to 100, not a fraction")
    if not 1 <= amount <= 100:
        raise ValueError("must be a whole percent from 1 to 100")
    return int(amount)


def memory_bytes(value: object) -> int:
    """Return the bytes that a Kubernetes quantity means, such as "1500Mi", "1.5Gi", "2e9" or 4096.

    A part of a byte counts as a whole one, as in Kubernetes. ValueError for anything else, for
    less than one byte and for more than 2^63 - 1.
    """
    amount = _quantity(value, "an amount of memory, such as 1500Mi or 2Gi")
    if amount <= 0:
        raise ValueError("must be an amount of memory above 0, such as 1500Mi")
    whole = -(-amount.numerator // amount.denominator)
    if whole > _LARGEST_BYTES:
        raise ValueError("must be an amount of memory below 8Ei")
    return whole


def memory_text(amount_bytes: int) -> str:
    """Return an amount of memory as people read it, such as "1.5Gi", rounded to a tenth."""
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        unit = int(_SUFFIXES[suffix])
        if amount_bytes >= unit:
            tenths = round(Fraction(10 * amount_bytes, unit))
            whole, tenth = divmod(tenths, 10)
            return f"{whole}.{tenth}{suffix}" if tenth else f"{whole}{suffix}"
    return str(amount_bytes)


def milliseconds(value: object) -> float:
    """Return the milliseconds that a duration means, such as "69ms", "1.5s" or "5m".

    ValueError for anything else, for a number without a unit, for 0 and for more than a day.
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration with its unit, such as 69ms or 1.5s")
    amount = float(match["number"]) * _DURATIONS_MS[match["unit"]]
    if not 0 < amount <= _LONGEST_MS:
        raise ValueError("must be a duration above 0, of at most a day, such as 69ms or 1.5s")
    return amount


def _quantity(value: object, wanted: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {wanted}")  # noqa: TRY004 (callers expect one error)
    if isinstance(value, int):
        return Fraction(value)
    amount = _amount(str(value))
    if amount is None:
        raise ValueError(f"must be {wanted}")
    return amount


@functools.lru_cache(1024)
def _amount(text: str) -> Fraction | None:
    """Return what a quantity means, None where it is none. A cluster's pods write few different."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    if match["exponent"] is not None:
        return Fraction(match["number"]) * Fraction(10) ** int(match["exponent"])
    return Fraction(match["number"]) * _SUFFIXES[match["suffix"]]
