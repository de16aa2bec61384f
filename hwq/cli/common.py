"""What the commands share: options, JSON output, progress on standard error."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwq.errors import HwqError
from hwq.units import Period

if TYPE_CHECKING:
    from rich.console import Console

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")


class Place(click.ParamType["Path | str"]):
    """A file, or the URL of a database server."""

    name = "file or url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        return value if "://" in str(value) else Path(value)


store_option = click.option(
    "--store", type=Place(), help="Measurement store: a file or postgresql://...; default $HWQ_STORE or the user's data folder."
)


def gathers(kind: type, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hand a command the options that are fields of the dataclass `kind` as one argument `name`."""
    fields = {f.name for f in dataclasses.fields(kind)}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def gathered(**options: Any) -> None:
            mine = {key: options.pop(key) for key in fields & options.keys()}
            command(**options, **{name: kind(**mine)})

        return gathered

    return decorate


@dataclasses.dataclass(frozen=True, slots=True)
class BoardAndStore:
    """Whose measurements say what things cost, and where they are kept."""

    board: str | None
    store: Path | str | None


run_argument = click.argument("run", type=click.Path(path_type=Path))


class ClockOption(click.ParamType[Period]):
    """A clock as 200MHz or 5ns."""

    name = "clock"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Period:
        if isinstance(value, Period):
            return value
        try:
            return Period.parse(value)
        except HwqError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


def emit(content: Any) -> None:
    """Print JSON: dataclasses as objects, what is not a number as null."""
    click.echo(json.dumps(_plain(content), indent=1))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error, as a rich console without markup; a pipe or file gets lines wide enough for every table."""
    from rich.console import Console
    from rich.segment import Segment

    class Printable(Console):
        """What names and reports hold cannot command the terminal; colours are rich's own and come later."""

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(printable(segment.text), segment.style)

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Printable(width=None if terminal or stderr else 120, stderr=stderr, markup=False, emoji=False)


def printable(text: str) -> str:
    """Text of anybody's making, safe to print: control characters other than tabs and ends of lines are written out, as \\x1b."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


# C0 and C1 controls, and what turns the direction of writing or hides
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def say(text: str) -> None:
    """A line of the result, on standard output."""
    click.echo(printable(text))


def note(text: str) -> None:
    """A line for the person, on standard error."""
    click.echo(printable(text), err=True)


EVERY_S = 10.0  # between two lines of progress where there is no terminal


class ToolLines:
    """Shows at most one line a programs' output every few seconds, so that a long run is seen to be alive.

    A line for each point in a terminal; elsewhere one in ten seconds for all of them, with the time since the beginning.
    """

    SHOWN_S = 5.0

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self.began = time.monotonic()

    def __call__(self, point: str, line: str) -> None:
        now, terminal = time.monotonic(), sys.stderr.isatty()
        key = point if terminal else ""
        if line.strip() and now - self.last.setdefault(key, now) >= (self.SHOWN_S if terminal else EVERY_S):
            self.last[key] = now
            told = "" if terminal else f" ({now - self.began:.0f} s)"
            note(f"    {point}: {line.strip()[:110]}{told}")
