"""`hwq store`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hwq.cli.common import as_json, emit, note, say, store_option

SHOWN = 20  # refused rows that are told one by one
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
    kinds = opened.kinds()
    if as_json:
        emit({"store": str(opened.database), "rows": kinds})
        return
    say(f"{opened.database}: {sum(kind.measurements for kind in kinds)} measurements")
    for kind in kinds:
        say(f"  {kind.measurements:5} {kind.tool} {kind.version}, {kind.stage} on {kind.board}")


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
    """Take the measurements of FILE, written by `hwq store export`; those that are there already stay as they are.

    Rows that cannot be measurements are refused one by one, with the reason; the exit code is then 10, and the others are taken.
    """
    from hwq.errors import StoreError
    from hwq.flow.store import open_store

    found = open_store(store).load(file)
    if as_json:
        emit({"file": file, "new": found.new, "known": found.known, "refused": found.refused})
    else:
        say(f"took {found.new} measurements; {found.known} were there already")
    for refused in found.refused[:SHOWN]:
        note(f"refused: {refused}")
    if len(found.refused) > SHOWN:
        note(f"refused: {len(found.refused) - SHOWN} more rows; --json lists them all")
    if found.refused:
        note(f"error: {len(found.refused)} rows of {file} are no measurements")
        sys.exit(StoreError.exit_code)


@store.command()
@click.argument("design")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to.")
@store_option
def reports(design: str, out: Path, store: Path | str | None) -> None:
    """Write the archived reports and logs of a DESIGN (its digest, as in the export) to a folder."""
    from hwq.flow.store import write_reports

    for path in write_reports(store, design, out):
        say(str(path))
