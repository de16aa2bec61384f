"""Networks of powers of two as designs: no product in the C++, no multiplier in the netlist, on synthesised points of digits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hwq import boards
from hwq.codegen.build import Form, build
from hwq.data import load
from hwq.fixed import Rounding, TypeArray
from hwq.flow.synth import synth
from hwq.ir import Constant, Graph, make_node, verify
from hwq.run.directory import RunDir
from hwq.train import trainer
from hwq.train.config import TrainConfig

POINTERS = ("> *y)", "*y = packed;")  # the result's port, in every design


def products(cpp: str) -> list[str]:
    """Lines of C++ with a `*` that is no pointer."""
    for pointer in POINTERS:
        cpp = cpp.replace(pointer, "")
    return [line for line in cpp.splitlines() if "*" in line]


@pytest.mark.slow
@pytest.mark.parametrize("terms", [1, 2])
def test_a_trained_point_has_no_product_anywhere(terms: int, tmp_path: Path) -> None:
    config = TrainConfig(
        model="mlp:6", method="shift", terms=terms, epochs=10, float_epochs=5, max_points=1, random_rows=100, population=1
    )
    run = tmp_path / "run"
    trainer.train(load("digits", seed=0), config, run)
    _, (result,) = synth(run, "xcvu9p", point="best", store_path=tmp_path / "store.sqlite")
    assert result.simulation.mismatches == 0 and result.measurement is not None
    assert result.measurement.resources.dsp == 0 and (result.measurement.resources.lut or 0) > 0
    cpp = (result.folder / "hls" / "hwq_top.cpp").read_text()
    assert products(cpp) == [] and "add_product" not in cpp and "add_term(" in cpp
    verilog = (result.folder / "rtl" / "hwq_top.v").read_text()
    rows = r"module \w+_row #.*?endmodule"  # one module for all sums, which computes its own places when it is elaborated
    assert "*" not in re.sub(r"//.*|\(\*.*?\*\)", "", re.sub(rows, "", verilog, flags=re.DOTALL))
    netlist = (result.folder / "yosys" / "netlist.v").read_text()
    cells = set(re.findall(r"^  (\w+) (?:#\(|\w+ \()", netlist, re.MULTILINE))
    assert cells and not any(re.match(r"DSP|MULT|\$mul|\$macc", cell) for cell in cells)
    (point,) = RunDir(run).points()
    assert result.point.id == point.id


def two_digits(*mantissas: int) -> Graph:
    x = make_node("x", "input", type=TypeArray.of(0, [4, 4], 2, Rounding.RND))
    kernel = np.array(mantissas).reshape(2, -1)
    constant = Constant(kernel, TypeArray.of(kernel < 0, 6, 1))
    bias = Constant(np.zeros(kernel.shape[1], int), TypeArray.of(0, np.zeros(kernel.shape[1]), 0))
    return verify(Graph((x, make_node("dense", "dense", [x], attrs={"kernel": constant, "bias": bias})), ("x",), ("dense",)))


SHIFTS = """\
    // dense: dense 2 -> 1, 2 of 2 weights
    ap_uint<4> dense_in0_down1_bits = x_0.range(3, 0);
    ap_ufixed<4,1> dense_in0_down1 = 0;
    dense_in0_down1.range(3, 0) = dense_in0_down1_bits;
    ap_uint<4> dense_in1_up1_bits = x_1.range(3, 0);
    ap_ufixed<4,3> dense_in1_up1 = 0;
    dense_in1_up1.range(3, 0) = dense_in1_up1_bits;
    ap_fixed<7,4> dense_0 = 0;
    add_term(dense_0, dense_in0_down1);
    subtract_term(dense_0, dense_in1_up1);
"""


def test_shifts_move_the_binary_point() -> None:
    assert SHIFTS in build(two_digits(1, -4), boards.load("xcvu9p")).plan.files["hls/hwq_top.cpp"]


def test_as_many_terms_as_are_allowed() -> None:
    board = boards.load("xcvu9p")
    for terms, free in ((1, False), (2, True)):
        cpp = build(two_digits(3, -4), board, form=Form(terms=terms)).plan.files["hls/hwq_top.cpp"]
        assert ("add_product" not in cpp) is free and (not products(cpp)) is free
