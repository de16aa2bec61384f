"""Networks that exports are proven on: every op in every mode, and networks of layers."""

from __future__ import annotations

import numpy as np
from every_op import ops_of_one_input
from networks import random_constant, random_network

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Graph, make_node, verify


def wide() -> Graph:
    """Sums of 30 bits: longer than float32 holds, no longer than float64 does."""
    x = make_node("x", "input", type=TypeArray.of(1, np.full(3, 16), 8, Rounding.RND_CONV, Overflow.SAT))
    kernel = random_constant(np.random.default_rng(2), (3, 2), 12, 0)
    y = make_node("y", "dense", [x], attrs={"kernel": kernel, "bias": random_constant(np.random.default_rng(3), (2,), 6, 0)})
    z = make_node("z", "quantize", [y], type=TypeArray.of([1, 0], [9, 12], [4, 6], Rounding.RND, Overflow.WRAP))
    return verify(Graph((x, y, z, make_node("r", "leaky_relu", [z], attrs={"shift": 3})), ("x",), ("r",)))


def cases() -> dict[str, Graph]:
    return {
        "network": random_network(3, (6, 5, 4)),
        "ops": ops_of_one_input((Rounding.RND, Overflow.WRAP))[0],
        "saturating": ops_of_one_input((Rounding.RND_CONV, Overflow.SAT))[0],
        "wide": wide(),
    }
