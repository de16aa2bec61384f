"""Numbers as vendor reports write them."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[<>]?\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
UNKNOWN = frozenset({"", "?", "-", "~", "undef", "na", "n/a", "none", "inf", "-inf", "~0"})


def number(text: str | None) -> float | None:
    """`22080 [ 2.53%]`, `<0.01`, `60.5`, `-2.212` -> the number; `?`, `-`, `undef`, `NA`, `inf` -> None.

    Raises:
        ValueError: anything else.
    """
    cleaned = (text or "").strip().replace(",", "")
    if cleaned.lower() in UNKNOWN:
        return None
    match = _NUMBER.match(cleaned)
    if match is None:
        raise ValueError(f"{text!r} is no number")
    return float(match[1])


def whole(text: str | None) -> int | None:
    """As `number`, for counts.

    Raises:
        ValueError: a fraction.
    """
    value = number(text)
    if value is not None and value != int(value):
        raise ValueError(f"{text!r} is no whole number")
    return None if value is None else int(value)
