"""Stubs of vendor tools that keep the state which the real ones keep."""
