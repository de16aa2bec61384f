"""Which features each target depends on, at each moment, and what one unit of each should cost: the physics before any measurement.

What Yosys makes of each operation was looked up one by one (docs/reference/cost-models.md); measurements then say what is different.
"""

from __future__ import annotations

from collections.abc import Mapping

LINEAR, TRAINING, EXPORTED, COMPILED = MOMENTS = ("linear", "training", "exported", "compiled")
# the costs that every quantised layer knows of itself: what `hwq train` pays without looking at the whole network
LAYER_COSTS = ("ebops", "weight_bits", "activation_bits")
TARGETS = ("lut", "ff", "carry", "dsp", "bram36", "latency_cycles", "period_ns", "seconds")
Physics = Mapping[str, float]

_NETWORK = {
    "net_relu_bits": 0.5,
    "net_saturated_bits": 0.5,
    "net_choice_bits": 1.5,
    "net_products": 2.0,
    "net_sum_bits": 1.0,
}
_EXACT_TABLES = {6: {"exact_table6": 1.0, "exact_table_joins": 0.7}, 4: {"exact_table4": 1.0}}
_GATES = {"relu_gates": 1.0, "saturated_bits": 1.0, "saturation_bits": 0.5, "choice_bits": 1.0}
_LUT: dict[tuple[str, int], Physics] = {
    (LINEAR, 6): {"ebops": 0.6, "weight_bits": 0.5, "activation_bits": 0.1},
    (LINEAR, 4): {"ebops": 0.8, "weight_bits": 0.7, "activation_bits": 0.1},
    (TRAINING, 6): {"net_adder_bits": 1.0, **_NETWORK, "net_table_bits": 1.0},
    (TRAINING, 4): {"net_adder_bits": 1.3, **_NETWORK, "net_table_bits": 4.0},
    (EXPORTED, 6): {"exact_adder_bits": 1.0, **_NETWORK, **_EXACT_TABLES[6]},
    (EXPORTED, 4): {"exact_adder_bits": 1.3, **_NETWORK, **_EXACT_TABLES[4]},
    (COMPILED, 6): {
        "pair_bits": 1.0,
        "short_bits": 1.0,
        **_GATES,
        "compare_bits": 0.6,
        "partial_products": 2.0,
        "table6": 1.0,
        "table_joins": 0.7,
    },
    (COMPILED, 4): {
        "carry2_cells": 2.0,  # each takes the two tables of a slice
        "short_bits": 1.0,
        "short3": 3.0,
        "short4": 10.0,
        **_GATES,
        "relu_subtracted": 1.0,
        "compare2_cells": 2.0,
        "partial_products": 4.5,
        "table4": 1.0,
    },
}
_OTHERS: dict[tuple[str, str, int], Physics] = {
    ("ff", COMPILED, 6): {"ff_bits": 1.0},
    ("ff", COMPILED, 4): {"ff_bits": 1.0},
    ("carry", COMPILED, 6): {"carry4_cells": 1.0, "compare4_cells": 1.0, "partial_products": 0.05},
    ("carry", COMPILED, 4): {"carry2_cells": 1.0, "compare2_cells": 1.0, "partial_products": 0.1},
    ("dsp", COMPILED, 6): {"products": 1.0},
    ("dsp", COMPILED, 4): {"products": 1.0},
    ("bram36", COMPILED, 6): {"table_bits": 2e-5},
    ("bram36", COMPILED, 4): {"table_bits": 2e-5},
    ("latency_cycles", COMPILED, 6): {"latency_cycles": 1.0},
    ("latency_cycles", COMPILED, 4): {"latency_cycles": 1.0},
    # ns: leaving a register and reaching one; each level's table and the wire to it, which is as long as the area is wide; carries
    ("period_ns", COMPILED, 6): {"one": 0.5, "clocked_levels": 0.4, "clocked_carries": 0.015, "level_wires": 0.01},
    ("period_ns", COMPILED, 4): {"one": 1.0, "clocked_levels": 1.0, "clocked_carries": 0.03, "level_wires": 0.03},
    ("seconds", COMPILED, 6): {"one": 4.0, "wires": 0.01, "chain_bits": 0.001},
    ("seconds", COMPILED, 4): {"one": 4.0, "wires": 0.02, "chain_bits": 0.002},
}
# the most that cross-validation may find, as a mean relative error: above it a fit is no model
LIMITS = {
    "linear": 0.60,
    "lut": 0.30,
    "ff": 0.30,
    "carry": 0.30,
    "dsp": 0.30,
    "bram36": 0.30,
    "latency_cycles": 0.30,
    "period_ns": 0.30,
    "seconds": 1.0,
}
# errors are relative to the target or to this, whichever is more: ten cells of twenty say nothing of a network
FLOOR = {
    "lut": 100.0,
    "ff": 100.0,
    "carry": 30.0,
    "dsp": 4.0,
    "bram36": 2.0,
    "latency_cycles": 1.0,
    "period_ns": 0.1,
    "seconds": 1.0,
}


def table_inputs(family: str) -> int:
    """Inputs of a lookup table of a board's family, or of what Yosys calls it."""
    return 4 if family.lower().startswith("ecp5") else 6


def physics(target: str, moment: str, family: str) -> Physics | None:
    """Cost of one unit of each feature; None where the target is not predicted at that moment."""
    inputs = table_inputs(family)
    return _LUT.get((moment, inputs)) if target == "lut" else _OTHERS.get((target, moment, inputs))
