"""A frozen quantised Keras model (`hwq.train.freeze`) to a Graph: every weight, table and bitwidth read as integers, nothing skipped silently.

Layers are known by their class names, and read by their attributes: no Keras is loaded here.
"""

from hwq.frontend.keras.constants import constant, quantizer_types
from hwq.frontend.keras.graph import from_keras

__all__ = ["constant", "from_keras", "quantizer_types"]
