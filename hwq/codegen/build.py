"""From a Graph to its BuildPlan for a board and clock: passes, circuit, C++, Verilog, scripts. No file is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from hwq.boards import Adders, Board
from hwq.codegen.cpp import cpp_files
from hwq.codegen.cpp_adders import adders_file
from hwq.codegen.harness import harness_files
from hwq.codegen.names import require_name
from hwq.codegen.ports import Ports, ports_of
from hwq.codegen.verilog import verilog_files
from hwq.errors import UsageError
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Circuit, Graph, digest, text
from hwq.passes import optimise
from hwq.passes.compiling import circuit_of
from hwq.passes.pipeline import register_inputs
from hwq.templates import render
from hwq.toolchains.plan import TOP, BuildPlan
from hwq.toolchains.scripts import script_files
from hwq.units import Period

ProductForm = Literal["multiply", "adders"]


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A product that a circuit leaves out: its sums are inputs of the circuit, and its operand is among the outputs.

    Attributes:
        operand: places of its operand's elements among the circuit's outputs.
        first, count: its sums among the circuit's inputs.
        sums: from operands (rows, elements) to sums (rows, count).
    """

    operand: tuple[int, ...]
    first: int
    count: int
    sums: Callable[[IntArray], IntArray]


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What a circuit computes of a graph whose products are folded in time (`hwq.styles.mac`).

    Attributes:
        graph: of the circuit: the folded nodes are inputs, and what they read are outputs.
        products: each follows those that it depends on.
        outputs: places of the whole graph's outputs among the circuit's.
    """

    graph: Graph
    products: tuple[Product, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Build:
    """A plan with what it was made from: the optimised graph, the circuit, the port layout.

    Attributes:
        circuit: pipelined; of a design that takes a row every `interval` clocks, its operations alone.
        interval: clocks from one row to the next; above 1 the Verilog has the ports start, ready and valid as well.
        features: what the design consists of, where its circuit does not say it (`hwq.cost.features`).
        rest: what the circuit is of, where products are folded and it leaves them out.
    """

    plan: BuildPlan
    graph: Graph
    circuit: Circuit
    ports: Ports
    interval: int = 1
    features: Mapping[str, float] | None = None
    rest: Rest | None = None

    def __repr__(self) -> str:
        return f"<Build of {self.graph!r}: {self.plan!r}>"


@dataclass(frozen=True, slots=True)
class Form:
    """How the files of one graph are written.

    Attributes:
        style: of the C++: "multiply", each weight a constant times its input, or "adders", the shared adder graph. The Verilog
            is the adder graph in both.
        terms: in the style "multiply", layers all of whose weights are sums of at most so many signed powers of two are written
            as shifts and additions.
        adders: operands of a sum: "two", "three", or "auto", what the board's fabric has (`hwq.boards.Board.operands`).
        registered_inputs: of the Verilog: a register behind each input, so that all logic lies between registers; a clock more.
        fold: of the Verilog, where a row is taken every few clocks: a style of `hwq.styles.registry`; "parallel", none; "auto", the one that
            is least by count. `hwq.styles.choice.build_at` looks at it.
    """

    style: ProductForm = "multiply"
    terms: int = 1
    registered_inputs: bool = False
    adders: Adders = "auto"
    fold: str = "auto"

    def __post_init__(self) -> None:
        if self.style not in get_args(ProductForm):
            raise UsageError(f"there is no style {self.style!r}", hint=f"one of: {', '.join(get_args(ProductForm))}")


def build(
    graph: Graph,
    board: Board,
    period: Period | None = None,
    form: Form = Form(),
    *,
    top: str = TOP,
) -> Build:
    """Generate every file of `graph` for `board`.

    Args:
        period: the clock target; the board's default when None.

    Raises:
        GraphError: an operation or width that has no C++ or Verilog form.
        UsageError: `top` is a word of one of the languages, or sums of three operands on a board that has none.
    """
    require_name(top)
    period = period or board.default_clock
    optimised = optimise(graph)
    ports = ports_of(optimised)
    circuit = circuit_of(optimised, board, period, form.adders)
    if form.registered_inputs:
        circuit = register_inputs(circuit)
    files = {
        "graph.hwq": text(optimised),
        **cpp_files(optimised, top, form.terms),
        **(adders_file(circuit, ports, top) if form.style == "adders" else {}),
        **verilog_files(circuit, ports, top),
        **script_files(top, board, period, circuit.latency),
        **harness_files(ports, board, top, circuit.latency, digest(graph)),
        **bench_files(ports, top, circuit.latency),
    }
    plan = BuildPlan(top, files, board.name, board.part, period.ns, circuit.latency, digest(graph), board.operands(form.adders))
    return Build(plan, optimised, circuit, ports)


def bench_files(ports: Ports, top: str, latency: int, interval: int = 1) -> dict[str, str]:
    """`sim/rtl_main.cpp`: the test bench of the Verilog and of its netlist."""
    return {"sim/rtl_main.cpp": render("sim/rtl_main.cpp.j2", top=top, ports=ports, latency=latency, interval=interval)}
