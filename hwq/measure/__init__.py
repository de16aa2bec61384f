"""Measurements and the store that keeps them, checked when read. No tool is started and no report is parsed here."""
