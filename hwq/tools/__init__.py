"""Programs: find one, ask its version, run it, end it as a whole. What its files mean is in `hwq.toolchains`."""
