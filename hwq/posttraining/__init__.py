"""Fewer bits without training: allocation (OHQ), digits, multipoint, refinement, adaptive rounding. The training loop stays out.

Most of it works on integer Graphs and arrays. `derived` writes the runs that come out, `operators` measures operators on a tool,
`float_model` reads a trained float model.
"""
