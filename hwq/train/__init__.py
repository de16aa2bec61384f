"""hwq's own training loop: the search for the Pareto front, checkpoints, recipes. Layers, quantisers and conversion stay out."""
