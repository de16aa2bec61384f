"""A style as docs/how-to/add-a-style.md has one made: the parallel form that takes a row every `interval` clocks only. It saves nothing."""

from __future__ import annotations

from dataclasses import dataclass

from hwq.codegen.build import Build, Form, bench_files
from hwq.codegen.cpp import cpp_files
from hwq.codegen.harness import harness_files
from hwq.codegen.ports import ports_of
from hwq.codegen.verilog import verilog_files
from hwq.ir import Circuit, digest, text
from hwq.passes.pipeline import levels_for, pipeline
from hwq.styles.base import PacedNetwork, Style, Timed
from hwq.toolchains.plan import TOP, BuildPlan
from hwq.toolchains.scripts import script_files

WRAPPER = """
module {top} (input  wire clk, input  wire start, output wire ready, input  wire [{x}:0] x, output wire valid, output wire [{y}:0] y);
    reg [{latency}:1] token = 0;
    reg [31:0] busy = 0;
    assign ready = busy == 0;
    assign valid = token[{latency}];
    always @(posedge clk) begin
        token <= {{token, start & ready}};
        if (start & ready) busy <= {interval} - 1;
        else if (!ready) busy <= busy - 1;
    end
    {top}_core core (.clk(clk), .x(x), .y(y));
endmodule
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A network that waits."""

    network: PacedNetwork

    @property
    def tables(self) -> float:
        return 0.5  # less than anything that adds

    @property
    def circuit(self) -> Circuit:
        period, board = self.network.period, self.network.board
        return pipeline(self.network.circuit, levels_for(period.ns, board.adder_level_ns, board.overhead_ns))

    def timed(self) -> Timed:
        latency, interval = self.circuit.latency, self.network.interval
        return Timed(f"toy:{interval}", latency, interval, {"toy_clocks": float(interval)})

    def build(self, form: Form = Form(), *, top: str = TOP) -> Build:  # noqa: B008  (frozen)
        network, circuit, said = self.network, self.circuit, self.timed()
        ports, design = ports_of(network.optimised), digest(network.graph)
        (core,) = verilog_files(circuit, ports, f"{top}_core").values()
        values = {"top": top, "x": ports.input_bits - 1, "y": ports.output_bits - 1}
        files = {
            "graph.hwq": text(network.optimised),
            **cpp_files(network.optimised, top, form.terms, said.interval),
            f"rtl/{top}.v": core + WRAPPER.format(latency=said.latency, interval=said.interval, **values),
            **script_files(top, network.board, network.period),
            **harness_files(ports, network.board, top, said.latency, design, said.interval),
            **bench_files(ports, top, said.latency, said.interval),
        }
        board, period = network.board, network.period
        plan = BuildPlan(top, files, board.name, board.part, period.ns, said.latency, design, hardware=said.hardware)
        return Build(plan, network.optimised, circuit, ports, said.interval, said.features)


def again(network: PacedNetwork, size: int) -> Timed:
    return Waiting(network).timed()


STYLE = Style("toy", Waiting, again)
