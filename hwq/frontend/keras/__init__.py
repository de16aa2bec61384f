"""A frozen quantised Keras model (`hwq.conversion.freeze`) as a Graph: every weight, table and bitwidth is an integer, nothing is skipped.

Keras' own layers are known by their class names (`own`); a layer of hwq says its nodes itself (`hwq.layers.part.Part.integers`).
No Keras is loaded here.
"""

from hwq.frontend.keras.constants import constant, quantizer_types
from hwq.frontend.keras.graph import from_keras

__all__ = ["constant", "from_keras", "quantizer_types"]
