"""`hwq import`."""

from __future__ import annotations

from pathlib import Path

import click

from hwq.cli.common import as_json, emit, note, say, store_option


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--run", type=click.Path(path_type=Path), help="The run that the plan is of; its folder gets the logs and reports.")
@store_option
@as_json
def import_(folder: Path, run: Path | None, store: Path | str | None, as_json: bool) -> None:
    """Take the reports of a plan that ran elsewhere (FOLDER, written by hwq synth --dry-run) back into its run and the store."""
    from hwq.synthesis.importing import import_plan

    done = import_plan(folder, run=run, store_path=store)
    for warning in done.warnings:
        note(f"warning: {warning}")
    if as_json:
        emit(done)
        return
    say(f"point {done.point}: {', '.join(done.steps)} finished; {len(done.measurements)} measurements stored")
    say(f"files: {done.folder}")
