"""Trained networks of others as verified Graphs, every weight read as an integer. No training is here, and no design is generated."""
