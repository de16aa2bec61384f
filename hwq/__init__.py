"""hwq: hardware-in-the-loop FPGA co-design of neural networks, from per-weight bitwidths to measured LUTs."""

from typing import TYPE_CHECKING

from hwq.registration import register_with_keras

__version__ = "0.2.0"

if TYPE_CHECKING:
    from hwq.conversion.config import QuantizeConfig
    from hwq.conversion.convert import quantize
    from hwq.design.compiled import Compiled as Design
    from hwq.design.compiled import compile_network as compile
    from hwq.design.trained import Run

__all__ = ["Design", "QuantizeConfig", "Run", "compile", "quantize"]


def __getattr__(name: str) -> object:
    """The names of `__all__`, loaded when first asked for: Keras takes seconds."""
    if name == "quantize":
        from hwq.conversion.convert import quantize

        return quantize
    if name == "QuantizeConfig":
        from hwq.conversion.config import QuantizeConfig

        return QuantizeConfig
    if name == "compile":
        from hwq.design.compiled import compile_network

        return compile_network
    if name == "Design":
        from hwq.design.compiled import Compiled

        return Compiled
    if name == "Run":
        from hwq.design.trained import Run

        return Run
    raise AttributeError(f"module 'hwq' has no attribute {name!r}")


register_with_keras()
