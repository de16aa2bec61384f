"""A frozen quantised Keras model (`hwq.conversion.freeze`) as a Graph: every weight, table and bitwidth is an integer, nothing is skipped.

Layers are known by their class names, and read by their attributes: no Keras is loaded here.
"""

from hwq.frontend.keras.constants import constant, quantizer_types
from hwq.frontend.keras.graph import from_keras

__all__ = ["constant", "from_keras", "quantizer_types"]
