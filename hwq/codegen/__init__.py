"""From a Graph to text: C++ with a type per weight, Verilog, test bench and tool scripts, collected in a BuildPlan."""
