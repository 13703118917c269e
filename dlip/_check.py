"""Checks that several modules share. Each raises an error that says what was expected."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def known(name: str, names: Iterable[str], what: str) -> str:
    """Return `name` if it is one of `names`; otherwise say which ones there are.

    Raises
    ------
    TypeError
        If `name` is not a string.
    ValueError
        If `name` is not one of `names`. The message lists them and suggests the nearest.
    """
    names = list(names)
    if not isinstance(name, str):
        raise TypeError(f"expected the name of a {what} as a string, got {describe(name)}")
    if name in names:
        return name
    near = get_close_matches(name.lower(), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {what} {name!r}.{hint} Known: {', '.join(names)}")


def integer(value: int, what: str, *, least: int) -> int:
    """Return `value` if it is an integer that is not below `least`.

    Raises
    ------
    TypeError
        If `value` is no integer (a bool does not count as one).
    ValueError
        If `value` is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected {what} to be an integer, got {describe(value)}")
    if value < least:
        raise ValueError(f"expected {what} to be at least {least}, got {value}")
    return value


def describe(value: Any) -> str:
    """Say briefly what `value` is, for error messages: its type and, if short, its value."""
    text = repr(value)
    kind = type(value).__name__
    return f"{text} ({kind})" if len(text) <= 40 else kind
