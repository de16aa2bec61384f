"""A float Keras model becomes a quantised twin, the twin an integer Graph. No training loop is here, and no data set is loaded."""
