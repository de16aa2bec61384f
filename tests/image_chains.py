"""Image networks as chains of layers, as a stream takes them."""

from __future__ import annotations

import numpy as np
from networks import random_constant

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Attr, Graph, Node, make_node, verify


class Chain:
    """An image network grown layer by layer."""

    def __init__(self, shape: tuple[int, ...], bits: int = 3, seed: int = 0, *, signed: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes = [make_node("image", "input", type=TypeArray.of(int(signed), np.full(shape, bits), 2))]

    def add(self, op: str, type: TypeArray | None = None, **attrs: Attr) -> Node:
        node = make_node(f"{op}_{len(self.nodes)}", op, [self.nodes[-1]], attrs=attrs, type=type, source="a layer")
        self.nodes.append(node)
        return node

    def quantize(self, bits: int = 4) -> None:
        """Every channel with its own step."""
        shape = self.nodes[-1].shape
        frac = np.broadcast_to(np.arange(shape[-1]) % 2 + 1, shape)
        self.add("quantize", TypeArray.of(0, np.full(shape, bits), frac, Rounding.RND, Overflow.SAT))

    def conv(
        self, size: tuple[int, int], outputs: int, pads: tuple[int, ...] = (0, 0, 0, 0), groups: int = 1, **other: Attr
    ) -> None:
        channels = self.nodes[-1].shape[2]
        kernel = random_constant(self.rng, (*size, channels // groups, outputs), 3, 0.4)
        place: dict[str, Attr] = {"strides": (1, 1), "dilation": (1, 1), **other}
        self.add("conv2d", kernel=kernel, bias=random_constant(self.rng, (outputs,), 4, 0.1), pads=pads, groups=groups, **place)

    def pool(self, op: str, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, ...] = (0, 0, 0, 0)) -> None:
        self.add(op, size=size, strides=strides, pads=pads)

    def dense(self, outputs: int) -> None:
        n = self.nodes[-1].shape[-1]
        self.add(
            "dense", kernel=random_constant(self.rng, (n, outputs), 3, 0.6), bias=random_constant(self.rng, (outputs,), 4, 0.1)
        )

    def flatten(self) -> None:
        self.add("reshape", shape=(self.nodes[-1].type.size,))

    def graph(self) -> Graph:
        return verify(Graph(tuple(self.nodes), ("image",), (self.nodes[-1].name,)))
