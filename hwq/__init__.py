"""hwq: hardware-in-the-loop FPGA co-design of neural networks, from per-weight bitwidths to measured LUTs."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hwq.train.convert import quantize
    from hwq.train.quantize_config import QuantizeConfig

__all__ = ["QuantizeConfig", "quantize"]


def __getattr__(name: str) -> Any:
    """`hwq.quantize` and `hwq.QuantizeConfig`, loaded when first asked for: Keras takes seconds."""
    if name == "quantize":
        from hwq.train.convert import quantize

        return quantize
    if name == "QuantizeConfig":
        from hwq.train.quantize_config import QuantizeConfig

        return QuantizeConfig
    raise AttributeError(f"module 'hwq' has no attribute {name!r}")
