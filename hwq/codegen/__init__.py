"""From a Graph to the text of a design: C++ with a type per weight, Verilog, test benches. No tool is known here, and no file is written."""
