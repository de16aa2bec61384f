"""Generated C++ keeps to what AMD's and Bambu's headers share, and every quantise is exact in both."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ap_subset import violations
from every_op import MODES, comparisons, ops_of_one_input, ops_of_two_inputs, quantisers
from networks import random_graph, random_network
from test_clang import image_network

from hwq import boards
from hwq.codegen.build import Form, build
from hwq.codegen.cpp_quantize import conversion
from hwq.codegen.stream import build_stream
from hwq.fixed import FixedType, Overflow, Rounding, TypeArray
from hwq.fixed.arithmetic import requantize
from hwq.ir import Graph, make_node, verify
from hwq.sim.csim import csim
from hwq.sim.reference import evaluate
from hwq.styles.choice import build_at

BOARD = boards.load("xcvu9p")
GRAPHS: dict[str, Callable[[], Graph]] = {
    **{f"quantisers {r}": lambda r=r: quantisers(r)[0] for r in Rounding},  # type: ignore[misc]
    **{f"two inputs {'-'.join(m)}": lambda m=m: ops_of_two_inputs(m)[0] for m in MODES},  # type: ignore[misc]
    **{f"one input {'-'.join(m)}": lambda m=m: ops_of_one_input(m)[0] for m in MODES},  # type: ignore[misc]
    **{f"random {seed}": lambda seed=seed: random_graph(seed, *MODES[seed % len(MODES)], 12) for seed in range(20, 29)},  # type: ignore[misc]
    "comparisons": lambda: comparisons()[0],
    "image": image_network,
    "network": lambda: random_network(3, (6, 5, 4), skip=True),
}


SLOW = [f"{part} input{s} {'-'.join(m)}" for part, s in (("two", "s"), ("one", "")) for k, m in enumerate(MODES) if k % 4]
SLOW += [f"random {seed}" for seed in range(20, 29) if seed % 3]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in GRAPHS])
def test_only_the_shared_subset_is_used(name: str) -> None:
    graph = GRAPHS[name]()
    for form in (Form(), Form("adders"), Form(terms=8)):
        assert violations(build(graph, BOARD, form=form).plan.files) == [], form


def test_streams_keep_to_it() -> None:
    files = build_stream(image_network(), BOARD).plan.files
    assert "static ap_uint" in files["hls/hwq_top.cpp"] and violations(files) == []
    unset = {k: v.replace("    static ap_uint", "    ap_uint") for k, v in files.items()}
    assert {line.split(": ")[1] for line in violations(unset)} == {"line has no value", "window has no value"}


def test_folded_designs_keep_to_it() -> None:
    for graph in (image_network(), random_network(3, (6, 5, 4), skip=True)):
        assert violations(build_at(graph, BOARD, form=Form(fold="mac"), interval=20).plan.files) == []


BAD = {
    "bool b = s.is_neg();": "is_neg",
    "f.range(3, 0) = g.range(3, 0);": "deleted",
    "u.range(3, 0) = v;": "",
    "ap_uint<3> w;": "w has no value",
    "ap_uint<3> w[4];": "w has no value",
    "if (s > u) v = 0;": "deleted",
    "if (u > v) v = 0;": "deleted",
    "if (u == 3) v = 0;": "deleted",
    "ap_fixed<2,-2,AP_RND,AP_SAT> q = g;": "rounds or saturates an unsigned source",
    "ap_fixed<4,4,AP_RND,AP_SAT> q = f;": "saturates a source with no integer bit to spare",
    "ap_fixed<4,2,AP_RND> q = f + f;": "the result of arithmetic is rounded",
    "ap_ufixed<4,2,AP_RND,AP_SAT> q = f;": "an unsigned type rounds or saturates",
    "int n = s.to_int();": "to_int",
    "ap_int<9> n = s / s;": "",
}


@pytest.mark.parametrize("line", BAD)
def test_what_one_of_them_lacks_is_seen(line: str) -> None:
    declared = "ap_int<4> s = 0; ap_uint<8> u = 0; ap_uint<4> v = 0; ap_fixed<8,4> f = 0; ap_ufixed<4,-2> g = 0;"
    good = {"hls/hwq_top.cpp": f'#include "ap_fixed.h"\nvoid hwq_top() {{ {declared}\n}}\n'}
    assert violations(good) == []
    found = violations({"hls/hwq_top.cpp": good["hls/hwq_top.cpp"].replace("\n}", f"\n{line}\n}}")})
    assert found and any(BAD[line] in text for text in found), found


# every pair of modes

_TYPE = re.compile(r"ap_(u?)fixed<(\d+),(-?\d+)(?:,AP_(\w+))?(?:,AP_(\w+))?>")
_DECLARED = re.compile(rf"({_TYPE.pattern}) (\w+) = (.+);")
_CLAMPED = re.compile(r"if \((\w+) < 0\) (\w+) = 0;")


def type_of(text: str) -> FixedType:
    unsigned, width, integer, rounding, overflow = _TYPE.fullmatch(text).groups()  # type: ignore[union-attr]
    modes = Rounding(rounding or "TRN"), Overflow(overflow or "WRAP")
    return FixedType(not unsigned, int(width), int(width) - int(integer), *modes)


def as_array(t: FixedType) -> TypeArray:
    return TypeArray.of([t.signed], [t.width], [t.frac], t.rounding, t.overflow)


def converted(values: np.ndarray, source: FixedType, target: FixedType, *, bambu: bool) -> np.ndarray:
    """A conversion as AMD's headers make it; Bambu's saturate only a signed source with more integer bits to a signed target."""
    right = source.signed and target.signed and source.integer > target.integer
    if bambu and target.overflow is not Overflow.WRAP and not right:
        target = FixedType(target.signed, target.width, target.frac, target.rounding)
    return requantize(values[:, None], np.array([source.frac]), as_array(target))[:, 0]


def run(lines: list[str], codes: np.ndarray, source: FixedType, *, bambu: bool) -> tuple[np.ndarray, FixedType]:
    """What the statements of a quantise of `x` make of `q`, and its type."""
    known: dict[str, tuple[np.ndarray, FixedType]] = {"x": (codes, source)}
    for line in lines:
        if (clamp := _CLAMPED.fullmatch(line)) is not None:
            values, kind = known[clamp[2]]
            known[clamp[2]] = np.where(known[clamp[1]][0] < 0, 0, values), kind
            continue
        declared = _DECLARED.fullmatch(line)
        assert declared is not None, line
        target, name, right = type_of(declared[1]), declared[7], declared[8]
        if right == "0":
            known[name] = np.zeros_like(codes), target
            continue
        cast, inner = re.fullmatch(rf"(?:({_TYPE.pattern})\()?(\w+)\)?", right).group(1, 7)  # type: ignore[union-attr]
        values, kind = known[inner]
        if cast:
            values, kind = converted(values, kind, type_of(cast), bambu=bambu), type_of(cast)
        known[name] = converted(values, kind, target, bambu=bambu), target
    return known["q"]


def pairs() -> list[tuple[FixedType, FixedType]]:
    """Source and target of every sign, small widths, integer bits apart by up to two, and every rounding with every overflow."""
    found = []
    signs, modes = ((True, False),) * 2, MODES
    for (s, t), width, wide, apart, mode in itertools.product(itertools.product(*signs), (1, 3, 5), (1, 2, 4), range(-2, 3), modes):
        integer = width - 2  # two fractional bits, so that steps are coarser, the same and finer
        found.append((FixedType(s, width, 2), FixedType(t, wide, wide - integer - apart, *mode)))
    return found


@pytest.mark.parametrize("bambu", [False, True])
def test_every_pair_of_modes_is_exact(bambu: bool) -> None:
    for source, target in pairs():
        codes = np.arange(source.lowest, source.highest + 1)
        lines = conversion("q", target, "x", source)
        found, kind = run(lines, codes, source, bambu=bambu)
        wanted = requantize(codes[:, None], np.array([source.frac]), as_array(target))[:, 0]
        assert kind.frac == target.frac and (found == wanted).all(), (
            str(source),
            str(target),
            target.rounding,
            target.overflow,
            lines,
        )


def test_the_model_has_bambus_deviations() -> None:
    """What it made of u3 with -2 integer bits to s2 with as many, saturating: 0 near the top; and what the detour makes of it."""
    source, target = FixedType(False, 3, 5), FixedType(True, 2, 4, Rounding.RND, Overflow.SAT)
    codes = np.arange(8)
    naive = ["ap_fixed<2,-2,AP_RND,AP_SAT> q = x;"]
    assert run(naive, codes, source, bambu=True)[0][7] == 0 and run(naive, codes, source, bambu=False)[0][7] == 1
    assert conversion("q", target, "x", source) == ["ap_fixed<2,-2,AP_RND,AP_SAT> q = ap_fixed<4,-1>(x);"]
    assert run(conversion("q", target, "x", source), codes, source, bambu=True)[0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]


def test_pairs_of_modes_in_amds_headers(tmp_path: Path) -> None:
    """The C-simulation itself, over all codes: what the statements mean is not only a model's word."""
    chosen = [(s, t) for s, t in pairs() if (s.width, t.width) == (3, 2) and abs(s.integer - t.integer) < 2]
    one = [(s, t) for s, t in chosen if (t.rounding, t.overflow) == MODES[0]]
    x = make_node("x", "input", type=TypeArray.of(*([getattr(s, field) for s, _ in one] for field in ("signed", "width", "frac"))))
    targets = [[getattr(t, field) for _, t in one] for field in ("signed", "width", "frac")]
    nodes = [make_node(f"q_{r}_{o}".lower(), "quantize", [x], type=TypeArray.of(*targets, r, o)) for r, o in MODES]
    graph = verify(Graph((x, *nodes), ("x",), tuple(n.name for n in nodes)))
    rows = np.stack([np.arange(s.lowest, s.highest + 1) for s, _ in one], axis=1)
    made = build(graph, BOARD)
    made.plan.write(tmp_path)
    assert (csim(made, tmp_path, rows) == evaluate(made.graph, rows)).all()
