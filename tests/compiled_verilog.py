"""hwq's own Verilog of a plan behind the interface that Bambu gives a design: what a right compiler could have made of the C++."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

WRAPPER = """
module hwq_top(clock, reset, start_port, x, done_port, y);
  // IN
  input clock;
  input reset;
  input start_port;
  input {x_range} x;
  // OUT
  output done_port;
  output {y_range} y;
  reg [{latency}:0] started;
  always @(posedge clock)
    if (reset == 1'b0) started <= 0;
    else started <= {{started, start_port}};
  assign done_port = started[{last}];
  hwq_core core_i (.clk(clock), .x(x), .y(y));
endmodule
"""
LOG = """\
  Version: PandA 2024.10 - Revision 0123abc
  Scheduling Information of function hwq_top:
    Number of control steps: {steps}
    Minimum slack: 0.5
    Estimated max frequency (MHz): 250.0
  State Transition Graph Information of function hwq_top:
    Number of states: {states}
    Minimum number of cycles: {states}
    Maximum number of cycles {states}
  Total number of flip-flops in function hwq_top: 321
"""


def verilog(plan: Path) -> str:
    """The Verilog for the plan in a folder."""
    rtl = (plan / "rtl" / "hwq_top.v").read_text()
    latency = int(json.loads((plan / "build.json").read_text())["latency_cycles"])
    ranges = {name: re.findall(rf"put +wire (\[\d+:0\]) {name}\b", rtl)[-1] for name in "xy"}
    wrapper = WRAPPER.format(x_range=ranges["x"], y_range=ranges["y"], latency=latency, last=latency - 1)
    return re.sub(r"\bhwq_top\b", "hwq_core", rtl) + wrapper


def log(states: int = 4) -> str:
    """What is printed meanwhile."""
    return LOG.format(steps=states + 2, states=states)


def body(change: str = "") -> str:
    """A shell command that does as Bambu does, in its folder; `change` is a sed command for the Verilog."""
    own = f"'{sys.executable}' '{Path(__file__)}' > hwq_top.v\n"
    return own + (f"sed -i '{change}' hwq_top.v\n" if change else "") + f"cat <<'END_OF_LOG'\n{log()}END_OF_LOG\n"


if __name__ == "__main__":
    print(verilog(Path("..")))
