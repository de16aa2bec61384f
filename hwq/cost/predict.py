"""What LUTs cost before synthesis: the models of the tool with most measurements, for training and for compiled graphs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hwq.boards import DEFAULT_BOARD, Adders, Board
from hwq.boards import load as load_board
from hwq.boards import of as board_of
from hwq.cost.features import circuit_features, features
from hwq.cost.find import ModelSource, comparable, find_models, libraries, selection
from hwq.cost.fit import fit
from hwq.cost.model import CostModel, adders_of, compiler_of, hardware_of
from hwq.cost.terms import COMPILED, LINEAR
from hwq.errors import BoardError, CostModelError
from hwq.ir import Circuit, Graph
from hwq.measure.store import Store
from hwq.passes import optimise
from hwq.passes.compiling import circuit_of
from hwq.passes.lower import lower
from hwq.units import Period


def price_model(board: str, store_path: Path | str | None, moment: str = LINEAR, adders: Adders = "auto") -> CostModel:
    """The model of LUTs that prices come from: of the tool with most measurements on the board's family, else one that comes with hwq.

    Args:
        adders: operands of the designs' sums.

    Raises:
        CostModelError: there is none for the family, and too few measurements.
    """
    known = load_board(board)
    operands = known.operands(adders)
    store = Store.open(store_path)
    sources = [source for found in store.sources() if adders_of((source := ModelSource(*found)).options) == operands]
    sources = [source for source in sources if not hardware_of(source.options)]
    counts = {source: store.count(selection(known, source)) for source in sources}
    # hwq's own Verilog first: what another compiler makes of a design has other prices
    for source, count in sorted(counts.items(), key=lambda item: (compiler_of(item[0].options) != "", -item[1])):
        found = find_models(known, source)
        model = found.model("lut", moment) if found is not None and found.exact else None
        if count and model is not None:
            return model
        with suppress(CostModelError):
            return fit(comparable(store, selection(known, source)), "lut", moment)
    for library in libraries():
        key = library.key
        own = key.family in (known.family, known.yosys_family) and not key.compiler and key.adders == operands
        if own and ("lut", moment) in library.models:
            return library.models["lut", moment]
    raise CostModelError(
        f"nothing has been measured on {known.family} yet", hint=f"hwq calibrate --board {board}, or hwq synth RUN --point all"
    )


def design_models(board: Board, store_path: Path | str | None = None, adders: Adders = "auto") -> dict[str, CostModel]:
    """The models of a compiled design's costs, by target, all of the tool whose model of LUTs `price_model` takes; empty: there are none."""
    try:
        lut = price_model(board.name, store_path, COMPILED, adders)
        found = find_models(board, ModelSource(lut.key.tool, lut.key.version, lut.key.stage, lut.key.options))
    except (CostModelError, BoardError):
        return {}
    others = {} if found is None else {target: found.model(target, COMPILED) for target in ("ff", "period_ns")}
    return {"lut": lut, **{target: model for target, model in others.items() if model is not None}}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a design will cost, before any tool runs.

    Attributes:
        lut, ff: counts of the family's cells, with their relative errors; None where nothing was measured on the family.
        latency_cycles: exact, by the pipeline.
        model: which tool's reports are predicted; "" where there is none.
        beyond: the design lies outside what the models were fitted to.
        hardware: a style that no model knows; "" where models are of its kind.
    """

    lut: float | None
    ff: float | None
    latency_cycles: int
    lut_error: float | None = None
    ff_error: float | None = None
    model: str = ""
    beyond: bool = False
    hardware: str = ""

    def __str__(self) -> str:
        if self.hardware:
            return f"LUTs of the style {self.hardware}: not measured, and no model predicts them"
        if self.lut is None:
            return "no prediction of LUTs: nothing has been measured on this family (hwq calibrate)"
        told = [f"{self.lut:.0f} LUT +-{self.lut_error:.1%}"] + (
            [] if self.ff is None else [f"{self.ff:.0f} FF +-{self.ff_error:.1%}"]
        )
        far = "; beyond the designs that the models know" if self.beyond else ""
        return f"predicted, not measured: {', '.join(told)} ({self.model}){far}"


def estimate(graph: Graph, circuit: Circuit, board: Board, store_path: Path | str | None = None) -> Estimate:
    """Predict the cost of a compiled design: an optimised graph and its pipelined circuit."""
    models = design_models(board, store_path, "three" if circuit.fused else "two")
    latency = circuit.latency
    if not models:
        return Estimate(None, None, latency)
    counted = features(graph, circuit)
    lut = models["lut"].predict(counted)
    ff = models["ff"].predict(counted) if "ff" in models else None
    beyond = lut.out_of_range or (ff is not None and ff.out_of_range)
    known = (None, None) if ff is None else (ff.value, ff.relative_error)
    return Estimate(lut.value, known[0], latency, lut.relative_error, known[1], str(models["lut"].key), beyond)


def predict_cost(
    graph: Graph,
    board: str | Board = DEFAULT_BOARD,
    clock: str | float | Period | None = None,
    *,
    store_path: Path | str | None = None,
) -> Estimate:
    """What a network in integers will cost on a board, before any tool runs.

    Args:
        board: a name of `hwq boards`, or a Board.
        clock: "200MHz", "5ns", a number of hertz or a Period; None: the board's default.
        store_path: the measurement store; None: the user's.

    Raises:
        BoardError, UsageError: no such board or clock.
        GraphError: it has no hardware form.

    Example:
        >>> import keras, numpy as np, hwq
        >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> twin = hwq.quantize(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), data=x)
        >>> estimate = hwq.predict_cost(hwq.compile(twin, data=x).graph, "xcvu9p")
        >>> str(estimate).startswith("predicted, not measured:")
        True
    """
    chosen = board_of(board)
    optimised = optimise(graph)
    circuit = circuit_of(optimised, chosen, chosen.default_clock if clock is None else Period.of(clock))
    return estimate(optimised, circuit, chosen, store_path)


@dataclass(frozen=True, slots=True)
class CompiledCost:
    """What a compiled graph says of its design: LUTs, and the clock cycles of its pipeline."""

    lut: float
    latency_cycles: int


def compiled_cost(graph: Graph, model: CostModel | None, board: Board, period: Period) -> CompiledCost:
    """Compile a graph as the build does, and predict its LUTs; adder and comparator bits where there is no model."""
    optimised = optimise(graph)
    circuit = circuit_of(optimised, board, period)
    if model is not None:
        return CompiledCost(model.value(features(optimised, circuit)), circuit.latency)
    counted = circuit_features(circuit)
    return CompiledCost(counted["adder_bits"] + counted["clamp_bits"], circuit.latency)


def told_by(model: CostModel | None) -> str:
    """Who says what a compiled graph costs."""
    return str(model) if model else "adder and comparator bits of the compiled graph"


@dataclass(frozen=True, slots=True)
class Price:
    """What a network costs by its compiled graph: LUTs as fitted to measurements, or adder and comparator bits where there are none."""

    model: CostModel | None
    board: Board | None = None

    def __call__(self, graph: Graph) -> float:
        if self.model is None or self.board is None:
            found = circuit_features(lower(optimise(graph)))
            return found["adder_bits"] + found["clamp_bits"]
        return compiled_cost(graph, self.model, self.board, self.board.default_clock).lut

    def __str__(self) -> str:
        return told_by(self.model)


@dataclass(frozen=True, slots=True)
class CostSource:
    """Whose measurements say what things cost: those of a board's family in a store, with the models that come with hwq.

    Attributes:
        board: None: no measurements at all.
        store_path: None: the user's own store.
    """

    board: str | None = None
    store_path: Path | str | None = None

    def price(self) -> Price:
        """As `price_for`."""
        return price_for(self.board, self.store_path)


def price_for(board: str | None, store_path: Path | str | None) -> Price:
    """The model of compiled designs' LUTs on the board's family, where there is one (`price_model`)."""
    if board is None:
        return Price(None)
    with suppress(CostModelError):
        return Price(price_model(board, store_path, COMPILED), load_board(board))
    return Price(None)
