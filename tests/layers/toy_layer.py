"""A layer as docs/how-to/add-a-layer.md has one made: a whole file of `hwq/layers`, for the greatest value of a block of voxels."""

from __future__ import annotations

from typing import ClassVar, Unpack, cast

from hwq.backend import keras, ops
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.conv import check_format
from hwq.layers.kernel import QuantizedLayer
from hwq.layers.options import PoolOptions, QuantizerOptions
from hwq.layers.part import Part, known_shape
from hwq.tensors import BatchShape, Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="toy")
class QGlobalMaxPooling3D(QuantizedLayer):
    """GlobalMaxPooling3D with a quantised input."""

    priced_as: ClassVar = {"activation_bits": ("net_choice_bits", 1.0)}
    twins: ClassVar = {"GlobalMaxPooling3D": ("keepdims", "data_format")}

    def __init__(self, **options: Unpack[PoolOptions]) -> None:
        self.keepdims, data_format = options.pop("keepdims", False), options.pop("data_format", None)
        options.setdefault("granularity", "channel")
        super().__init__(**cast(QuantizerOptions, options))
        check_format(self.name, data_format)
        self.quantizer = self.make_quantizer()

    def build(self, input_shape: BatchShape) -> None:
        known_shape(self, input_shape)
        self.quantizer.build(input_shape)
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return ops.max(self.quantizer(x, training=training), axis=(1, 2, 3), keepdims=self.keepdims)

    def parts(self) -> list[Part]:
        return [self.quantizer]

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """All planes under one another are one image."""
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        deep, high, wide, channels = x.shape
        image = reader.reshape(x, (deep * high, wide, channels), name)
        size = (deep * high, wide)
        node = reader.add(name, "max_pool2d", [image], name, size=size, strides=size, pads=(0, 0, 0, 0))
        return reader.reshape(node, shape, name)

    def get_config(self) -> Config:
        return {**super().get_config(), "keepdims": self.keepdims}
