"""`hwq report`."""

from __future__ import annotations

from pathlib import Path

import click

from hwq.cli.common import as_json, console, emit, run_argument, store_option


@click.command()
@run_argument
@click.option("--html", type=click.Path(path_type=Path), help="Also write one self-contained page.")
@click.option("--csv", type=click.Path(path_type=Path), help="Also write the points as CSV.")
@store_option
@as_json
def report(run: Path, html: Path | None, csv: Path | None, store: Path | str | None, as_json: bool) -> None:
    """Show what the points of RUN reach and cost: accuracy, predicted and measured resources, mismatches."""
    from hwq.flow.report import gather

    content = gather(run, store_path=store)
    if html is not None:
        from hwq.report.html import page
        from hwq.rundir import write_text

        write_text(html, page(content))
    if csv is not None:
        from hwq.report.frame import to_csv
        from hwq.rundir import write_text

        write_text(csv, to_csv(content))
    if as_json:
        emit(content)
        return
    from hwq.report.terminal import render

    render(content, console())
    for path in (html, csv):
        if path is not None:
            click.echo(f"wrote {path.resolve()}")
