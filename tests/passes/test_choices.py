"""What the passes choose, in figures: a change of a rule that decides between two exact ways shows here, and nowhere else.

Outputs stay the same whatever is chosen; what is built does not. Figures that change are to be looked at: fewer rows, tables and registers
are better, and the commit that changes them says how much.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from networks import random_graph, random_network

from hwq.fixed import Overflow, Rounding
from hwq.ir import Circuit, Graph, Opcode
from hwq.passes import optimise
from hwq.passes.adders import AdderOptions, native
from hwq.passes.adders.fuse import fuse
from hwq.passes.adders.gates import gated
from hwq.passes.cones import tabulate
from hwq.passes.lower import lower
from hwq.passes.pipeline import cut_cost, pipeline, register_bits

NETWORKS: dict[str, Callable[[], Graph]] = {
    "dense": partial(random_network, 0, (10, 8, 6), rounding=Rounding.TRN, overflow=Overflow.WRAP),
    "dense, saturated": partial(random_network, 1, (10, 8, 6), rounding=Rounding.RND, overflow=Overflow.SAT, skip=True),
    "dense, symmetric": partial(random_network, 2, (10, 8, 6), rounding=Rounding.RND_CONV, overflow=Overflow.SAT_SYM),
    "dense, once more": partial(random_network, 3, (10, 8, 6), rounding=Rounding.TRN, overflow=Overflow.WRAP, skip=True),
    **{f"every operation, {seed}": partial(random_graph, seed, ops=14) for seed in range(6)},
}
Figures = dict[str, tuple[int, ...]]
FIGURES: dict[str, Figures] = {
    "dense": {
        "adders": (69, 391, 149, 43, 0, 0, 0),
        "tables": (66, 374, 131, 37, 0, 4, 50),
        "tables of four inputs": (65, 372, 133, 38, 0, 3, 18),
        "rows": (54, 286, 91, 12, 13, 4, 50),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (72, 412, 149, 46, 0, 0, 0),
        "any depth": (69, 386, 148, 43, 0, 0, 0),
        "1 level a stage": (5, 65, 225, 225),
        "3 levels a stage": (3, 47, 98, 98),
    },
    "dense, saturated": {
        "adders": (134, 1070, 183, 74, 0, 0, 0),
        "tables": (137, 1087, 187, 74, 0, 4, 195),
        "tables of four inputs": (134, 1070, 183, 74, 0, 2, 20),
        "rows": (114, 845, 88, 36, 21, 4, 195),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (140, 1079, 245, 82, 0, 0, 0),
        "any depth": (133, 1055, 183, 73, 0, 0, 0),
        "1 level a stage": (9, 304, 737, 737),
        "3 levels a stage": (4, 132, 372, 416),
    },
    "dense, symmetric": {
        "adders": (90, 561, 108, 44, 0, 0, 0),
        "tables": (85, 506, 60, 37, 0, 4, 99),
        "tables of four inputs": (90, 558, 103, 39, 0, 4, 25),
        "rows": (76, 418, 39, 18, 10, 4, 99),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (94, 575, 139, 48, 0, 0, 0),
        "any depth": (90, 555, 112, 44, 0, 0, 0),
        "1 level a stage": (7, 127, 331, 331),
        "3 levels a stage": (4, 61, 172, 172),
    },
    "dense, once more": {
        "adders": (104, 709, 136, 61, 0, 0, 0),
        "tables": (106, 712, 123, 53, 0, 9, 74),
        "tables of four inputs": (105, 710, 123, 54, 0, 8, 42),
        "rows": (90, 568, 83, 18, 19, 9, 74),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (111, 750, 149, 68, 0, 0, 0),
        "any depth": (105, 720, 146, 62, 0, 0, 0),
        "1 level a stage": (6, 144, 396, 396),
        "3 levels a stage": (3, 72, 183, 311),
    },
    "every operation, 0": {
        "adders": (53, 269, 80, 21, 0, 0, 0),
        "tables": (53, 251, 77, 15, 0, 4, 48),
        "tables of four inputs": (54, 257, 78, 17, 0, 3, 16),
        "rows": (51, 227, 73, 10, 3, 4, 48),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (56, 261, 82, 24, 0, 0, 0),
        "any depth": (53, 269, 80, 21, 0, 0, 0),
        "1 level a stage": (3, 35, 311, 311),
        "3 levels a stage": (2, 25, 214, 214),
    },
    "every operation, 1": {
        "adders": (121, 795, 438, 22, 0, 5, 50),
        "tables": (92, 550, 289, 11, 0, 23, 700),
        "tables of four inputs": (108, 712, 385, 20, 0, 12, 124),
        "rows": (90, 534, 289, 8, 2, 23, 700),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (122, 801, 434, 24, 0, 5, 50),
        "any depth": (121, 795, 438, 22, 0, 5, 50),
        "1 level a stage": (5, 228, 735, 735),
        "3 levels a stage": (3, 100, 587, 635),
    },
    "every operation, 2": {
        "adders": (40, 187, 28, 8, 0, 2, 73),
        "tables": (31, 99, 20, 3, 0, 10, 100),
        "tables of four inputs": (31, 99, 20, 3, 0, 10, 100),
        "rows": (31, 99, 20, 3, 0, 10, 100),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (40, 187, 28, 8, 0, 2, 73),
        "any depth": (40, 187, 28, 8, 0, 2, 73),
        "1 level a stage": (2, 16, 94, 94),
        "3 levels a stage": (1, 0, 66, 66),
    },
    "every operation, 3": {
        "adders": (64, 340, 181, 20, 0, 9, 134),
        "tables": (54, 245, 112, 15, 0, 11, 151),
        "tables of four inputs": (59, 299, 152, 16, 0, 11, 123),
        "rows": (53, 237, 103, 15, 0, 11, 151),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (64, 340, 181, 20, 0, 9, 134),
        "any depth": (64, 340, 181, 20, 0, 9, 134),
        "1 level a stage": (5, 98, 322, 322),
        "3 levels a stage": (2, 23, 168, 168),
    },
    "every operation, 4": {
        "adders": (143, 647, 223, 20, 0, 6, 160),
        "tables": (138, 593, 178, 18, 0, 21, 565),
        "tables of four inputs": (139, 617, 197, 19, 0, 15, 277),
        "rows": (138, 593, 178, 18, 0, 21, 565),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (143, 647, 223, 20, 0, 6, 160),
        "any depth": (143, 647, 223, 20, 0, 6, 160),
        "1 level a stage": (5, 125, 1386, 1386),
        "3 levels a stage": (2, 41, 579, 579),
    },
    "every operation, 5": {
        "adders": (61, 268, 95, 24, 0, 7, 57),
        "tables": (39, 147, 57, 6, 0, 11, 252),
        "tables of four inputs": (49, 199, 72, 16, 0, 8, 64),
        "rows": (40, 146, 51, 6, 0, 11, 252),
        "rows that take ReLUs in": (0, 0, 0),
        "columns by themselves": (63, 271, 71, 26, 0, 7, 57),
        "any depth": (61, 268, 95, 24, 0, 7, 57),
        "1 level a stage": (3, 26, 111, 111),
        "3 levels a stage": (1, 0, 56, 56),
    },
}


def wires(circuit: Circuit) -> tuple[int, ...]:
    """Wires, their bits and steps, rows of two and of three, tables and their entries."""
    two, three = circuit.count(Opcode.ADD, Opcode.SUB), circuit.count(Opcode.ADD3, Opcode.ADD_SUB, Opcode.SUB3)
    entries = sum(len(table) for table in circuit.tables)
    return len(circuit), int(circuit.widths.sum()), int(circuit.frac.sum()), two, three, len(circuit.tables), entries


def stages(circuit: Circuit) -> tuple[int, ...]:
    """Cycles, the stages of all wires together, flip-flops, and what the cuts cost."""
    return circuit.latency, int(circuit.stage.sum()), register_bits(circuit), cut_cost(circuit)


def taken_in(circuit: Circuit) -> tuple[int, ...]:
    """Sums, the operands of them that are made zero, and wires that are not built."""
    found = gated(circuit)
    return len(found.operands), sum(len(gate) for gate, _ in found.operands.values()), len(found.unread)


def figures(graph: Graph) -> Figures:
    adders = lower(optimise(graph))
    tables = tabulate(adders)
    rows = fuse(tables)
    return {
        "adders": wires(adders),
        "tables": wires(tables),
        "tables of four inputs": wires(tabulate(adders, 4)),
        "rows": wires(rows),
        "rows that take ReLUs in": taken_in(pipeline(rows, 3)),
        "columns by themselves": wires(lower(optimise(graph), AdderOptions("naive"))),
        "any depth": wires(lower(optimise(graph), AdderOptions(extra_depth=None))),
        "1 level a stage": stages(pipeline(rows, 1)),
        "3 levels a stage": stages(pipeline(tables, 3)),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_figures(name: str) -> None:
    assert figures(NETWORKS[name]()) == FIGURES[name]


@pytest.mark.parametrize("name", ["dense", "every operation, 0", "every operation, 2"])
def test_figures_without_native_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", lambda *_: None)
    assert figures(NETWORKS[name]()) == FIGURES[name]
