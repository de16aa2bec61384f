"""What commands ask of a measurement store before any tool starts, without the tools themselves.

store_worker.py selection STORE                 the rows that `hwq calibrate` fits to
store_worker.py preflight STORE BUILD.json      what `hwq synth` forecasts of a generated design
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from hwq import boards
from hwq.cost.find import model_family
from hwq.cost.model import ModelKey
from hwq.flow.calibrate import known_rows
from hwq.measure.store import Store
from hwq.synthesis.preflight import Preflight
from hwq.toolchains.registry import steps_for
from hwq.toolchains.synthesiser import Synthesiser
from hwq.tools.find import Tool

BOARD, TOOL, VERSION, STAGE = "xcvu9p", "yosys", "0.99", "synth"


def selection(store: str) -> bool:
    """Whether rows are found."""
    board = boards.load(BOARD)
    return bool(known_rows(Store.open(store), board, ModelKey(model_family(board, TOOL), TOOL, VERSION, STAGE)))


def preflight(store: str, summary: str) -> bool:
    """Whether models are fitted and a time is forecast."""
    board = boards.load(BOARD)
    steps = steps_for(TOOL, STAGE, board, "hwq_top", 5.0)
    tools = {step.program: Tool(TOOL, ("yosys",), VERSION) for step in steps}
    found = Preflight(board, Synthesiser(TOOL, STAGE, steps, tools), Store.open(store))
    return bool(found.models and found.forecast(Path(), json.loads(Path(summary).read_text())).seconds)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    commands: dict[str, Callable[..., bool]] = {"selection": selection, "preflight": preflight}
    if not commands[command](*arguments):
        sys.exit(f"{command}: nothing was found")
