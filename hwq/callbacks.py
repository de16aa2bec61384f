"""Keras callbacks for `fit` of a quantised twin. The training loop of `hwq train` does without them."""

from hwq.layers.model import BetaSchedule

__all__ = ["BetaSchedule"]
