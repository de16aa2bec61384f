"""The multiply-accumulate style: matrices of constants folded in time, everything between them as in the parallel form.

Zero weights take no time, and each lane's weights and multiplier have their own width: what folded designs of other tools give up
(hls4ml's ReuseFactor, FINN's PE and SIMD multiply every weight, in one width a layer).
"""

from __future__ import annotations

from dataclasses import dataclass

from hwq.boards import Board
from hwq.codegen.build import Build, Form, Product, Rest, bench_files
from hwq.codegen.harness import harness_files
from hwq.codegen.names import require_name
from hwq.codegen.ports import ports_of
from hwq.errors import GraphError, UsageError
from hwq.ir import Graph, digest, text
from hwq.ir.ops import is_matrix
from hwq.passes.pipeline import levels_for
from hwq.styles.base import PacedNetwork, Style, Timed
from hwq.styles.count import tables_of
from hwq.styles.mac.cpp import mac_cpp_files
from hwq.styles.mac.lanes import Folding, fold, lut_of
from hwq.styles.mac.machine import MacMachine
from hwq.styles.mac.schedule import Between, between, features_of, schedule
from hwq.styles.mac.terms import terms_of
from hwq.styles.mac.verilog import mac_files
from hwq.toolchains.plan import TOP, BuildPlan
from hwq.toolchains.scripts import script_files
from hwq.units import Period

PLAIN = Form()


@dataclass(frozen=True, slots=True)
class Mac:
    """A network as multiply-accumulate hardware, for one interval.

    Attributes:
        graph: as it was given; optimised: as it is built.
        foldings: of the products that are folded, by node, in the order of the graph.
        levels: adders that may follow one another between two registers, where words are computed.
        between: what lies between the folded products.
    """

    graph: Graph
    optimised: Graph
    foldings: dict[str, Folding]
    board: Board
    period: Period
    levels: int
    between: Between

    @classmethod
    def of(cls, graph: Graph, board: Board, period: Period | None = None, interval: int = 2) -> Mac:
        """Fold what has a folding for the interval; the rest stays as it is in the parallel form.

        Raises:
            GraphError: nothing has.
        """
        return cls.of_network(PacedNetwork(graph, board, period or board.default_clock, interval))

    @classmethod
    def of_network(cls, network: PacedNetwork) -> Mac:
        """As `of`."""
        board, period, interval, optimised = network.board, network.period, network.interval, network.optimised
        levels = levels_for(period.ns, board.adder_level_ns, board.overhead_ns)
        foldings, reason = {}, "no product with a constant matrix"
        for node in optimised.nodes:
            if is_matrix(node, weighted=True):
                try:
                    terms = terms_of(node, optimised[node.inputs[0]].type)
                    foldings[node.name] = fold(node.name, terms, interval, board.lut / max(board.bram36, 1))
                except GraphError as error:
                    reason = str(error)
        if not foldings:
            raise GraphError(f"nothing to fold for an interval of {interval}: {reason}")
        return cls(network.graph, optimised, foldings, board, period, levels, between(optimised, list(foldings)))

    def machine(self) -> MacMachine:
        """The design: its interval and latency are exact."""
        return schedule(self.between, self.foldings, self.levels)

    @property
    def lut(self) -> float:
        """Look-up tables of the folded products, as counted."""
        return sum(map(lut_of, self.foldings.values()))

    @property
    def tables(self) -> float:
        """Those of the sums between them as well."""
        return self.lut + tables_of(self.between.circuit, self.board)

    def build(self, form: Form = PLAIN, *, top: str = TOP) -> Build:
        """Every file of the design.

        Raises:
            GraphError: a width that has no C++ or Verilog form.
            UsageError: registered inputs, which a folded design has anyway; C++ in the style "adders"; sums of three; or `top` is a word
                of one of the languages.
        """
        require_name(top)
        if form.registered_inputs:
            raise UsageError("a folded design stores its inputs anyway", hint="leave --register-inputs out")
        if form.style == "adders":
            raise UsageError("a folded design has no C++ in the style adders", hint="leave the style, or fold, out")
        if form.adders == "three":
            raise UsageError("the sums of a folded design have two operands", hint="leave adders, or fold, out")
        machine, ports, board, period = self.machine(), ports_of(self.optimised), self.board, self.period
        latency, interval, design = machine.latency, machine.interval, digest(self.graph)
        files = {
            "graph.hwq": text(self.optimised),
            **mac_cpp_files(self.optimised, machine, top),
            **mac_files(machine, ports, top),
            **script_files(top, board, period, memories=True),
            **harness_files(ports, board, top, latency, design, interval),
            **bench_files(ports, top, latency, interval),
        }
        plan = BuildPlan(top, files, board.name, board.part, period.ns, latency, design, hardware=f"mac:{machine.lanes}")
        return Build(plan, self.optimised, machine.circuit, ports, interval, features_of(machine), self._rest(machine))

    def _rest(self, machine: MacMachine) -> Rest:
        rest = self.between
        products = (p.folding for p in machine.products)
        left_out = (Product(rest.operands[f.name], rest.first(f.name), f.terms.types.size, f.sums) for f in products)
        return Rest(rest.graph, tuple(left_out), rest.outputs)


def _takes(form: Form) -> bool:
    return not form.registered_inputs and form.style != "adders" and form.adders != "three"


def _again(network: PacedNetwork, size: int) -> Timed:
    """There is one size for an interval, whatever is asked for."""
    machine = Mac.of_network(network).machine()
    return Timed(f"mac:{machine.lanes}", machine.latency, machine.interval, features_of(machine))


STYLE = Style("mac", Mac.of_network, _again, _takes, expands=False)
