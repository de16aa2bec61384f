"""One file a command, as plain functions: open, call, report. No option is parsed and nothing is printed here.

A stage whose inputs are unchanged is not run again; what a killed stage had finished is kept.
"""
