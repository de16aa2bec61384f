"""Kinds of tools, a file each: programs, steps, scripts, reports; a run is believed when exit code, log and files agree. No network here."""
