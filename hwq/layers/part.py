"""What every quantised layer can be asked, whatever it computes: its quantisers, bits, costs, initial bits, and its frozen form.

Training, initialisation and freezing go through these methods alone, so that a new layer needs no change outside its own file
(docs/how-to/add-a-layer.md). A part may hold parts: QSeparableConv2D is two convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.tensors import Config, Shape, Tensor, Variable

if TYPE_CHECKING:
    from hwq.layers.activation import QActivation
    from hwq.layers.quantize import Quantize

COSTS = ("ebops", "weight_bits", "activation_bits")


class Part(keras.layers.Layer):
    """Base of every quantised layer, and of the quantiser itself.

    Attributes:
        priced_as: of a layer without a matrix: for a cost, the feature of the cost model of the moment "training" that it stands for
            (`hwq.cost.terms`), and units of that feature for each unit of the cost.
        exact: whether it computes what the design computes.
        twins: names of Keras layers whose quantised twin it is, each with the attributes that it takes over as arguments; for those
            that need no more than that (`hwq.conversion.twins`).
    """

    exact: bool

    priced_as: ClassVar[Mapping[str, tuple[str, float]]] = {}
    twins: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def parts(self) -> list[Part]:
        """The quantised layers inside this one, in the order in which data passes them."""
        return []

    def quantizers(self) -> list[Quantize]:
        """Every activation quantiser of this layer, in the order in which data passes them."""
        return [q for part in self.parts() for q in part.quantizers()]

    def bits_weights(self) -> list[Variable]:
        """The variables that hold trained bitwidths."""
        return [v for part in self.parts() for v in part.bits_weights()]

    def tables(self) -> list[QActivation]:
        """The parts that a frozen layer evaluates by table."""
        return [table for part in self.parts() for table in part.tables()]

    def kernels(self) -> list[Variable]:
        """The variables that an L1 price is put on."""
        return [v for part in self.parts() for v in part.kernels()]

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        """Costs of one call on one row: `COSTS`, each a scalar tensor.

        Differentiable, from the bits that a constant has at its fraction; or `exact`, from those that its rounded value encloses.
        """
        own = [part.costs(exact) for part in self.parts()]
        return {name: sum((cost[name] for cost in own), start=ops.zeros((), self.compute_dtype)) for name in COSTS}

    def initialise_weights(self) -> None:
        """Choose the bitwidths of constants from their values. Those of activations need data: `hwq.conversion.freeze.initialise`."""
        for part in self.parts():
            part.initialise_weights()

    def is_dead(self) -> bool:
        """Whether every weight has become zero, so that nothing passes."""
        return any(part.is_dead() for part in self.parts())

    def live_config(self) -> Config:
        """`get_config` with the user's functions and objects as they are: for a copy in this process, which needs no names of them."""
        return self.get_config()

    def frozen_config(self) -> Config:
        """The configuration of the layer that computes what the design computes."""
        return {**self.live_config(), "exact": True}

    def freeze_into(self, twin: Self) -> None:
        """Give `twin`, built from `frozen_config`, the rounded weights and bitwidths of this layer."""
        for mine, its in zip(self.parts(), twin.parts(), strict=True):
            mine.freeze_into(its)

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """The nodes of one call of the frozen layer; the last of them.

        Args:
            inputs: the nodes that it reads; `reader.quantize` makes them integers, and of a raw input the design's input node.
            shape: of a row of the result.
            name: of the node, and of what it is told to come from; the layer's own where none is given.

        Raises:
            UnsupportedLayerError: the layer has no integer form.
        """
        raise UnsupportedLayerError(f"layer {self.name!r} is a {type(self).__name__}, which has no integer form")

    def compute_mask(self, inputs: object, previous_mask: object) -> None:
        """A design has no masks: each row has the same operations.

        Raises:
            UnsupportedLayerError: there is a mask.
        """
        masks = previous_mask if isinstance(previous_mask, (list, tuple)) else [previous_mask]
        if any(mask is not None for mask in masks):
            raise UnsupportedLayerError(
                f"layer {self.name!r} is given a mask, which hwq does not support",
                hint="leave out Masking and mask_zero; pad the rows with zeros instead",
            )


def known_shape(layer: keras.layers.Layer, shape: Sequence[int | None]) -> Shape:
    """`shape` without its batch axis.

    Raises:
        UnsupportedLayerError: an axis whose length is not known: a design has a fixed size.
    """
    known = tuple(n for n in shape[1:] if n is not None)
    if len(known) < len(shape) - 1:
        inner = tuple(shape[1:])
        raise UnsupportedLayerError(
            f"layer {layer.name!r} reads rows of shape {inner}, one axis of unknown length", hint="give keras.Input a whole shape"
        )
    return tuple(int(n) for n in known)
