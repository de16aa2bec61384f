"""The digit-serial style: sums go some bits a clock, a row every few clocks. Circuits of whole words a clock are `hwq.codegen.build`'s.

Less hardware for less speed: an adder is `digit` full adders, whatever the width of the sum; widths cost clocks.
Prior art of the idea: bit-serial multiplication by constant sparse matrices (arXiv 2101.08884).
"""

from __future__ import annotations

from dataclasses import dataclass

from hwq.boards import Board
from hwq.codegen.build import Build, Form, bench_files
from hwq.codegen.cpp import cpp_files
from hwq.codegen.cpp_adders import adders_file
from hwq.codegen.harness import harness_files
from hwq.codegen.names import require_name
from hwq.codegen.ports import ports_of
from hwq.errors import GraphError, UsageError
from hwq.ir import Circuit, Graph, digest, text
from hwq.ir.circuit import ADDERS
from hwq.passes.pipeline import levels_for
from hwq.styles.base import PacedNetwork, Style, Timed
from hwq.styles.count import tables_of
from hwq.styles.serial.machine import Machine
from hwq.styles.serial.schedule import Roles, features_of, schedule
from hwq.styles.serial.verilog import serial_files
from hwq.toolchains.plan import TOP, BuildPlan
from hwq.toolchains.scripts import script_files
from hwq.units import Period

PLAIN = Form()


@dataclass(frozen=True, slots=True)
class Serial:
    """A network as digit-serial hardware, of any digit.

    Attributes:
        graph: as it was given; optimised: as it is built.
        circuit: its operations; forms: which of them are streams.
        levels: adders that may follow one another between two registers, where words are computed.
    """

    graph: Graph
    optimised: Graph
    circuit: Circuit
    forms: Roles
    board: Board
    period: Period
    levels: int

    @classmethod
    def of(cls, graph: Graph, board: Board, period: Period | None = None) -> Serial:
        """Raises GraphError: an operation that has no digit-serial form; names the node."""
        return cls.of_network(PacedNetwork(graph, board, period or board.default_clock, 1))

    @classmethod
    def of_network(cls, network: PacedNetwork) -> Serial:
        """Raises GraphError: an operation that has no digit-serial form; names the node."""
        board, circuit = network.board, network.circuit
        levels = levels_for(network.period.ns, board.adder_level_ns, board.overhead_ns)
        return cls(network.graph, network.optimised, circuit, Roles.of(circuit), board, network.period, levels)

    @property
    def word(self) -> int:
        """Bits of the longest sum: a row is taken every ceil(word / digit) clocks."""
        return self.forms.word

    def digit_for(self, interval: int) -> int:
        """The fewest bits a clock that take a row every `interval` clocks, or more often; the whole word for an interval of 1."""
        return -(-self.word // max(1, interval))

    def adds_less(self, digit: int) -> bool:
        """Whether the sums take fewer look-up tables than the parallel form's, a table a full adder in both.

        Low bits that only one operand has are wires there, so that whole digits are soon more than whole words.
        """
        return self.lut(digit) < self.parallel_lut()

    def lut(self, digit: int) -> int:
        """Look-up tables of the sums, as counted."""
        return digit * self.circuit.count(*ADDERS)

    def parallel_lut(self) -> int:
        """Those of the parallel form's sums."""
        return tables_of(self.circuit, self.board)

    def machine(self, digit: int) -> Machine:
        """The design of `digit` bits a clock: its interval and latency are exact.

        Raises:
            GraphError: no digit, or a whole word.
        """
        return schedule(self.circuit, digit, self.levels, self.forms)

    def build(self, digit: int, form: Form = PLAIN, *, top: str = TOP) -> Build:
        """Every file of the design; the C++ stays at the level of words, with the interval as its pragma.

        Raises:
            GraphError: a width that has no C++ or Verilog form, no digit, or a whole word.
            UsageError: registered inputs, which a serial design has anyway; sums of three operands; or `top` is a word of one of the languages.
        """
        require_name(top)
        if form.registered_inputs:
            raise UsageError("a serial design stores its inputs anyway", hint="leave --register-inputs out")
        if form.adders == "three":
            raise UsageError("a serial sum has two operands", hint="leave adders or the interval out")
        machine = self.machine(digit)
        ports, board, period = ports_of(self.optimised), self.board, self.period
        latency, interval, design = machine.latency, machine.interval, digest(self.graph)
        files = {
            "graph.hwq": text(self.optimised),
            **cpp_files(self.optimised, top, form.terms, interval),
            **(adders_file(self.circuit, ports, top, interval) if form.style == "adders" else {}),
            **serial_files(machine, ports, top),
            **script_files(top, board, period),
            **harness_files(ports, board, top, latency, design, interval),
            **bench_files(ports, top, latency, interval),
        }
        plan = BuildPlan(top, files, board.name, board.part, period.ns, latency, design, hardware=f"serial:{digit}")
        return Build(plan, self.optimised, self.circuit, ports, interval, features_of(machine))


@dataclass(frozen=True, slots=True)
class SerialAt:
    """A serial design of one digit."""

    serial: Serial
    digit: int

    @property
    def tables(self) -> float:
        """Look-up tables of its sums, as counted."""
        return float(self.serial.lut(self.digit))

    def build(self, form: Form = PLAIN, *, top: str = TOP) -> Build:
        """As `Serial.build`."""
        return self.serial.build(self.digit, form, top=top)


def _candidate(network: PacedNetwork) -> SerialAt:
    serial = Serial.of_network(network)
    digit = serial.digit_for(network.interval)
    if digit >= serial.word:
        raise GraphError("a design with nothing to add up has no serial form", hint="leave fold out")
    return SerialAt(serial, digit)


def _again(network: PacedNetwork, size: int) -> Timed:
    machine = Serial.of_network(network).machine(size)
    return Timed(f"serial:{size}", machine.latency, machine.interval, features_of(machine))


STYLE = Style("serial", _candidate, _again)
