"""`hwq boards`."""

from __future__ import annotations

import click

from hwq.cli.common import as_json, console, emit


@click.command()
@as_json
def boards(as_json: bool) -> None:
    """List the boards with their parts, capacities and tools."""
    from hwq.boards import load_all
    from hwq.toolchains.registry import toolchains_for

    found = load_all()
    for board in found:
        toolchains_for(board)  # a file that lists a tool of no name is refused
    if as_json:
        emit(found)
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in ("board", "part"):
        table.add_column(title, no_wrap=True)
    for title in ("LUT", "FF", "DSP", "BRAM36", "URAM"):
        table.add_column(title, justify="right")
    for title in ("clock", "tools"):
        table.add_column(title)
    for b in found:
        numbers = (f"{n:,}" for n in (b.lut, b.ff, b.dsp, b.bram36, b.uram))
        table.add_row(b.name, b.part, *numbers, f"{b.default_clock.mhz:g} MHz", ", ".join(b.tools))
    console().print(table)
