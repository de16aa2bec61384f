"""`hwq.compile`: a network as a design, in one Python object: predict with it, simulate its C++, write its files."""

from __future__ import annotations

import html
import tempfile
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from hwq.boards import DEFAULT_BOARD, Board
from hwq.codegen.build import Build
from hwq.cost.predict import Estimate, estimate
from hwq.data.preprocess import Preprocess
from hwq.design.feeding import Feeding, as_asked, ready_rows, write_feeding
from hwq.design.networks import read_network
from hwq.design.target import Choices, Target
from hwq.errors import DataError, HwqWarning, MismatchError, UsageError
from hwq.fixed import to_float
from hwq.ir import Graph
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store
from hwq.places import as_path, cache
from hwq.sim.compare import Comparison, compare, output_types
from hwq.sim.csim import csim
from hwq.sim.emulator import Emulator, FoldedEmulator, emulator_of
from hwq.sim.reference import evaluate, quantize_inputs
from hwq.sim.routed import random_inputs
from hwq.sim.rtlsim import affordable, rtlsim
from hwq.sim.trace import NetworkTrace, trace
from hwq.styles.choice import build_at
from hwq.synthesis.preflight import Preflight
from hwq.synthesis.single import Bench, manifest_of, measured
from hwq.toolchains.synthesiser import choose
from hwq.units import Period


@dataclass(frozen=True)
class Design:
    """A network compiled for a board and clock.

    Attributes:
        graph: the network in integers.
        target: what it is for: board, clock, and the tool and stage that `synth` goes to.
        build: its generated files, with the circuit that they hold.
        comparison: Keras' answers with those of the integer graph, on the rows that it was compiled with; None for a Graph.
        notes: what to know of the design.
        preprocess: what was done to the rows before training, where that is known: of a design of `hwq.Run`.
    """

    graph: Graph
    target: Target
    build: Build
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()
    preprocess: Preprocess | None = None

    def __repr__(self) -> str:
        ports = self.build.ports
        told = f"; {self.comparison}" if self.comparison is not None else ""
        return (
            f"<hwq design {self.build.plan.top}: {len(ports.inputs)} inputs, {len(ports.outputs)} outputs, "
            f"latency {self.build.plan.latency_cycles} cycles, for {self.board.name} at {self.period}{told}>"
        )

    def __getstate__(self) -> dict[str, object]:
        """For copies and pickles: all but the loaded emulator, which is found again when it is asked for."""
        return {name: value for name, value in self.__dict__.items() if name != "emulator"}

    @property
    def board(self) -> Board:
        return self.target.board

    @property
    def period(self) -> Period:
        """The clock target."""
        return self.target.clock

    @cached_property
    def emulator(self) -> Emulator | FoldedEmulator:
        """The native emulator, compiled at first use and kept in the cache."""
        return emulator_of(self.build)

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """What the hardware answers, bit by bit: floats (rows, *input shape) in, floats (rows, *output shape) out.

        Logits, where the twin ends in a softmax: that is not in the design (`notes` says so). Rows of float64 are quantised as they
        are, while Keras brings them to float32 first.

        Raises:
            DataError: a shape that does not fit, NaN or infinity.
            ToolError: no g++, or it fails.
        """
        return self._shaped(self.emulator.predict(x))

    def predict_raw(self, rows: Any, *, scores: bool = False) -> npt.NDArray[Any]:
        """The class of each row, by name, of rows as they are in the user's file: scaled as for training, then as `predict`.

        A regression gives its numbers in the user's units, a reconstruction the row as the network takes it.

        Args:
            rows: features (rows, *features) in the order of the file, without label; or a pandas frame with columns of those names.
            scores: give the floats (rows, *output shape) of `predict` in place of names.

        Raises:
            DataError: rows that do not fit, NaN or infinity; or a design that does not know how its rows are scaled.
            ToolError: as `predict`.
        """
        answers = self.predict(ready_rows(self.preprocess, rows))
        return answers if scores or self.preprocess is None else as_asked(self.preprocess, answers)

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

    def trace(self, x: npt.ArrayLike, model: Any = None) -> NetworkTrace:
        """Every layer on rows, in floats, quantised and as integers side by side: where accuracy is lost.

        Print it for a table; `trace["name"]` is one node with its arrays, worst values, overflows and histograms.

        Args:
            x: (rows, *input shape), as they were trained with; some hundred are enough.
            model: the float Keras model that the design comes from, to compare its layers too.

        Raises:
            DataError: as `predict`.
            ModelError: a model that cannot be looked into.
        """
        if model is None:
            return trace(self.graph, x)
        from hwq.conversion.layer_outputs import layer_outputs  # loads TensorFlow

        return trace(self.graph, x, layer_outputs(model, x))

    def write(self, path: str | Path) -> Path:
        """Write every generated file (C++, Verilog, test bench, scripts of the board's tools) below `path`, and return it.

        README.md and preprocess.json among them say how the design is fed.

        Raises:
            RunError: it cannot be written.
        """
        folder = as_path(path)
        self.build.plan.write(folder)
        write_feeding(folder, Feeding.of(self.build, self.graph, self.preprocess))
        return folder

    def summary(self) -> str:
        """A few lines: ports, latency, predicted LUTs and FFs with their errors, what was compared, files."""
        plan, ports = self.build.plan, self.build.ports
        ns = plan.latency_cycles * self.period.ns
        lines = [
            f"{plan.top} for {self.board.name} ({plan.part}) at {self.period}",
            f"{len(ports.inputs)} inputs in {ports.input_bits} bits, {len(ports.outputs)} outputs in {ports.output_bits} bits",
            f"latency {plan.latency_cycles} cycles ({ns:g} ns), a row every {cycles_told(self.build.interval)}",
            str(self.estimate()),
            *([str(self.comparison)] if self.comparison is not None and not self.comparison.mismatches else []),
            *self.notes,
            f"{len(plan.files)} files, digest {plan.digest}",
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The summary as a notebook shows it."""
        return f"<pre>{html.escape(self.summary())}</pre>"

    def estimate(self, store_path: Path | str | None = None) -> Estimate:
        """What it will cost, by the cost models of its board's family: no tool is started."""
        if self.build.features is not None:
            return Estimate(None, None, self.build.plan.latency_cycles, hardware=self.build.plan.hardware)
        return estimate(self.build.graph, self.build.circuit, self.board, store_path)

    def synth(
        self,
        tool: str | None = None,
        stage: str | None = None,
        *,
        store_path: Path | str | None = None,
        folder: Path | str | None = None,
        timeout_s: float | None = None,
    ) -> Measurement:
        """Prove the design, synthesise it, and store what was measured: the measurement of the stage.

        The emulator and the RTL simulation are compared with the integer reference on random rows over the whole range of the inputs
        before a tool starts, and the mapped netlist before anything is stored. What the store knows is not measured again.

        Args:
            tool, stage: as of `hwq.Target`; None: those of the design's own target.
            folder: where the files go; None: hwq's cache.
            timeout_s: limit for each program.

        Raises:
            MismatchError: an evaluator disagrees; nothing is stored.
            ToolError, ReportError, UsageError, StoreError: of the tool and the store.
            PreflightError: the design will not fit the board, or a tool will refuse it.
        """
        stage = stage if tool is not None or stage is not None else self.target.stage
        synthesiser = choose(
            tool or self.target.tool, self.board, stage=stage, period_ns=self.period.ns, adders=self.build.plan.adders
        )
        store, place = Store.open(store_path), Path(folder) if folder is not None else cache() / "designs"
        bench = Bench(self.board, synthesiser, store, place / self.board.name, timeout_s=timeout_s)

        def prove(where: Path) -> None:
            forecast = Preflight(self.board, synthesiser, store)
            forecast.check("the design", forecast.forecast(where, manifest_of(self.build), timeout_s))
            self._prove(where)

        found = measured(self.build, bench, "design-", begun=prove)
        for doubt in found.doubts:
            warnings.warn(doubt, stacklevel=2)
        if not found.measurements:
            raise UsageError(f"the stage {synthesiser.stage} measures no design", hint="choose another stage")
        return found.measurements[-1]

    def report(self, store_path: Path | str | None = None) -> list[Measurement]:
        """Everything that the store knows of these very files, on any tool and stage."""
        return [m for m in Store.open(store_path).find(design=self.build.plan.design) if m.key.plan == self.build.plan.digest]

    def _prove(self, folder: Path) -> None:
        inputs = random_inputs(self.build.graph)
        expected = evaluate(self.build.graph, inputs)
        rtl = rtlsim(self.build, folder, inputs[: affordable(self.build, len(inputs))])
        for stage, answers in (("emulator", self.emulator.evaluate(inputs)), ("rtl", rtl)):
            comparison = compare(self.build.graph, "reference", expected[: len(answers)], stage, answers)
            if comparison.mismatches:
                raise MismatchError(str(comparison), hint=f"please report it with {folder / 'graph.hwq'}")

    def _shaped(self, flat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if len(self.graph.outputs) != 1:
            return flat
        return flat.reshape(len(flat), *self.graph[self.graph.outputs[0]].shape)


def cycles_told(count: int) -> str:
    return "cycle" if count == 1 else f"{count} cycles"


def compile_network(
    network: Any,
    board: str | Board | Target = DEFAULT_BOARD,
    clock: str | float | Period | None = None,
    *,
    data: npt.ArrayLike | None = None,
    strict: bool = False,
    **choices: Unpack[Choices],
) -> Design:
    """Compile a network for a board, and compare Keras' own answers with those of the integers on `data`.

    The outputs of the design are logits where the twin ends in a softmax; a warning says so.

    Args:
        network: a twin from `hwq.quantize`, trained; a Graph; or the path of a graph.hwq that a run has written.
        board: a `hwq.Target`, which says everything that follows too; or a name of `hwq boards`, or a Board.
        clock: "200MHz", "5ns", a number of hertz (200e6) or a Period; None: the board's default.
        data: rows (rows, *input shape) from which a twin's integer bits are chosen: the training data. A Graph has its own.
        strict: refuse a design from which Keras differs on `data`; otherwise a warning says where, and `comparison` and the summary
            keep it. They differ where the design has numbers of more bits than Keras' float32 holds: it is the design that is exact.
        choices: what else a `hwq.Target` says: tool= and stage=, where `synth` goes; style="adders" writes the C++ as the shared adder
            graph in place of products; adders="two" or "three" are the operands of a sum ("auto": three on fabrics that add them in one
            row of look-up tables; `hwq.codegen.build.Form`);
            interval=N takes a row every N clocks at most: above 1 a design does with fewer LUTs, as fold says: "serial", sums go some
            bits a clock; "mac", products in lanes with weights in memories; "parallel", as at 1; "auto", the least by count.

    Raises:
        MismatchError: Keras differs from the design, and `strict`; or it differs in float64, which holds every number of the design.
        ModelError: not a network, or a twin without `data`.
        UnsupportedLayerError, GraphError: it has no integer form, or no hardware form.
        BoardError, UsageError: no such board or clock, sums of three on a board that has none, a stream, or a target and a clock beside it.

    Example:
        >>> import keras, numpy as np, hwq
        >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> twin = hwq.quantize(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), data=x)
        >>> design = hwq.compile(twin, "xcvu9p", "200MHz", data=x)
        >>> str(design.comparison)
        'Keras = integer graph: 100 rows, 0 mismatches'
        >>> bool((design.predict(x) == twin.predict(x, verbose=0)).all())
        True
    """
    target = Target.of_design(board, clock, choices)
    read = read_network(network, data)
    differs = read.comparison is not None and read.comparison.mismatches > 0
    if differs and strict:
        raise MismatchError(read.notes[-1], hint="strict=False takes the design as it is; fewer bits fit Keras' floats")
    for note in read.notes:
        warnings.warn(note, HwqWarning, stacklevel=2)
    made = build_at(read.graph, target.board, target.clock, target.form(), target.interval)
    return Design(read.graph, target, made, read.comparison, read.notes)
