"""hwq: hardware-in-the-loop FPGA co-design of neural networks, from per-weight bitwidths to measured LUTs."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hwq.flow.compiled import compile_network as compile
    from hwq.train.convert import quantize
    from hwq.train.quantize_config import QuantizeConfig

__all__ = ["QuantizeConfig", "compile", "quantize"]


def __getattr__(name: str) -> Any:
    """`hwq.compile`, `hwq.quantize` and `hwq.QuantizeConfig`, loaded when first asked for: Keras takes seconds."""
    if name == "quantize":
        from hwq.train.convert import quantize

        return quantize
    if name == "QuantizeConfig":
        from hwq.train.quantize_config import QuantizeConfig

        return QuantizeConfig
    if name == "compile":
        from hwq.flow.compiled import compile_network

        return compile_network
    raise AttributeError(f"module 'hwq' has no attribute {name!r}")
