"""A network as a design for a target: its files, what its evaluators said, its budget. Synthesis is in `hwq.synthesis`."""
