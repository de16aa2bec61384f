"""Physical units that users type and reports print: the clock period. What a clock means to a design is not known here."""

from __future__ import annotations

import math
import numbers
import re
import threading
from dataclasses import dataclass

from hwq.errors import UsageError

_CLOCK = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(ns|ps|us|khz|mhz|ghz|hz)\s*", re.IGNORECASE)
FASTEST_NS, SLOWEST_NS = 0.1, 1e6
LOWEST_HZ = 1e5
_TO_NS = {"ps": 1e-3, "ns": 1.0, "us": 1e3}
_TO_MHZ = {"hz": 1e-6, "khz": 1e-3, "mhz": 1.0, "ghz": 1e3}


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A clock period in nanoseconds, greater than zero."""

    ns: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.ns) and self.ns > 0):
            raise UsageError(f"a clock period must be a positive number of ns, not {self.ns}")
        if not FASTEST_NS <= self.ns <= SLOWEST_NS:
            raise UsageError(f"no board has a clock of {self.mhz:g} MHz", hint="a clock has 1 kHz to 10 GHz")

    @property
    def mhz(self) -> float:
        return 1e3 / self.ns

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read `200MHz`, `5ns`, `0.2 GHz` ...

        Raises:
            UsageError: no number with a unit of time or frequency.
        """
        match = _CLOCK.fullmatch(text)
        if match is None:
            raise UsageError(f"cannot read {text!r} as a clock", hint="give a frequency or a period with its unit: 200MHz, 5ns")
        number, unit = float(match[1]), match[2].lower()
        if number <= 0:
            raise UsageError(f"the clock {text!r} must be greater than zero", hint="for example 200MHz or 5ns")
        return cls(number * _TO_NS[unit]) if unit in _TO_NS else cls(1e3 / (number * _TO_MHZ[unit]))

    @classmethod
    def of(cls, clock: object) -> Period:
        """A clock as a user gives it: a Period, a text as `parse` takes, or a number of hertz (200e6).

        Raises:
            UsageError: anything else, and numbers below 100 kHz, which were meant in another unit.
        """
        if isinstance(clock, Period):
            return clock
        if isinstance(clock, str):
            return cls.parse(clock)
        if isinstance(clock, bool) or not isinstance(clock, (int, float)):
            raise UsageError(f"cannot read a {type(clock).__name__} as a clock", hint="give 200MHz, 5ns, 200e6 (hertz) or a Period")
        if not (math.isfinite(clock) and clock >= LOWEST_HZ):
            raise UsageError(
                f"a clock of {clock:g} Hz is too slow", hint=f"a number is in hertz; say the unit: {clock:g}MHz, {clock:g}ns"
            )
        return cls(1e9 / clock)

    def __str__(self) -> str:
        return f"{self.ns:g} ns ({self.mhz:g} MHz)"


def limit_s(seconds: float | None) -> float | None:
    """The seconds that a program may run, checked; None: without a limit.

    Raises:
        UsageError: no number, or none between 0 and what a clock can count.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real):
        raise UsageError(f"a limit of {seconds!r} seconds: it is a number", hint="None for no limit")
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise UsageError(
            f"a limit of {seconds} seconds: no program ends in time, or no clock counts so far", hint="None for no limit"
        )
    return float(seconds)


def whole_clocks(interval: object) -> int:
    """The clocks from one row to the next, checked.

    Raises:
        UsageError: no whole number from 1 on.
    """
    if isinstance(interval, bool) or not isinstance(interval, numbers.Integral):
        raise UsageError(f"an interval of {interval!r} clocks: it is a number of whole clocks", hint="1 takes a row every clock")
    if interval < 1:
        raise UsageError(f"an interval of {interval} clocks", hint="1 takes a row every clock")
    return int(interval)
