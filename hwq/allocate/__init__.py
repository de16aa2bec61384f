"""Choosing fewer bits after training: digit removal, multipoint, adaptive rounding, and bitwidths from measured costs (OHQ).

Everything here works on integer Graphs and arrays; reading models, training and tools are the business of `hwq.flow`.
"""
