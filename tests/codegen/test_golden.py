"""The text of a small design, so that a change of the generators is seen by a person."""

from __future__ import annotations

import numpy as np
import pytest

from hwq import boards
from hwq.codegen.build import build
from hwq.codegen.cpp import ap_type, literal
from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, make_node, verify


def small() -> Graph:
    x = make_node("x", "input", type=TypeArray.of(0, [4, 4], 2, Rounding.RND))
    kernel = Constant(np.array([[-3, 0], [1, -2]]), TypeArray.of([[1, 0], [0, 1]], [[3, 0], [1, 3]], [[1, 0], [0, 2]]))
    bias = Constant(np.array([0, -1]), TypeArray.of([0, 1], [0, 2], [0, 1]))
    dense = make_node("dense", "dense", [x], attrs={"kernel": kernel, "bias": bias}, source="logits")
    return verify(Graph((x, dense), ("x",), ("dense",)))


CPP = """\
    // dense: dense 2 -> 2, 3 of 4 weights, from layer "logits"
    const ap_fixed<3,2> dense_n1_1 = ap_fixed<1,0>(-0.5);
    const ap_fixed<3,2> dense_n3_1 = ap_fixed<3,2>(-1.5);
    const ap_fixed<3,2> dense_p1_0 = ap_ufixed<1,1>(1.0);
    ap_fixed<7,4> dense_0 = 0;
    add_product(dense_0, x_0, dense_n3_1);
    add_product(dense_0, x_1, dense_p1_0);
    ap_fixed<6,3> dense_1 = -0.5;
    add_product(dense_1, x_1, dense_n1_1);
"""


def test_cpp() -> None:
    assert CPP in build(small(), boards.load("xcvu9p")).plan.files["hls/hwq_top.cpp"]


ADDERS = """\
    // dense
    ap_uint<6> w2;
    add(w2, w0, w1, 1);
    ap_int<7> w3;
    subtract(w3, w2, w0, 2);
    ap_int<6> w5;
    subtract_from(w5, w1, ap_int<1>(-1LL), 2);
"""


def test_cpp_as_adders() -> None:
    made = build(small(), boards.load("xcvu9p"), style="adders")
    assert ADDERS in made.plan.files["hls/hwq_top.cpp"]
    assert made.plan.digest != build(small(), boards.load("xcvu9p")).plan.digest


def test_verilog_is_one_pipelined_module() -> None:
    text = build(small(), boards.load("xcvu9p")).plan.files["rtl/hwq_top.v"]
    assert text.count("module hwq_top") == 1 and text.count("always @(posedge clk)") == 1
    assert "output wire [12:0] y" in text and "input  wire [7:0] x" in text


def test_every_tool_has_its_script() -> None:
    files = build(small(), boards.load("xcvu9p")).plan.files
    assert {
        "yosys/synth.ys",
        "sim/cxxrtl.ys",
        "hls/run_hls.tcl",
        "hls/hls_config.cfg",
        "vivado/synth.tcl",
        "vivado/clock.xdc",
    } <= set(files)
    assert "-family xcup" in files["yosys/synth.ys"] and "set_part xcvu9p-flga2104-2L-e" in files["hls/run_hls.tcl"]
    assert "vivado/synth.tcl" not in build(small(), boards.load("ulx3s-85f")).plan.files


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (FixedType(True, 5, 2), "ap_fixed<5,3>"),
        (FixedType(False, 3, 7), "ap_ufixed<3,-4>"),
        (FixedType(True, 5, 2, Rounding.RND), "ap_fixed<5,3,AP_RND>"),
        (FixedType(True, 5, 2, Rounding.TRN, Overflow.SAT), "ap_fixed<5,3,AP_TRN,AP_SAT>"),
    ],
)
def test_types(type_: FixedType, text: str) -> None:
    assert ap_type(type_) == text


def test_a_constant_that_a_double_cannot_hold_is_refused() -> None:
    assert literal((1 << 53) - 1, 0).endswith("(9007199254740991.0)")
    with pytest.raises(GraphError, match="no exact double"):
        literal((1 << 54) + 1, 0)
