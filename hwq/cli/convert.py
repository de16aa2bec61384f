"""`hwq convert`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwq.boards import DEFAULT_BOARD
from hwq.cli.common import as_json, emit, gathers, note, say
from hwq.events import Events

if TYPE_CHECKING:
    from hwq.flow.convert import ConvertOptions


@dataclass(frozen=True, slots=True)
class _ConvertAsked:
    """How the data is used, as it was typed."""

    standardise: bool
    input_range: str
    seed: int
    input_type: str | None

    def options(self) -> ConvertOptions:
        from hwq.flow.convert import ConvertOptions

        return ConvertOptions(self.standardise, self.input_range, self.seed, self.input_type)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run directory; default runs/FILE.")
@click.option("--data", help="For the accuracies: as hwq train takes it, its rows as the network was trained on.")
@click.option("--standardise", is_flag=True, help="Bring features to mean 0 and deviation 1, where the peer's training did so.")
@click.option(
    "--input-range",
    type=click.Choice(["file", "data"]),
    default="file",
    show_default=True,
    help="As the peer has it, or as wide as the training rows need.",
)
@click.option(
    "--input-type", metavar="W,I", help="Of an input that the file quantises nowhere: 16,6 as in ap_fixed<16, 6>, u8,0 unsigned."
)
@click.option("--seed", default=0, show_default=True, help="Of the split and of the random rows.")
@as_json
@gathers(_ConvertAsked, "asked")
def convert(file: Path, out: Path | None, data: str | None, asked: _ConvertAsked, as_json: bool) -> None:
    """Read a network that a peer has quantised, exactly, and write it as a run of one point.

    FILE is what HGQ2 (.keras, .h5) or QKeras (.h5, .keras) saved, or a QONNX or ONNX file. It is data: no code of it runs. Layers
    without an exact form are refused by name.
    """
    from hwq.flow.convert import convert as run_convert

    target = out or Path("runs") / file.stem
    summary = run_convert(file, target, data=data, options=asked.options(), events=Events(note=note))
    if as_json:
        emit(summary)
        return
    for layer in summary.layers:
        say(str(layer))
    for text in summary.notes:
        say(f"note: {text}")
    told = f", validation {summary.val_accuracy:.4f}" if summary.val_accuracy is not None else ""
    told += f", test {summary.test_accuracy:.4f}" if summary.test_accuracy is not None else ""
    say(f"{target}: {summary.format} network, point {summary.point}, {summary.ebops:.0f} EBOPs{told}")
    say(f"next: hwq synth {target} --board {DEFAULT_BOARD}")
