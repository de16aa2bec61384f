"""What a measurement may say: types, ranges and lengths of every field, checked before a row is written and after it was read.

A row that breaks a rule would break every later fit or report, or would be believed. The limits are far outside what any FPGA has.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_BODY = 1 << 20  # characters of one row's JSON; real ones have about 1 500
MOST_FEATURES = 1000
_NAME, _OPTIONS, _PATH = 200, 1000, 4096  # characters; the eight names of a key fit into one page of a server's index
_PLAIN = re.compile(r"[A-Za-z][\w.+-]*")
_NOTHING = ("nan", "none", "null", "inf", "infinity")  # what tables write for a missing value
_MAY_BE_EMPTY = ("version", "options")
# controls, marks that turn the direction of writing, and halves of characters
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class FieldError(ValueError):
    """A field that cannot be: its name, what it holds, and what was expected."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field, self.value, self.expected = field, _short(value), expected
        super().__init__(f"{self.field} is {self.value}; expected {expected}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(value) if isinstance(value, str) else len(text)} characters)"


@dataclass(frozen=True, slots=True)
class _Number:
    low: float
    high: float
    whole: bool = False
    optional: bool = True

    def __call__(self, field: str, value: object) -> None:
        if value is None and self.optional:
            return
        fine = isinstance(value, int if self.whole else (int, float)) and not isinstance(value, bool)
        if not fine or not self.low <= value <= self.high:  # type: ignore[operator]
            kind = "a whole number" if self.whole else "a number"
            none = ", or null" if self.optional else ""
            raise FieldError(field, value, f"{kind} from {self.low:g} to {self.high:g}{none}")


@dataclass(frozen=True, slots=True)
class _ShortText:
    longest: int
    empty: bool = True

    def __call__(self, field: str, value: object) -> None:
        if not isinstance(value, str) or len(value) > self.longest or _UNPRINTABLE.search(value) or not (value or self.empty):
            least = "" if self.empty else "1 to "
            raise FieldError(
                field, value, f"text of {least}{self.longest} printable characters" + (" at most" if self.empty else "")
            )


def _yes_or_no(field: str, value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise FieldError(field, value, "true, false or null")


def _features(field: str, value: object) -> None:
    if not isinstance(value, Mapping) or len(value) > MOST_FEATURES:
        raise FieldError(field, value, f"an object of at most {MOST_FEATURES} numbers")
    for name, number in value.items():
        if type(number) is float and -_LARGEST <= number <= _LARGEST and len(name) <= _NAME and name.isidentifier():
            continue  # nearly all: a store has millions of them
        _FEATURE_NAME("the name of a feature", name)
        _FEATURE(f"{field}.{name}", number)


_LARGEST = 1e15
_FEATURE_NAME, _FEATURE = _ShortText(_NAME, empty=False), _Number(-_LARGEST, _LARGEST, optional=False)
_Rule = Callable[[str, object], None]


@dataclass(frozen=True, slots=True)
class _Object:
    rules: Mapping[str, _Rule]
    required: tuple[str, ...] = ()

    def __call__(self, field: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise FieldError(field, value, "an object")
        prefix = "" if field == "body" else f"{field}."
        for name in self.required:
            if name not in value:
                raise FieldError(f"{prefix}{name}", None, "to be there")
        for name, found in value.items():
            rule = self.rules.get(name)
            if rule is None:
                raise FieldError(field, name, f"only fields of {', '.join(self.rules)}")
            rule(f"{prefix}{name}", found)


_COUNT, _CYCLES, _SPENT = _Number(0, 1e9), _Number(0, 10**12, whole=True), _Number(0, 1e10, optional=False)
_BODY = _Object(
    {
        "family": _ShortText(_NAME),
        "resources": _Object(dict.fromkeys(("lut", "ff", "dsp", "bram36", "uram", "carry", "inverters"), _COUNT)),
        "timing": _Object(
            {"period_ns": _Number(0, 1e9), "slack_ns": _Number(-1e9, 1e9), "fmax_mhz": _Number(0, 1e9), "met": _yes_or_no}
        ),
        "latency": _Object(dict.fromkeys(("min_cycles", "max_cycles", "interval"), _CYCLES)),
        "features": _features,
        "seconds": _SPENT,
        "peak_mb": _SPENT,
        "when": _ShortText(_NAME),
        "log": _ShortText(_PATH),
        "host": _ShortText(_NAME),
        "power_w": _Number(0, 1e6),
        "group": _ShortText(_NAME),
    },
    ("family", "resources", "timing", "latency"),
)


def check_key(key: Mapping[str, object]) -> None:
    """Raises FieldError: a name of a key that is no short printable text."""
    for name, value in key.items():
        _ShortText(_OPTIONS if name == "options" else _NAME, empty=name in _MAY_BE_EMPTY)(name, value)
        if name in ("tool", "stage", "board") and (not _PLAIN.fullmatch(str(value)) or str(value).lower() in _NOTHING):
            raise FieldError(name, value, "a name that begins with a letter, of letters, digits and . + - _")


def check_content(content: object) -> None:
    """Raises FieldError: what a measurement holds beside its key (`Measurement.body`) cannot be."""
    _BODY("body", content)


def parse_body(body: object) -> dict[str, Any]:
    """The content of a row's JSON, checked.

    Raises:
        FieldError: no JSON, or a field that cannot be.
    """
    if not isinstance(body, str) or len(body) > LONGEST_BODY:
        raise FieldError("body", body, f"JSON of at most {LONGEST_BODY} characters")
    try:
        content = json.loads(body, parse_constant=lambda name: math.nan if name == "NaN" else math.inf)
    except (ValueError, RecursionError) as error:
        raise FieldError("body", body, f"JSON ({error})") from error
    check_content(content)
    return dict(content)


def counted_in(content: Mapping[str, Any]) -> float:
    """By which version its features were counted (`hwq.cost.features.VERSION`); 0 where there are none."""
    return float(content.get("features", {}).get("counted", 0.0))
