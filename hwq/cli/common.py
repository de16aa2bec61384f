"""What the commands share: options, JSON output, progress on standard error."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
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
io_option = click.option(
    "--io",
    type=click.Choice(["parallel", "stream"]),
    default="parallel",
    show_default=True,
    help="All inputs at once, or, for an image network, a pixel a clock.",
)
run_argument = click.argument("run", type=click.Path(path_type=Path))


class Clock(click.ParamType[Period]):
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


def console() -> Console:
    """Standard output as a rich console; a pipe or file gets lines wide enough for every table."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=120)


def note(text: str) -> None:
    """A line for the person, on standard error."""
    click.echo(text, err=True)


class Progress:
    """Shows at most one line a programs' output every few seconds, so that a long run is seen to be alive."""

    EVERY_S = 5.0

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def __call__(self, point: str, line: str) -> None:
        now = time.monotonic()
        if line.strip() and now - self.last.setdefault(point, now) >= self.EVERY_S:
            self.last[point] = now
            note(f"    {point}: {line.strip()[:110]}")
