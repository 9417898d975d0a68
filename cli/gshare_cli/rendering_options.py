"""Reads what `gshare render` is told on the command line; a wrong value is one line."""

import math
from collections.abc import Sequence

from gshare import scaling, units
from gshare.errors import InputError
from gshare.rendering import KEEPS, Aim, Keep, Load
from gshare.scaling import Shape


def refuse(option: str, value: object, problem: str) -> InputError:
    """Return the error that refuses the value of an option."""
    return InputError("command line", option, value, problem)


def shapes(texts: Sequence[str]) -> tuple[Shape, ...]:
    """Return the shapes that `--shape` names, each once, such as 12x40: SM by quota."""
    found = tuple(shape("--shape", text) for text in texts)
    for index, each in enumerate(found):
        if each in found[:index]:
            raise refuse("--shape", str(each), "stands twice: a shape has one Deployment")
    return found


def load(text: str | None) -> Load | None:
    """Return the rates that `--rate` names: one, or the least and the most, such as 10:100."""
    if text is None:
        return None
    low, _, high = text.rpartition(":")
    try:
        return Load(float(low or high), float(high))
    except ValueError as error:
        problem = "must be requests per second, the least and the most, such as 10:100"
        raise refuse("--rate", text, problem) from error


def peak(value: float | None, load_: Load | None) -> float | None:
    """Return the burst that quota limits are sized for, which needs rates to compare it with."""
    if value is None:
        return None
    if load_ is None:
        raise refuse("--peak", value, "goes with --rate")
    if not load_.most_rps <= value < math.inf:
        raise refuse("--peak", value, f"must be at least the highest rate, {load_.most_rps:g}")
    return value


def slo_ms(text: str | None) -> float | None:
    """Return the milliseconds that `--slo` means."""
    if text is None:
        return None
    try:
        return units.milliseconds(text)
    except ValueError as error:
        raise refuse("--slo", text, str(error)) from error


def policy(text: str) -> str:
    """Return the policy, which must be there."""
    if text not in scaling.POLICIES:
        raise refuse("--policy", text, f"must be {' or '.join(scaling.POLICIES)}")
    return text


def keep(text: str) -> Keep:
    """Return which replicas stay at no load."""
    for known in KEEPS:
        if text == known:
            return known
    raise refuse("--keep", text, f"must be {', '.join(KEEPS)}")


def at_least_one(option: str, value: int | None) -> int | None:
    """Return a number that must be 1 or more where it is given."""
    if value is not None and value < 1:
        raise refuse(option, value, "must be at least 1")
    return value


def check(aim: Aim, *, has_profile: bool) -> None:
    """Refuse options that say no shapes, or two ways to find them."""
    if aim.shapes and aim.load:
        raise refuse("--rate", f"{aim.load.most_rps:g}", "goes without --shape, which says enough")
    if not aim.shapes and aim.load is None:
        raise refuse("--rate", "", "is missing: it or --shape says which shapes there are")
    if not aim.shapes and not has_profile:
        raise refuse("--profile", "", "is missing: shapes for a rate come from one")


def shape(option: str, text: str) -> Shape:
    """Return the shape that an option names, such as 12x40: SM by quota."""
    sm, _, quota = text.partition("x")
    try:
        return Shape(int(sm), int(quota))
    except ValueError as error:
        problem = "must be SM x quota in whole percents, such as 12x40"
        raise refuse(option, text, problem) from error
