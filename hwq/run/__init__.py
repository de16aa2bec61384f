"""The run directory and its records, read and written here alone. Nothing is trained or synthesised here."""
