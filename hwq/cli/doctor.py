"""`hwq doctor`."""

from __future__ import annotations

import click

from hwq.cli.common import as_json, emit


@click.command()
@as_json
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say which tools are there, what happens without the others, and how to get them. Exits 1 when a needed one is missing."""
    from hwq.tools.doctor import examine

    found = examine()
    if as_json:
        emit(found)
    else:
        for s in found:
            mark = click.style("ok     ", fg="green") if s.found else click.style("missing", fg="red" if s.needed else "yellow")
            where = f"{s.version} {s.path}".strip() if s.found else f"{'needed' if s.needed else 'optional'}: {s.otherwise}"
            click.echo(f"{mark} {s.name:13} {s.purpose:30} {where}")
    if any(s.needed and not s.found for s in found):
        ctx.exit(1)
