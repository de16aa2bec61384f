"""The stages as plain functions over a run directory: train, synth, simulate, report. `hwq.cli` is a thin skin over them.

A stage whose inputs are unchanged is not run again; what a killed stage had finished is kept.
"""
