"""Kinds of tools: their steps, scripts and runs, believed only when exit code, log and files agree. No network is known here."""
