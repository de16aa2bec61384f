"""The nodes of a file while they are read: what each gives, and what it reads. What operations mean is elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.importers.builder import Builder, Signal
from hwq.importers.keras_files import REAL
from hwq.tensors import Numbers

NodeReader = Callable[["OnnxNode", "Walk"], "Signal | Numbers"]
READ_CODES = ("DequantizeLinear", "Clip")  # between a QuantizeLinear and these a tensor holds codes, not numbers
FIXED, TABLE = "hwq.Fixed", "hwq.Table"  # what `hwq.importers.forms` makes of several nodes; no file can name them
INTERNAL = {FIXED, TABLE}
TEXT = "doc_string"  # among a node's attributes: what the file says of it in words


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node of a file: its name, operation, names of inputs and outputs, and attributes as Python has them."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    version: int = 1


@dataclass(slots=True)
class Walk:
    """What the nodes so far give: numbers of the design, or constants."""

    builder: Builder
    values: dict[str, Signal | Numbers]
    steps: dict[str, Numbers] = field(default_factory=dict)  # of what a QuantizeLinear gave
    quantized: set[str] = field(default_factory=set)  # constants that a Quant gave
    uses: Counter[str] = field(default_factory=Counter)  # how many nodes read a tensor

    def get(self, node: OnnxNode, place: int) -> Signal | Numbers:
        """What the node reads at this place.

        Raises:
            ModelError: the file has no such value.
            UnsupportedLayerError: codes, where the node computes with numbers.
        """
        name = node.inputs[place] if place < len(node.inputs) else ""
        if name not in self.values:
            raise ModelError(f"node {node.name!r} ({node.op}) reads {name!r}, which nothing gives", hint="is the file whole?")
        if name in self.steps and node.op not in READ_CODES:
            raise UnsupportedLayerError(
                f"node {node.name!r} ({node.op}) computes with the codes of a QuantizeLinear", hint="put a DequantizeLinear between"
            )
        found = self.values[name]
        if not isinstance(found, Signal) and found.dtype.kind not in REAL:
            raise ModelError(f"node {node.name!r} ({node.op}) reads {found.dtype}, not real numbers", hint="is the file whole?")
        return found

    def constant(self, node: OnnxNode, place: int) -> Numbers:
        """Raises UnsupportedLayerError: it is computed."""
        found = self.get(node, place)
        if isinstance(found, Signal):
            raise UnsupportedLayerError(f"node {node.name!r} ({node.op}) has an input {node.inputs[place]!r} that is no constant")
        return found

    def is_quantized(self, node: OnnxNode, place: int) -> bool:
        """Whether what the node reads there is a constant behind a quantiser, however many bits it has."""
        return self.has(node, place) and node.inputs[place] in self.quantized

    def has(self, node: OnnxNode, place: int) -> bool:
        return len(node.inputs) > place and bool(node.inputs[place])
