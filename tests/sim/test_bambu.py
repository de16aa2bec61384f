"""Another compiler's Verilog is simulated before it is believed: hand-written modules in the interface that Bambu gives the C++."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwq import boards
from hwq.codegen.build import build
from hwq.errors import ReportError, ToolError
from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, make_node, verify
from hwq.sim import bambu
from hwq.sim.bambu import compare_compiled

# three times the first less the second, and the square of the third by a table in a file
VERILOG = """\
`timescale 1ns / 1ps
module square_table(in1, out1);
  parameter MEMORY_INIT_file="array.mem";
  input [2:0] in1;
  output [5:0] out1;
  reg [5:0] memory [0:7];
  initial $readmemb(MEMORY_INIT_file, memory, 0, 7);
  assign out1 = memory[in1];
endmodule

module controller_hwq_top(done_port, wrenable_reg_0, clock, reset, start_port);
  output reg done_port;
  output reg wrenable_reg_0;
  input clock, reset, start_port;
  parameter [1:0] S_0 = 2'b01, S_1 = 2'b10;
  reg [1:0] _present_state, _next_state;
  always @(posedge clock)
    if (reset == 1'b0) _present_state <= S_0;
    else _present_state <= _next_state;
  always @(*)
  begin
    done_port = 1'b0;
    wrenable_reg_0 = 1'b0;
    case (_present_state)
      S_0: begin
        wrenable_reg_0 = start_port;
        _next_state = start_port ? S_1 : S_0;
      end
      S_1: begin
        done_port = 1'b1;
        _next_state = S_0;
      end
      default: _next_state = S_0;
    endcase
  end
endmodule

module _hwq_top(clock, reset, start_port, done_port, x, y);
  input clock;
  input reset;
  input start_port;
  input [9:0] x;
  output done_port;
  output [11:0] y;
  wire wrenable;
  wire [5:0] square;
  wire signed [5:0] sum = 3 * $signed({1'b0, x[2:0]}) - $signed(x[6:3]);
  reg [5:0] kept;
  reg [5:0] kept_square;
  square_table #(.MEMORY_INIT_file("array_ref_1.mem")) table_i (.in1(x[9:7]), .out1(square));
  controller_hwq_top Controller_i (.done_port(done_port), .wrenable_reg_0(wrenable), .clock(clock), .reset(reset), .start_port(start_port));
  always @(posedge clock) if (wrenable) begin kept <= sum; kept_square <= square; end
  assign y = {kept_square, kept};
endmodule

module hwq_top(clock, reset, start_port, x, done_port, y);
  // IN
  input clock;
  input reset;
  input start_port;
  input [9:0] x;
  // OUT
  output done_port;
  output [11:0] y;
  _hwq_top _hwq_top_i0 (.done_port(done_port), .y(y), .clock(clock), .reset(reset), .start_port(start_port), .x(x));
endmodule
"""


def tiny() -> Graph:
    a = make_node("a", "input", type=TypeArray.of([0, 1], [3, 4], 0))
    b = make_node("b", "input", type=TypeArray.of([0], 3, 0))
    kernel = Constant(np.array([[3], [-1]]), TypeArray.of([[0], [1]], [[2], [1]], 0))
    bias = Constant(np.array([0]), TypeArray.of(0, [0], 0))
    dense = make_node("dense", "dense", [a], attrs={"kernel": kernel, "bias": bias})
    squares = Constant(np.arange(8).reshape(1, 8) ** 2, TypeArray.of(0, np.full((1, 8), 6), 0))
    table = make_node("square", "table", [b], attrs={"values": squares, "index": (0,)})
    return verify(Graph((a, b, dense, table), ("a", "b"), ("dense", "square")))


def every_row() -> np.ndarray:
    grid = np.meshgrid(np.arange(8), np.arange(-8, 8), np.arange(8), indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1)


def compiled(folder: Path, verilog: str = VERILOG) -> Path:
    """A plan for the tiny graph, and in it what Bambu would have left."""
    build(tiny(), boards.load("pynq-z2")).plan.write(folder)
    (folder / "bambu" / "hwq_top.v").write_text(verilog)
    (folder / "bambu" / "array_ref_1.mem").write_text("".join(f"{k * k:06b}\n" for k in range(8)))
    return folder


def test_what_bambu_made_is_simulated(tmp_path: Path) -> None:
    folder = compiled(tmp_path)
    found = compare_compiled(folder, every_row())
    assert (found.stage_a, found.stage_b, found.samples, found.mismatches) == ("reference", "bambu", 1024, 0)
    assert set(bambu.sources(folder)) == {"bambu/hwq_top.v", "bambu/array_ref_1.mem"}
    wrong = VERILOG.replace("3 * $signed", "2 * $signed")
    assert wrong != VERILOG
    (folder / "bambu" / "hwq_top.v").write_text(wrong)
    found = compare_compiled(folder, every_row())
    assert found.mismatches == 896 and found.first is not None and found.first.node == "dense"
    (folder / "bambu" / "hwq_top.v").write_text(VERILOG)
    (folder / "bambu" / "array_ref_1.mem").write_text("".join(f"{k * k + (k == 5):06b}\n" for k in range(8)))
    found = compare_compiled(folder, every_row())
    assert found.mismatches == 128 and found.first is not None and found.first.node == "square"


def test_a_row_that_is_never_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bambu, "MOST_CLOCKS", 50)
    folder = compiled(tmp_path, VERILOG.replace("done_port = 1'b1;", "done_port = 1'b0;"))
    with pytest.raises(ToolError, match="done_port stays low"):
        compare_compiled(folder, every_row()[:3])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  input [9:0] x;\n  // OUT", "  input [9:0] x;\n  input [31:0] M_Rdata_ram;\n  // OUT", r"M_Rdata_ram\[32\]"),
        (
            "  // OUT\n  output done_port;\n  output [11:0] y;",
            "  output done_port;\n  output [12:0] y;",
            r"y\[13\], expected .*y\[12\]",
        ),
        ("module hwq_top(", "module other(", "no module hwq_top"),
    ],
)
def test_another_interface_is_refused(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert VERILOG.count(old) == 1
    with pytest.raises(ReportError, match=words):
        compare_compiled(compiled(tmp_path, VERILOG.replace(old, new)), every_row())
