"""Fewer bits without training: allocation (OHQ), digits, multipoint, refinement, adaptive rounding. The training loop stays out.

Most of it works on integer Graphs and arrays. `runs` writes the runs that come out, `operation_costs` measures operators on a tool,
`float_model` reads a trained float model.
"""
