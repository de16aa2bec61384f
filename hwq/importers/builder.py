"""The Graph of a file while it is read: nodes, the input's type, functions that wait for the quantiser behind them.

A peer lets any layer quantise the network's input, and several of them do so in different ways. What reads the input is read twice: at first
with the input's elements as numbers, to see what is asked of each, then with an input whose type serves all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.fixed import FixedType, Overflow, Rounding, TypeArray
from hwq.importers.fixed_point import Fixed, dyadic
from hwq.importers.keras_files import StoredLayer
from hwq.ir import Attr, Node, fresh_name, make_node
from hwq.ir.graph import MOST_ELEMENTS
from hwq.tensors import Singles

ArrayFunction = Callable[[Singles], Singles]
WIDEST_TABLE = 18  # bits of what a table reads
MOST_ENTRIES = 1 << 24
PADDING = -1


@dataclass(frozen=True, slots=True)
class Signal:
    """What a layer gives.

    Attributes:
        node: its numbers; None for the input before any quantiser.
        places: then, which element of the input stands where; PADDING is a zero.
        function: what is still to be done to each number, in float32; a quantiser makes a table of both. It takes (codes, *shape) and
            gives as many, and may differ from element to element: what moves the numbers moves it with them.
    """

    node: Node | None = None
    places: npt.NDArray[np.int64] | None = None
    function: ArrayFunction | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        if self.node is not None:
            return self.node.shape
        return self.raw.shape

    @property
    def raw(self) -> npt.NDArray[np.int64]:
        """The places, of a value that has no numbers yet."""
        return np.zeros(0, np.int64) if self.places is None else self.places


@dataclass(slots=True)
class Builder:
    """Nodes made so far.

    Attributes:
        shape: of the input's rows.
        input: the input's type, once known.
        asked: what quantisers ask of the input: (places, types).
        tables: names of the layers that became tables.
        rounded: names of the layers whose sums the peer rounds to float32, and why.
    """

    shape: tuple[int, ...]
    input: TypeArray | None = None
    nodes: list[Node] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    asked: list[tuple[npt.NDArray[np.int64], TypeArray]] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)
    rounded: dict[str, str] = field(default_factory=dict)

    def start(self) -> Signal:
        """The input.

        Raises:
            ModelError: rows of no or too many elements.
        """
        if not 0 < math.prod(self.shape) <= MOST_ELEMENTS or min(self.shape) < 1:
            raise ModelError(f"the input has the shape {self.shape}", hint=f"a tensor may have {MOST_ELEMENTS} elements")
        if self.input is None:
            return Signal(places=np.arange(int(np.prod(self.shape))).reshape(self.shape))
        self.nodes.append(make_node(fresh_name("x", self.names), "input", type=self.input, source="input"))
        return Signal(self.nodes[-1])

    def add(self, name: str, op: str, sources: Sequence[Node], layer: str, **attrs: Attr) -> Node:
        """Append an operation; `layer` is the peer's name of where it comes from."""
        self.nodes.append(make_node(fresh_name(name, self.names), op, sources, attrs=attrs, source=layer))
        return self.nodes[-1]

    def quantize(self, layer: str, value: Signal, fixed: Fixed, part: str = "quantize") -> Signal:
        """`value` through a quantiser; with a function that waits, as a table.

        Raises:
            UnsupportedLayerError: more bits than a table takes.
        """
        if value.function is not None:
            each, pending = fixed.each(value.shape, layer), value.function
            return Signal(self.table(layer, self.node(layer, Signal(value.node)), lambda x: each.values(pending(x))))
        types = fixed.types(value.shape, layer)
        if value.node is None:
            self.asked.append((value.raw, types))
            self.nodes.append(make_node(fresh_name("x", self.names), "input", type=types, source="input"))
        else:
            self.nodes.append(
                make_node(fresh_name(f"{layer}_{part}", self.names), "quantize", [value.node], type=types, source=layer)
            )
        return Signal(self.nodes[-1])

    def table(self, layer: str, source: Node, function: ArrayFunction) -> Node:
        """A function of each element as a table.

        Args:
            function: (codes, *shape) floats to their values, exactly representable.

        Raises:
            UnsupportedLayerError: more bits than a table takes.
            ModelError: it gives NaN, infinity, or another number of elements than it takes.
        """
        types = source.type
        widest = int(types.width.max(initial=0))
        counts = np.asarray(types.highest - types.lowest + 1).astype(np.int64).ravel()
        if widest > WIDEST_TABLE or counts.max(initial=1) * types.size > MOST_ENTRIES:
            raise UnsupportedLayerError(
                f"layer {layer!r} is a function of numbers of {widest} bits; a table takes {WIDEST_TABLE}",
                hint="quantise what the function reads, in the peer's package",
            )
        codes = np.minimum(np.arange(int(counts.max(initial=1)))[:, None], counts - 1)
        x = np.ldexp((codes + types.lowest.astype(np.int64).ravel()).astype(np.float32), -types.frac.astype(np.int64).ravel())
        y = np.asarray(_applied(function, x.reshape(-1, *types.shape)), np.float64).reshape(len(x), -1)
        if not np.isfinite(y).all():
            raise ModelError(f"layer {layer!r} answers with NaN or infinity", hint="the file's weights have NaN or infinity")
        y = np.where(np.arange(len(y))[:, None] < counts, y, 0.0)  # a row ends in zeros that no code reaches
        rows, index = np.unique(y.T, axis=0, return_inverse=True)
        self.tables.add(layer)
        return self.add(f"{layer}_table", "table", [source], layer, values=dyadic(rows), index=tuple(map(int, index.ravel())))

    def node(self, layer: str, value: Signal) -> Node:
        """The numbers of a value that a layer computes with.

        Raises:
            UnsupportedLayerError: nothing has quantised them.
        """
        if value.node is None or value.function is not None:
            what = "the input" if value.node is None else "a function's result"
            hint = "enable the quantiser of its input"
            if value.node is None:
                hint += ", or tell the type of the network's input: --input-type 16,6"
            raise UnsupportedLayerError(f"layer {layer!r} computes with {what}, which nothing has quantised", hint=hint)
        return value.node

    def reshape(self, layer: str, value: Signal, shape: Sequence[int]) -> Signal:
        """In another shape, a function that waits included; two shapes in a row are the second one."""
        target = tuple(int(n) for n in shape)
        if target == value.shape:
            return value
        if value.node is None:
            return Signal(places=value.raw.reshape(target))
        if value.node.op == "reshape":
            return self.reshape(layer, Signal(self.named(value.node.inputs[0]), function=value.function), target)
        node = self.add(f"{layer}_reshape", "reshape", [value.node], layer, shape=target)
        before = value.shape
        return Signal(node, function=_moved(value.function, lambda x: x.reshape(-1, *before), lambda y: y.reshape(-1, *target)))

    def named(self, name: str) -> Node:
        """The node of this name."""
        return next(node for node in reversed(self.nodes) if node.name == name)

    def permute(self, layer: str, value: Signal, dims: Sequence[int]) -> Signal:
        """With other axes first; two orders in a row are one, and none where the second undoes the first."""
        dims, node = tuple(map(int, dims)), value.node
        if node is None:
            return Signal(places=value.raw.transpose(dims))
        forth = (0, *(d + 1 for d in dims))
        back = tuple(map(int, np.argsort(forth)))
        if node.op == "permute":
            dims = tuple(node.integers("dims")[d] for d in dims)
            node = self.named(node.inputs[0])
        if dims != tuple(range(len(dims))):
            node = self.add(layer, "permute", [node], layer, dims=dims)
        return Signal(node, function=_moved(value.function, lambda x: x.transpose(back), lambda y: y.transpose(forth)))

    def pad(self, layer: str, value: Signal, pads: Sequence[tuple[int, int]]) -> Signal:
        """With zeros around.

        Raises:
            UnsupportedLayerError: a function waits, and zero is not what it makes of zero.
        """
        if not any(n for pair in pads for n in pair):
            return value
        if value.node is None:
            return Signal(places=np.pad(value.raw, pads, constant_values=PADDING))
        node = self.node(layer, value)
        return Signal(self.add(f"{layer}_pad", "pad", [node], layer, pads=tuple(int(n) for pair in pads for n in pair)))

    def concatenate(self, layer: str, values: Sequence[Signal], axis: int) -> Signal:
        """One after the other.

        Raises:
            UnsupportedLayerError: some are quantised and others are the input.
        """
        raw = [value.places for value in values if value.places is not None]
        if len(raw) == len(values):
            return Signal(places=np.concatenate(raw, axis=axis))
        nodes = [self.node(layer, value) for value in values]
        return Signal(self.add(layer, "concatenate", nodes, layer, axis=axis))

    def spread(self, layer: str, value: Signal, shape: Sequence[int]) -> Signal:
        """With every axis of length 1 repeated to that of `shape`: the same wires, read several times."""
        if value.node is None:
            return Signal(places=np.broadcast_to(value.raw, tuple(shape)))
        node = value.node
        for axis, (have, want) in enumerate(zip(node.shape, shape, strict=True)):
            if have != want:
                node = self.add(f"{layer}_repeat", "concatenate", [node] * want, layer, axis=axis)
        one = (slice(None), *(slice(have) for have in value.shape))  # all copies read the same wires
        function = _moved(value.function, lambda x: x[one], lambda y: np.broadcast_to(y, (len(y), *shape)))
        return Signal(node, function=function)

    def serving(self) -> TypeArray | None:
        """One type of the input that serves all that read it; None where the first reading has it already.

        Rounding toward minus infinity a bit below the finest step asked for leaves a later rounding to nearest as it is, and so does a
        range that holds all those asked for.

        Raises:
            UnsupportedLayerError: the ways cannot be told from one number.
        """
        size = int(np.prod(self.shape))
        if len(self.asked) == 1 and np.array_equal(self.asked[0][0], np.arange(size).reshape(self.shape)):
            return None
        k, i, f = (np.full(size, low, np.int64) for low in (0, -(1 << 20), -(1 << 20)))
        coarsest = np.full(size, 1 << 20, np.int64)
        for places, types in self.asked:
            there = (places.ravel() != PADDING) & (types.width.ravel() > 0)
            at = places.ravel()[there]
            s, w, frac = (part.astype(np.int64).ravel()[there] for part in (types.signed, types.width, types.frac))
            for total, told in ((k, s), (f, frac), (i, w - frac - s)):
                np.maximum.at(total, at, told)
            np.minimum.at(coarsest, at, frac)
        read = f > -(1 << 20)
        roundings, overflows = ({getattr(types, name) for _, types in self.asked} for name in ("rounding", "overflow"))
        same = len(roundings) == 1 and bool((f == coarsest)[read].all())
        wraps = Overflow.WRAP in overflows
        if (not same and Rounding.RND_CONV in roundings) or (wraps and len(overflows) > 1):
            raise UnsupportedLayerError(
                "layers quantise the network's input in ways that no one input serves", hint="quantise the input once, in one layer"
            )
        f = f if same else f + 1
        rounding = next(iter(roundings)) if same else Rounding.TRN
        width = np.where(read, k + i + f, 0)
        types = TypeArray.of(k, width, np.where(read, f, 0), rounding, Overflow.WRAP if wraps else Overflow.SAT)
        return types.reshape(self.shape)


def _moved(function: ArrayFunction | None, back: ArrayFunction, forth: ArrayFunction) -> ArrayFunction | None:
    """The function of numbers that were moved: they go back to where it has a number for each element, and its results forth.

    Args:
        back, forth: (codes, *shape) of the moved numbers to those before, and the other way.
    """
    if function is None:
        return None
    return lambda x: forth(_applied(function, back(x)))


def _applied(function: ArrayFunction, x: Singles) -> Singles:
    """Raises ModelError: its constants are of another shape than the numbers."""
    with np.errstate(all="ignore"):  # a type has codes that no number reaches, such as a zero that is divided by
        y = np.asarray(function(x))
    if y.shape != x.shape:
        raise ModelError(
            f"a function of numbers of shape {x.shape[1:]} has constants of another shape: it gives {y.shape[1:]}",
            hint="is the file whole?",
        )
    return y


def uniform(one: FixedType, shape: tuple[int, ...]) -> TypeArray:
    """One type for every element of a row.

    Raises:
        ModelError: rows of no or too many elements.
    """
    if not 0 < math.prod(shape) <= MOST_ELEMENTS:
        raise ModelError(f"the input has the shape {shape}", hint=f"a tensor may have {MOST_ELEMENTS} elements")
    k, width, frac = (np.full(shape, n, np.int64) for n in (one.signed, one.width, one.frac))
    return TypeArray.of(k, width, frac, one.rounding, one.overflow)


StoredReader = Callable[[Builder, StoredLayer, list[Signal]], Signal]  # of one kind of layer: what it gives for what it reads
