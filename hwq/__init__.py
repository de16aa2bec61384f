"""hwq: hardware-in-the-loop FPGA co-design of neural networks, from per-weight bitwidths to measured LUTs.

A notebook goes from a Keras model to a measurement without the shell:

    twin = hwq.quantize(model, data=x)          # twin.report says what became of each layer
    ...                                         # compile and fit the twin as usual
    design = hwq.compile(twin, hwq.Target.of("xcvu9p", "200MHz", tool="yosys"), data=x)
    design.estimate(), design.synth(), design.report()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwq.registration import register_with_keras

__version__ = "0.2.0"

if TYPE_CHECKING:
    from hwq import boards, callbacks, errors, layers
    from hwq.conversion.config import QuantizeConfig
    from hwq.conversion.convert import quantize
    from hwq.cost.predict import predict_cost
    from hwq.design.compiled import Design
    from hwq.design.compiled import compile_network as compile
    from hwq.design.exporting import export
    from hwq.design.target import Target
    from hwq.design.trained import Run
    from hwq.importers import load
    from hwq.ir import Graph
    from hwq.measure.store import Store
    from hwq.reports import parse as parse_report

# name -> module and what it is called there; "" is the module itself
_PUBLIC = {
    "Design": ("hwq.design.compiled", "Design"),
    "Graph": ("hwq.ir", "Graph"),
    "QuantizeConfig": ("hwq.conversion.config", "QuantizeConfig"),
    "Run": ("hwq.design.trained", "Run"),
    "Store": ("hwq.measure.store", "Store"),
    "Target": ("hwq.design.target", "Target"),
    "boards": ("hwq.boards", ""),
    "callbacks": ("hwq.callbacks", ""),
    "compile": ("hwq.design.compiled", "compile_network"),
    "errors": ("hwq.errors", ""),
    "export": ("hwq.design.exporting", "export"),
    "layers": ("hwq.layers", ""),
    "load": ("hwq.importers", "load"),
    "parse_report": ("hwq.reports", "parse"),
    "predict_cost": ("hwq.cost.predict", "predict_cost"),
    "quantize": ("hwq.conversion.convert", "quantize"),
}
__all__ = [
    "Design",
    "Graph",
    "QuantizeConfig",
    "Run",
    "Store",
    "Target",
    "boards",
    "callbacks",
    "compile",
    "errors",
    "export",
    "layers",
    "load",
    "parse_report",
    "predict_cost",
    "quantize",
]

register_with_keras()


def __getattr__(name: str) -> Any:
    """The names of `__all__`, loaded when first asked for: Keras takes seconds."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'hwq' has no attribute {name!r}")
    module, inner = _PUBLIC[name]
    found = import_module(module)
    return getattr(found, inner) if inner else found


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
