"""`hwq export`."""

from __future__ import annotations

from pathlib import Path

import click

from hwq.cli.common import as_json, emit, note, run_argument, say
from hwq.events import Events


@click.command()
@run_argument
@click.option("--to", metavar="FORMAT", help="qonnx, keras or hls4ml; default as the name of --out ends: .onnx or .keras.")
@click.option("--out", type=click.Path(path_type=Path), help="The file, or the folder of a project; default RUN/export/.")
@click.option("--point", default="best", show_default=True, help="best, or a point's number.")
@as_json
def export(run: Path, to: str | None, out: Path | None, point: str, as_json: bool) -> None:
    """Write a point of RUN for another package, and prove what was written.

    The file is executed on the run's rows and on random ones, and compared with the network's integers; it is there only when no
    answer differs. Rows are fed as the network takes them: scaled as preprocess.json of a synthesised point says.
    """
    from hwq.flow.export import export_point

    summary = export_point(run, to, out=out, point=point, events=Events(note=note))
    if as_json:
        emit(summary)
        return
    for line in str(summary.report).splitlines():
        say(line)
