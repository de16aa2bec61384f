"""Quantize: the activation quantiser, a layer of its own and a part of every layer that computes."""

from __future__ import annotations

import math
from typing import Self, Unpack, cast

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import ModelError, TrainingError, UsageError
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.options import LayerOptions, RangeOptions
from hwq.layers.part import Part, known_shape
from hwq.quantizers.hgq import dtype_of, power_of_two, round_through, rounded_matmul
from hwq.quantizers.rounding import (
    GRANULARITIES,
    OVERFLOWS,
    ROUNDINGS,
    check_choice,
    fake_round,
    into_range,
    mantissas,
    rounded,
    spread,
)
from hwq.tensors import BatchShape, Config, Floats, Shape, Singles, Tensor, Variable

TRACKED_ROWS = (
    512  # of a batch, whose range is looked at while training: passes over a large batch would cost as much as rounding it
)
SPREAD = 4  # bits below the widest element's range at which another one's range is taken to end
OPTIONS = ("bits", "overflow", "rounding", "granularity", "signed", "exact")


@keras.saving.register_keras_serializable(package="hwq")
class Quantize(Part):
    """A fixed-point quantiser with its own fractional bits for every element, channel, or for the whole tensor of a row.

    Weights, of the shape of what shares them: `f` fractional bits (trained), `integer` and `negative` the range seen in training,
    `low`, `high` the mantissas' range (traced on data).

    Shapes: (rows, *shape) in and out.

    Args:
        bits: initial bits of the widest value; what f is set from.
        overflow: WRAP, SAT or SAT_SYM, once frozen. Training only rounds: the range is traced on data afterwards.
        exact: round, wrap and saturate as the design does.
        rounding: RND, TRN or RND_CONV.
        granularity: which values share a bitwidth: "element" (none), "channel" (those of one index of the last axis), "tensor" (all).
        signed: None: as the data is. False: negative values become 0 (SAT, SAT_SYM only). True: a sign bit even where nothing is negative.
        most_integer: integer bits at most, whatever the data needs: what is beyond saturates (SAT, SAT_SYM only). None: as the data is.

    Raises:
        UsageError: no such mode, or signed=False or most_integer with WRAP.
        UnsupportedLayerError: at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.Quantize(bits=4, overflow="SAT")(np.zeros((2, 4), "float32")).shape
        TensorShape([2, 4])
    """

    def __init__(
        self,
        bits: int = 6,
        overflow: str = "WRAP",
        exact: bool = False,
        rounding: str = "RND",
        granularity: str = "element",
        **options: Unpack[RangeOptions],
    ) -> None:
        signed, most_integer = options.pop("signed", None), options.pop("most_integer", None)
        super().__init__(**cast(LayerOptions, options))
        self.bits, self.exact, self.signed, self.most_integer = bits, exact, signed, most_integer
        self.overflow = check_choice("overflow", overflow, OVERFLOWS)
        self.rounding = check_choice("rounding", rounding, ROUNDINGS)
        self.granularity = check_choice("granularity", granularity, GRANULARITIES)
        if signed is False and overflow == "WRAP":
            raise UsageError("an unsigned quantiser that wraps would turn small negative values into large ones", hint="take SAT")
        if most_integer is not None and overflow == "WRAP":
            raise UsageError("most_integer needs a quantiser that saturates", hint="take SAT")
        self.spread_bits = SPREAD  # how far below the widest element's range another one's counts, when f is chosen
        self.mode = ""  # "observe" or "calibrate" while hwq.conversion.freeze looks at data

    def build(self, input_shape: BatchShape) -> None:
        self.row_shape = known_shape(self, input_shape)
        kept = {"element": len(self.row_shape), "channel": 1, "tensor": 0}[self.granularity]
        first_kept = len(self.row_shape) - kept
        shape = (*(1 for _ in self.row_shape[:first_kept]), *self.row_shape[first_kept:])
        self._axes = tuple(range(first_kept + 1))  # what shares a bitwidth, the batch axis included
        self.f = self.add_weight(name="f", shape=shape, initializer=keras.initializers.Constant(float(self.bits)))
        self.integer = self.add_weight(name="integer", shape=shape, initializer="zeros", trainable=False)
        self.negative = self.add_weight(name="negative", shape=shape, initializer="zeros", trainable=False)
        self.low = self.add_weight(name="low", shape=shape, initializer="zeros", trainable=False)
        self.high = self.add_weight(name="high", shape=shape, initializer="zeros", trainable=False)
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if self.mode == "observe":
            self._record(x)
            return x
        f = ops.convert_to_tensor(self.f)
        if self.exact:
            f = ops.round(f)
            m = mantissas(x, f, self.rounding)
            if self.mode == "calibrate":
                self._record(x * power_of_two(f, dtype_of(x)))
                m = ops.maximum(m, 0) if self.signed is False else m
            else:
                m = into_range(m, self.low, self.high, self.overflow)
            return m * power_of_two(-f, dtype_of(x))
        if self.signed is False:
            x = ops.relu(x)
        q = fake_round(x, spread(f, self.row_shape), self.rounding, training)
        if training:
            self.track(ops.stop_gradient(q[:TRACKED_ROWS]))
        return q

    def multiplies(self, x: Tensor) -> bool:
        """Whether `matmul` can stand for this quantiser and the product behind it."""
        plainly = not self.exact and not self.mode and self.signed is not False and self.rounding == "RND"
        return plainly and len(x.shape) == 2 and tuple(self.f.shape) == self.row_shape

    def matmul(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The quantised x (batch, n) times a kernel (n, m), while training."""
        f = ops.convert_to_tensor(self.f)
        self.track(ops.stop_gradient(fake_round(x[:TRACKED_ROWS], f, self.rounding)))
        return rounded_matmul(x, f, kernel)

    def _extent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the greatest value of everything that shares a bitwidth, in the shape of `f`."""
        shape = self.f.shape
        return ops.reshape(ops.min(x, axis=self._axes), shape), ops.reshape(ops.max(x, axis=self._axes), shape)

    def _record(self, x: Tensor) -> None:
        low, high = self._extent(ops.cast(x, self.low.dtype))
        self.low.assign(ops.minimum(self.low, low))
        self.high.assign(ops.maximum(self.high, high))

    def track(self, q: Tensor) -> None:
        """The running maximum of the integer bits, forgetting 0.01 bit a step (HGQ)."""
        low, high = self._extent(q)
        needed = ops.where(low < 0, ops.ceil(ops.log2(ops.maximum(-low, 1e-30)) - 1e-5), -1e3)
        needed = ops.maximum(needed, ops.where(high > 0, ops.floor(ops.log2(ops.maximum(high, 1e-30)) + 1e-5) + 1, -1e3))
        if self.most_integer is not None:
            needed = ops.minimum(needed, float(self.most_integer))
        self.integer.assign(ops.maximum(ops.convert_to_tensor(self.integer) - 0.01, needed))
        self.negative.assign(ops.maximum(ops.convert_to_tensor(self.negative), ops.cast(low < 0, self.negative.dtype)))

    def widths(self) -> Tensor:
        """Bits of each element of a row as the running range has them: sign + integer + fraction, 0 when nothing is left.

        A bitwidth that n values share has its gradient scaled by 1 / sqrt(n) (Sun et al., arXiv 2405.00645).
        """
        f = round_through(ops.convert_to_tensor(self.f))
        sharing = math.prod(self.row_shape) / max(math.prod(self.f.shape), 1)
        if sharing > 1:
            share = sharing**-0.5
            f = f * share + ops.stop_gradient(f * (1 - share))
        value_bits = ops.ceil(ops.stop_gradient(ops.convert_to_tensor(self.integer))) + f
        negative = ops.ones_like(f) if self.signed else ops.convert_to_tensor(self.negative)
        return spread(ops.where(value_bits > 0, value_bits + negative, 0.0), self.row_shape)

    def begin(self, mode: str) -> None:
        """Record the range of what passes from now on, in `low` and `high`: as it is for "observe", in steps for "calibrate"."""
        self.mode = mode
        self.low.assign(np.full(self.low.shape, np.inf))
        self.high.assign(np.full(self.high.shape, -np.inf))

    def end(self) -> None:
        """Stop recording; what is recorded waits for `settle_initial` or `settle_range`."""
        self.mode = ""

    def settle_initial(self) -> None:
        """Choose f from the observed range so that the widest value of each element has `bits` bits."""
        low, high = self._recorded()
        top = np.maximum(np.abs(low), np.abs(high))
        overall = float(top.max(initial=0)) or 1.0
        if self.spread_bits > SPREAD:  # an element that is always zero says nothing of its range
            top = np.where(top > 0, top, overall)
        integer = np.ceil(np.log2(np.maximum(top, overall * 2.0**-self.spread_bits)))
        integer = integer if self.most_integer is None else np.minimum(integer, self.most_integer)
        self.f.assign(self.bits - integer)
        self.negative.assign((low < 0) & (self.signed is not False))
        self.integer.assign(integer)
        self.low.assign(np.zeros(low.shape))
        self.high.assign(np.zeros(low.shape))

    def settle_range(self, margin: float) -> None:
        """Set the mantissas' range so that it holds what was recorded times `margin`, rounded.

        The margin is on the values, not on their mantissas: a bit of its own for every 1 that would become 2 is more than any margin.

        Raises:
            ModelError: too many bits for the float type that holds the range.
        """
        seen_low, seen_high = self._recorded()
        if self.signed is False:
            seen_low, seen_high = np.maximum(seen_low, 0), np.maximum(seen_high, 0)
        low, high = (rounded(seen * margin, self.rounding) for seen in (seen_low, seen_high))
        symmetric = self.overflow == "SAT_SYM"
        bits = np.maximum(_bits(-low - (0 if symmetric else 1)), _bits(high))
        if self.most_integer is not None:
            bits = np.minimum(bits, np.maximum(self.most_integer + np.round(ops.convert_to_numpy(self.f)), 0))
        alive = (rounded(seen_low, self.rounding) != 0) | (rounded(seen_high, self.rounding) != 0)
        if (bits * alive > 100).any():
            raise ModelError(f"an activation of {self.name!r} needs {int(bits.max())} bits", hint="fewer initial bits")
        negative = alive & ((low < 0) | bool(self.signed))
        # SAT_SYM of one bit has the codes -1 and 0, as its type says
        bottom = -(2.0**bits) + np.where(symmetric & (bits > 0), 1, 0)
        self.low.assign(np.where(negative, bottom, 0))
        self.high.assign(np.where(alive, 2.0**bits - 1, 0))

    def _recorded(self) -> tuple[Floats, Floats]:
        """What `begin` and all rows since have left."""
        low, high = (np.asarray(ops.convert_to_numpy(v), np.float64) for v in (self.low, self.high))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise TrainingError(f"no finite value reaches {self.name!r}", hint="look for NaN or infinity in data and weights")
        return low, high

    def initialise(self, x: Floats | Singles) -> None:
        """Choose f from the rows (rows, ...) that this layer reads."""
        self._record_all("observe", x)
        self.settle_initial()

    def trace(self, x: Floats | Singles, margin: float) -> None:
        """Set the mantissas' range from rows, widened by the factor `margin`."""
        self._record_all("calibrate", x)
        self.settle_range(margin)

    def _record_all(self, mode: str, x: Floats | Singles) -> None:
        self.begin(mode)
        rows = ops.convert_to_tensor(x)
        f = ops.round(ops.convert_to_tensor(self.f))
        self._record(rows if mode == "observe" else rows * power_of_two(f, dtype_of(rows)))
        self.end()

    def quantizers(self) -> list[Quantize]:
        return [self]

    def bits_weights(self) -> list[Variable]:
        return [self.f]

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        return {**super().costs(exact), "activation_bits": ops.sum(self.widths())}

    def freeze_into(self, twin: Self) -> None:
        twin.f.assign(np.round(ops.convert_to_numpy(self.f)))

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        return reader.quantize(name or self.name, self, inputs[0])

    def get_config(self) -> Config:
        return {**super().get_config(), **{name: getattr(self, name) for name in (*OPTIONS, "most_integer")}}


def _bits(values: Floats) -> Floats:
    """Bits of each whole number, 0 for those below 1."""
    return np.where(values >= 1, np.floor(np.log2(np.maximum(values, 1))) + 1, 0)
