"""The one way from a design to a stored measurement: preflight, plan, run, read, import. How one tool works is in `hwq.toolchains`."""
