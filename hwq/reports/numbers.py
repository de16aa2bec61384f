"""Numbers as vendor reports write them. What is no number and no known way to say "unknown" is refused, never guessed."""

from __future__ import annotations

import re

_PLAIN = r"\d+(?:\.\d*)?|\.\d+"
_GROUPED = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?"
_NUMBER = re.compile(
    rf"[<>]?\s*([-+]?(?:{_GROUPED}|{_PLAIN})(?:[eE][-+]?\d+)?)"  # 60.5, <0.001, 4.578e+10, 1,058,330
    r"\s*%?"  # 12.5%
    r"\s*(?:[\[(]\s*[~<>]?\s*\d+(?:\.\d+)?\s*%\s*[\])])?"  # 22080 [  2.53%], 126 (~0%), 19879(37.37%)
    r"\s*\*{0,3}"  # a footnote mark: 13.523**
)
_RANGE = re.compile(r"(\S+)\s*~\s*(\S+)")
_TIME = re.compile(r"(\S+)\s*(fs|ps|ns|us|ms|sec|s)")
_NS = {"fs": 1e-6, "ps": 1e-3, "ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9, "sec": 1e9}
# a counter that was never set, or ran over, as C prints it: the limits of 32 and 64 bits, signed and unsigned
_UNSET = frozenset({-(2**31), 2**31 - 1, 2**32 - 1, -(2**63), 2**63 - 1, 2**64 - 1})
UNKNOWN = frozenset(
    {"", "?", "-", "--", "---", "~", "undef", "na", "n/a", "none", "inf", "-inf", "+inf", "nan", "~0", "unspecified"}
)


def number(text: str | None) -> float | None:
    """`22080 [ 2.53%]`, `<0.01`, `60.5`, `-2.212`, `1,058,330` -> the number; `?`, `-`, `undef`, `NA`, `inf` -> None.

    Raises:
        ValueError: anything else, half a number among them (`12x4`, `5,00`, `1.2.3`).
    """
    cleaned = (text or "").strip()
    if cleaned.lower() in UNKNOWN:
        return None
    match = _NUMBER.fullmatch(cleaned)
    if match is None or not cleaned.isascii():
        raise ValueError(f"{text!r} is no number")
    return float(match[1].replace(",", ""))


def whole(text: str | None) -> int | None:
    """As `number`, for counts; None also for what a counter holds that was never set (-2147483648).

    Raises:
        ValueError: no number, a fraction, or less than zero.
    """
    value = number(text)
    if value is None or _is_unset(text):
        return None
    if value != int(value):
        raise ValueError(f"{text!r} is no whole number")
    if value < 0:
        raise ValueError(f"{text!r} is less than zero")
    return int(value)


def _is_unset(text: str | None) -> bool:
    cleaned = (text or "").strip()
    return cleaned.lstrip("-").isdecimal() and int(cleaned) in _UNSET  # as an integer: 2^64 - 1 is no float


def count(text: str | None) -> float | None:
    """As `number`, for counts that may end in a half (block RAM tiles); an int where it is whole.

    Raises:
        ValueError: no number, or less than zero.
    """
    value = number(text)
    if value is not None and value < 0:
        raise ValueError(f"{text!r} is less than zero")
    return int(value) if value is not None and value == int(value) else value


def whole_range(text: str | None) -> tuple[int | None, int | None]:
    """`6 ~ 69850` -> (6, 69850); `17` -> (17, 17); `?` -> (None, None).

    Raises:
        ValueError: no number, or a range that runs backwards.
    """
    match = _RANGE.fullmatch((text or "").strip())
    if match is None:
        value = whole(text)
        return value, value
    low, high = whole(match[1]), whole(match[2])
    if low is not None and high is not None and low > high:
        raise ValueError(f"{text!r} runs backwards")
    return low, high


def nanoseconds(text: str | None) -> float | None:
    """`10.00 ns`, `2.5us`, `10.00` (taken as ns) -> ns.

    Raises:
        ValueError: no number, or less than zero.
    """
    cleaned = (text or "").strip()
    match = _TIME.fullmatch(cleaned)
    value = number(match[1] if match else cleaned)
    if value is not None and value < 0:
        raise ValueError(f"{text!r} is less than zero")
    return value * _NS[match[2]] if match and value is not None else value


def slack_of(target: float | None, uncertainty: float | None, estimate: float | None) -> float | None:
    """What is left of the clock in ns, to the last digit that a report has; None where a period is not said."""
    return None if target is None or estimate is None else round(target - (uncertainty or 0.0) - estimate, 6)
