"""`hwq compare`: methods trained on the same data, measured alike, in one table. No method of training is here, and nothing is drawn."""
