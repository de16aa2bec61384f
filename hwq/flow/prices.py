"""What LUTs cost before synthesis: the models of the tool with most measurements, for training and for compiled graphs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hwq.boards import Board
from hwq.boards import load as load_board
from hwq.codegen.build import circuit_of
from hwq.cost.features import circuit_features, features
from hwq.cost.fit import fit
from hwq.cost.model import CostModel
from hwq.cost.terms import COMPILED, LINEAR
from hwq.errors import CostModelError
from hwq.flow.models import comparable, find_models, libraries, selection
from hwq.ir import Graph
from hwq.measure.store import Store
from hwq.passes import optimise
from hwq.passes.lower import lower


def price_model(board: str, store_path: Path | str | None, moment: str = LINEAR) -> CostModel:
    """The model of LUTs that prices come from: of the tool with most measurements on the board's family, else one that comes with hwq.

    Raises:
        CostModelError: there is none for the family, and too few measurements.
    """
    known = load_board(board)
    store = Store.open(store_path)
    keys = {(kind.tool, kind.version, kind.stage) for kind in store.kinds()}
    counts = {key: store.count(selection(known, *key)) for key in sorted(keys)}
    for key, count in sorted(counts.items(), key=lambda item: -item[1]):
        found = find_models(known, *key)
        model = found.model("lut", moment) if found is not None and found.exact else None
        if count and model is not None:
            return model
        with suppress(CostModelError):
            return fit(comparable(store, selection(known, *key)), "lut", moment)
    for library in libraries():
        if library.key.family in (known.family, known.yosys_family) and ("lut", moment) in library.models:
            return library.models["lut", moment]
    raise CostModelError(
        f"nothing has been measured on {known.family} yet", hint=f"hwq calibrate --board {board}, or hwq synth RUN --point all"
    )


@dataclass(frozen=True, slots=True)
class Price:
    """What a network costs by its compiled graph: LUTs as fitted to measurements, or adder and comparator bits where there are none."""

    model: CostModel | None
    board: Board | None = None

    def __call__(self, graph: Graph) -> float:
        optimised = optimise(graph)
        if self.model is None or self.board is None:
            found = circuit_features(lower(optimised))
            return found["adder_bits"] + found["clamp_bits"]
        return self.model.value(features(optimised, circuit_of(optimised, self.board, self.board.default_clock)))

    def __str__(self) -> str:
        return str(self.model) if self.model else "adder and comparator bits of the compiled graph"


def price_for(board: str | None, store_path: Path | str | None) -> Price:
    """The model of compiled designs' LUTs on the board's family, where there is one (`price_model`)."""
    if board is None:
        return Price(None)
    with suppress(CostModelError):
        return Price(price_model(board, store_path, COMPILED), load_board(board))
    return Price(None)
