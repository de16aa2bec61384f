"""Every evaluator of a design, and their comparison by integer equality. No file of a run is known here."""
