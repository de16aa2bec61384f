"""`hwq.compile`: a network as a design, in one Python object: predict with it, simulate its C++, write its files."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.boards import Board, load
from hwq.codegen.build import Build, Style, build
from hwq.cost.features import features as features_of
from hwq.errors import DataError, ModelError
from hwq.fixed import to_float
from hwq.ir import Graph, parse, verify
from hwq.sim.compare import output_types
from hwq.sim.csim import csim
from hwq.sim.emulator import Emulator, emulator
from hwq.sim.reference import quantize_inputs
from hwq.units import Period


@dataclass(frozen=True)
class Compiled:
    """A network compiled for a board and clock.

    Attributes:
        graph: the network in integers.
        board: what it is for.
        period: the clock target.
        build: its generated files, with the circuit that they hold.
    """

    graph: Graph
    board: Board
    period: Period
    build: Build

    @cached_property
    def emulator(self) -> Emulator:
        """The native emulator, compiled at first use and kept in the cache."""
        return emulator(self.build.graph, self.build.circuit)

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """What the hardware answers, bit by bit: floats (rows, *input shape) in, floats (rows, *output shape) out.

        Raises:
            DataError: a shape that does not fit, NaN or infinity.
            ToolError: no g++, or it fails.
        """
        return self._shaped(self.emulator.predict(x))

    def csim(self, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """As `predict`, computed by the generated ap_fixed C++ itself, compiled with g++: slow, for checking.

        Raises:
            DataError: as `predict`.
            ToolMissingError: no g++, or no ap_fixed headers.
            ToolError: it does not compile.
        """
        inputs = quantize_inputs(self.graph, x)
        if not len(inputs):
            raise DataError("the C-simulation needs at least one row")
        with tempfile.TemporaryDirectory(prefix="hwq-csim-") as folder:
            self.build.plan.write(Path(folder))
            mantissas = csim(self.build, Path(folder), inputs)
        return self._shaped(to_float(mantissas, output_types(self.build.graph).frac))

    def write(self, path: str | Path) -> Path:
        """Write every generated file (C++, Verilog, test bench, scripts of the board's tools) below `path`, and return it.

        Raises:
            RunError: it cannot be written.
        """
        folder = Path(path)
        self.build.plan.write(folder)
        return folder

    def summary(self) -> str:
        """A few lines: layers, size before any tool has run, latency, files."""
        plan = self.build.plan
        features = features_of(self.build.graph, self.build.circuit)
        lines = [
            f"{plan.top} for {self.board.name} ({plan.part}) at {self.period}",
            f"{len(self.build.ports.inputs)} inputs in {self.build.ports.input_bits} bits, "
            f"{len(self.build.ports.outputs)} outputs in {self.build.ports.output_bits} bits",
            f"latency {plan.latency_cycles} cycles, a row every cycle",
            *(f"{name}: {value:g}" for name, value in features.items() if name != "latency_cycles"),
            f"{len(plan.files)} files, digest {plan.digest}",
        ]
        return "\n".join(lines)

    def _shaped(self, flat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if len(self.graph.outputs) != 1:
            return flat
        return flat.reshape(len(flat), *self.graph[self.graph.outputs[0]].shape)


def compile_network(
    network: Any,
    board: str | Board = "xcvu9p",
    clock: str | Period | None = None,
    *,
    data: npt.ArrayLike | None = None,
    style: Style = "multiply",
) -> Compiled:
    """Compile a network for a board.

    Args:
        network: a twin from `hwq.quantize`, trained; a Graph; or the path of a graph.hwq that a run has written.
        board: a name of `hwq boards`, or a Board.
        clock: "200MHz", "5ns" or a Period; None: the board's default.
        data: rows (rows, *input shape) from which a twin's integer bits are chosen: the training data. A Graph has its own.
        style: of the C++ (`hwq.codegen.build.build`).

    Raises:
        ModelError: not a network, or a twin without `data`.
        UnsupportedLayerError, GraphError: it has no integer form, or no hardware form.
        BoardError, UsageError: no such board or clock.
    """
    graph = verify(_graph_of(network, data))
    chosen = load(board) if isinstance(board, str) else board
    period = Period.parse(clock) if isinstance(clock, str) else clock or chosen.default_clock
    return Compiled(graph, chosen, period, build(graph, chosen, period, style=style))


def _graph_of(network: Any, data: npt.ArrayLike | None) -> Graph:
    if isinstance(network, Graph):
        return network
    if isinstance(network, (str, Path)):
        try:
            return parse(Path(network).read_text())
        except OSError as error:
            raise ModelError(f"cannot read {network}: {error.strerror}", hint="give the path of a point's graph.hwq") from error
    if not hasattr(network, "layers"):
        raise ModelError(
            f"cannot compile a {type(network).__name__}", hint="give a model from hwq.quantize, a Graph, or the path of a graph.hwq"
        )
    from hwq.train.integers import graph_of_twin  # loads TensorFlow, which a Graph does not need

    return graph_of_twin(network, data)
