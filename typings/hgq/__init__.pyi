"""What the benchmarks use of HGQ2 0.2.0, which lives in an environment of its own and has no types."""
