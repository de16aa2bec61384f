"""`hwq store`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from hwq.cli.common import as_json, emit, say, store_option

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def store() -> None:
    """Show, export and import measurements. Reports and logs stay in the store; numbers travel."""


@store.command()
@store_option
@as_json
def info(store: Path | str | None, as_json: bool) -> None:
    """How many measurements there are, by tool, stage and board."""
    from hwq.flow.store import open_store

    opened = open_store(store)
    counts = Counter((m.key.tool, m.key.version, m.key.stage, m.key.board) for m in opened.find())
    rows = [
        dict(zip(("tool", "version", "stage", "board", "measurements"), (*key, n), strict=True))
        for key, n in sorted(counts.items())
    ]
    if as_json:
        emit({"store": str(opened.database), "rows": rows})
        return
    say(f"{opened.database}: {sum(counts.values())} measurements")
    for row in rows:
        say(f"  {row['measurements']:5} {row['tool']} {row['version']}, {row['stage']} on {row['board']}")


@store.command("export")
@click.argument("file", type=_FILE)
@store_option
@as_json
def export(file: Path, store: Path | str | None, as_json: bool) -> None:
    """Write all measurements to FILE, .csv or .parquet."""
    from hwq.flow.store import open_store

    count = open_store(store).export(file)
    emit({"file": file, "rows": count}) if as_json else say(f"wrote {count} measurements to {file}")


@store.command("import")
@click.argument("file", type=_FILE)
@store_option
@as_json
def import_(file: Path, store: Path | str | None, as_json: bool) -> None:
    """Take the measurements of FILE, written by `hwq store export`; those that are there already stay as they are."""
    from hwq.flow.store import open_store

    new, known = open_store(store).load(file)
    emit({"file": file, "new": new, "known": known}) if as_json else say(f"took {new} measurements; {known} were there already")


@store.command()
@click.argument("design")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to.")
@store_option
def reports(design: str, out: Path, store: Path | str | None) -> None:
    """Write the archived reports and logs of a DESIGN (its digest, as in the export) to a folder."""
    from hwq.flow.store import write_reports

    for path in write_reports(store, design, out):
        say(str(path))
