"""`hwq report`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from hwq.boards import DEFAULT_BOARD
from hwq.cli.common import BoardAndStore, as_json, console, emit, gathers, note, say, store_option
from hwq.cli.target import BoardOption, target_options


@dataclass(frozen=True, slots=True)
class _Files:
    """What is written beside what is shown."""

    html: Path | None
    csv: Path | None


@click.command()
@click.argument("paths", metavar="RUN | --parse FILE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--parse", is_flag=True, help="Read report and log files of any tool instead of a run.")
@click.option("--html", type=click.Path(path_type=Path), help="Also write one self-contained page.")
@click.option("--csv", type=click.Path(path_type=Path), help="Also write the points as CSV.")
@target_options("board", board=BoardOption(f"Whose costs to show; default the board of the last synthesis, else {DEFAULT_BOARD}."))
@store_option
@as_json
@gathers(_Files, "files")
@gathers(BoardAndStore, "costs")
def report(paths: tuple[Path, ...], parse: bool, files: _Files, costs: BoardAndStore, as_json: bool) -> None:
    """Show what the points of RUN reach and cost: accuracy, predicted and measured resources, mismatches.

    Before a synthesis, costs are predicted for a board.

    With --parse, show what each FILE says: HLS, Vivado, Yosys and nextpnr reports, and run logs. The exit code is 9 where one of them
    cannot be read.
    """
    if parse:
        if files.html or files.csv or costs.store or costs.board:
            raise click.UsageError("--parse goes with --json alone")
        if not paths:
            raise click.UsageError("--parse needs at least one FILE")
        _parse(paths, as_json=as_json)
        return
    if len(paths) != 1:
        raise click.UsageError("Missing argument 'RUN'." if not paths else "one RUN at a time; for report files use --parse")
    from hwq.flow.report import gather

    content = gather(paths[0], store_path=costs.store, board=costs.board)
    if files.html is not None:
        from hwq.files import write_text
        from hwq.views.html import page

        write_text(files.html, page(content))
    if files.csv is not None:
        from hwq.files import write_text
        from hwq.views.frame import to_csv

        write_text(files.csv, to_csv(content))
    if as_json:
        emit(content)
        return
    from hwq.views.terminal import render

    render(content, console())
    if content.board is None:
        note(f"predictions, nothing is measured; next: hwq synth {paths[0]} --board {costs.board or DEFAULT_BOARD}")
    for path in (files.html, files.csv):
        if path is not None:
            say(f"wrote {path.resolve()}")


def _parse(paths: tuple[Path, ...], *, as_json: bool) -> None:
    from hwq.errors import ReportError
    from hwq.flow.parse import parse_files, unreadable

    objects = parse_files(paths)
    if as_json:
        emit([found.to_json() for found in objects])
    else:
        from hwq.views.parsed import render_parsed

        render_parsed(objects, console())
    bad = unreadable(objects)
    if bad:
        note(f"error: {len(bad)} of {len(objects)} files hold no report that can be read")
        sys.exit(ReportError.exit_code)
