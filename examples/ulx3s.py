"""Run a trained network on a ULX3S board, and compare every answer with the integer reference.

    hwq train digits --out run
    hwq synth run --board ulx3s-85f --stage bitstream
    openFPGALoader -b ulx3s run/synth/<point>-ulx3s-85f-<digest>/board/hwq_top.bit
    python examples/ulx3s.py run /dev/ttyUSB0

Needs nothing but hwq; the serial line runs at 1 000 000 baud, 8 data bits, no parity.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hwq.ir import parse
from hwq.run.directory import RunDir
from hwq.sim.reference import evaluate, quantize_inputs
from hwq.sim.serial_line import BoardLink, SerialPort
from hwq.toolchains.manifest import Manifest


def main(run: Path, device: Path, rows: int = 100) -> int:
    """Send the first test rows to the board; 0 when every bit of every answer is right."""
    directory = RunDir.open(run)
    folder = next(f for f in sorted((run / "synth").iterdir()) if list(f.glob("board/*.bit")))
    plan = Manifest.read(folder)
    graph = parse(directory.select(plan.point or "best")[0].graph_path.read_text())
    with np.load(directory.vectors_path) as vectors:
        inputs, labels = quantize_inputs(graph, vectors["x"][:rows]), vectors["y"][:rows]
    link = BoardLink(graph, plan.design, SerialPort(device))
    link.check()
    found, wanted = link.infer(inputs), evaluate(graph, inputs)
    wrong = int((found != wanted).any(axis=1).sum())
    frac = np.concatenate([graph[name].type.frac.ravel() for name in graph.outputs]).astype(np.int64)
    accuracy = float((np.ldexp(found.astype(float), -frac).argmax(axis=1)[: len(labels)] == labels).mean())
    print(f"{len(found)} rows on the board: {wrong} differ from the reference; accuracy {accuracy:.1%}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
