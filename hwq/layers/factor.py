"""Factor: a constant multiplier for each element of a row, with few significant bits: the 1/n of averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwq.backend import ops
from hwq.quantizers.hgq import dtype_of
from hwq.tensors import Floats, Integers, Tensor


@dataclass(frozen=True, slots=True)
class Factor:
    """Values that are multiples of 2^-f.

    Attributes:
        values: (*row), floats.
        f: (*row), whole numbers.
    """

    values: Floats
    f: Integers

    @classmethod
    def reciprocal(cls, counts: Floats | Integers, bits: int) -> Factor:
        """1 / counts with at least `bits` significant bits, so exact where a count is a power of two."""
        f = np.ceil(np.log2(counts)).astype(np.int64) + bits
        return cls(np.ldexp(np.rint(np.ldexp(1.0, f) / counts), -f), f)

    def times(self, x: Tensor) -> Tensor:
        """x times the factor, exact as far as floats are."""
        return x * ops.convert_to_tensor(self.values.astype(dtype_of(x)))

    def ebops(self, widths: Tensor, terms: int) -> Tensor:
        """bits(sum) bits(factor), summed; a sum of `terms` numbers of `widths` bits has log2(terms) bits more."""
        whole = np.rint(np.ldexp(self.values, self.f)).astype(np.int64)
        bits = np.array([(int(v) // (int(v) & -int(v))).bit_length() for v in whole.ravel()], "float32").reshape(whole.shape)
        alive = ops.cast(widths > 0, dtype_of(widths))
        return ops.sum((widths + alive * float(np.log2(terms))) * bits)
