"""Products with constants as adder graphs: the problem, its search in Python and in native code, and the way into a circuit.
No activation is here, and no pipeline."""

from hwq.passes.adders.matrix import Multiplier
from hwq.passes.adders.problem import csd
from hwq.passes.adders.solve import AdderOptions

__all__ = ["AdderOptions", "Multiplier", "csd"]
