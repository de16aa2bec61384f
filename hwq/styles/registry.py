"""The styles that there are, by name. Each is loaded when it is asked for: the names alone are on every command line."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

from hwq.errors import UsageError

if TYPE_CHECKING:
    from hwq.styles.base import Style

# name -> (module whose STYLE it is, what it does, for --help); of equal counts the first is taken
STYLES: dict[str, tuple[str, str]] = {
    "serial": ("hwq.styles.serial.style", "sums some bits a clock"),
    "mac": ("hwq.styles.mac.style", "products in lanes with weights in memories"),
}


def choices() -> tuple[str, ...]:
    """What may be asked for: "auto", the least by count; "parallel", none of the styles; or a style's name."""
    return ("auto", "parallel", *STYLES)


def require_choice(fold: str) -> str:
    """`fold` itself.

    Raises:
        UsageError: it is none of `choices`.
    """
    if fold not in choices():
        raise UsageError(f"there is no way to fold called {fold!r}", hint=f"one of: {', '.join(choices())}")
    return fold


def style(name: str) -> Style:
    """A style by its name, a key of STYLES."""
    found: Style = importlib.import_module(STYLES[name][0]).STYLE
    return found


def styles() -> list[Style]:
    """All of them, in order."""
    return [style(name) for name in STYLES]


def split_hardware(hardware: str | None) -> tuple[str, int] | None:
    """("serial", 2) of what a plan in a style says, "serial:2"; None of anything else."""
    found = re.fullmatch("([a-z]+):([0-9]{1,9})", hardware or "")
    return (found[1], int(found[2])) if found is not None and found[1] in STYLES else None
