"""`hwq doctor`."""

from __future__ import annotations

import click

from hwq.cli.common import as_json, emit, printable, say


@click.command()
@as_json
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say which tools are there, what happens without the others, and how to get them. Exits 1 when a needed one is missing."""
    from hwq.toolchains.registry import programs
    from hwq.tools.doctor import examine

    found = examine(programs())
    if as_json:
        emit(found)
    else:
        for s in found:
            mark, colour = (
                ("ok     ", "green")
                if s.usable
                else ("old    ", "red")
                if s.found
                else ("missing", "red" if s.needed else "yellow")
            )
            where = f"{s.version} {s.path}".strip() if s.found else "needed" if s.needed else "optional"
            click.echo(f"{click.style(mark, fg=colour)} {s.name:20} {s.purpose:27} {printable(where)}")
            supported = f"supported: {s.supported}" if s.supported else ""
            notes = [
                supported,
                f"licence: {s.licence}" if s.licence else "",
                f"or set {s.override}" if s.override and not s.found else "",
            ]
            if s.otherwise:
                say(f"        {s.otherwise}")
            if any(notes):
                say(f"        {'; '.join(n for n in notes if n)}")
    if any(s.needed and not s.usable for s in found):
        ctx.exit(1)
