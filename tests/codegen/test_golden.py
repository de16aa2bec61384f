"""The text of a small design, so that a change of the generators is seen by a person."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hwq import boards
from hwq.codegen.build import Form, build
from hwq.codegen.cpp import ap_type, literal
from hwq.codegen.cpp_ops import section_of
from hwq.codegen.cpp_text import table_lookup
from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, make_node, parse, verify


def small() -> Graph:
    x = make_node("x", "input", type=TypeArray.of(0, [4, 4], 2, Rounding.RND))
    kernel = Constant(np.array([[-3, 0], [1, -2]]), TypeArray.of([[1, 0], [0, 1]], [[3, 0], [1, 3]], [[1, 0], [0, 2]]))
    bias = Constant(np.array([0, -1]), TypeArray.of([0, 1], [0, 2], [0, 1]))
    dense = make_node("dense", "dense", [x], attrs={"kernel": kernel, "bias": bias}, source="logits")
    return verify(Graph((x, dense), ("x",), ("dense",)))


CPP = """\
    // dense: dense 2 -> 2, 3 of 4 weights, from layer "logits"
    const ap_fixed<8,4> dense_n1_1 = ap_fixed<1,0>(-0.5);
    const ap_fixed<8,4> dense_n3_1 = ap_fixed<3,2>(-1.5);
    const ap_fixed<8,4> dense_p1_0 = ap_ufixed<1,1>(1.0);
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
    ap_uint<6> w3 = 0;
    add(w3, w0, w0, 1);
    ap_int<7> w4 = 0;
    subtract_from(w4, w3, w1, 1);
    ap_int<6> w5 = 0;
    subtract_from(w5, w1, ap_int<1>(-1LL), 2);
"""


ROWS = """\
    // dense
    ap_int<7> w3 = (ap_int<7>(w1) << 1) - ap_int<7>(w0) - (ap_int<7>(w0) << 1);
    ap_int<6> w4 = 0;
    subtract_from(w4, w1, ap_int<1>(-1LL), 2);
"""


def test_cpp_as_adders() -> None:
    for adders, text in (("two", ADDERS), ("three", ROWS), ("auto", ROWS)):
        made = build(small(), boards.load("xcvu9p"), form=Form(style="adders", adders=adders))
        assert text in made.plan.files["hls/hwq_top.cpp"]
    assert ADDERS in build(small(), boards.load("ulx3s-85f"), form=Form(style="adders")).plan.files["hls/hwq_top.cpp"]
    assert made.plan.digest != build(small(), boards.load("xcvu9p")).plan.digest


VERILOG = """\
// dense
module hwq_top_dense (
    input  wire [3:0] w1,
    input  wire [3:0] w0,
    output reg  signed [6:0] w3_1,
    output reg  signed [5:0] w4_1,
    input  wire clk
);
"""


def test_verilog_has_a_module_for_each_node() -> None:
    text = build(small(), boards.load("xcvu9p")).plan.files["rtl/hwq_top.v"]
    assert VERILOG in text
    assert "output wire [12:0] y" in text and "input  wire [7:0] x" in text
    assert re.findall(r"^module (\w+)", text, re.MULTILINE) == ["hwq_top_row", "hwq_top_dense", "hwq_top"]
    two = build(small(), boards.load("xcvu9p"), form=Form(adders="two")).plan.files["rtl/hwq_top.v"]
    assert "_row" not in two and re.findall(r"^module (\w+)", two, re.MULTILINE) == ["hwq_top_dense", "hwq_top"]
    assert "    hwq_top_dense dense_i (\n        .w1(w1),\n" in text


def test_every_tool_has_its_script() -> None:
    files = build(small(), boards.load("xcvu9p")).plan.files
    assert {
        "yosys/synth.ys",
        "sim/cxxrtl.ys",
        "hls/run_hls.tcl",
        "hls_config.cfg",
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


def test_a_constant_that_a_double_cannot_hold_is_a_sum() -> None:
    assert literal((1 << 53) - 1, 0).endswith("(9007199254740991.0)")
    assert literal((1 << 54) + 1, 0) == "ap_ufixed<55,55>(ap_ufixed<2,55>(1.8014398509481984e+16) + ap_ufixed<1,1>(1.0))"
    assert literal(-(1 << 60), 0) == "ap_fixed<61,61>(ap_fixed<8,61>(-1.152921504606847e+18))"


def test_entries_that_no_c_type_holds_lie_in_several_arrays() -> None:
    lines, entry = table_lookup("t", [0, (3 << 62) + 5, -(1 << 63)], "c", "ap_int<70>")
    assert lines == [
        "static const signed char t_0[3] = {0, 5, 0};",
        "static const signed char t_1[3] = {0, 3, -2};",
    ]
    assert entry == "ap_int<70>(t_0[c]) | (ap_int<70>(t_1[c]) << 62)"
    lines, entry = table_lookup("t", [0, -(1 << 63)], "c", "ap_int<70>")
    assert lines == ["static const long long t[2] = {0, -9223372036854775807LL - 1};"] and entry == "t[c]"


def test_signed_and_unsigned_are_compared_in_one_type() -> None:
    """C++ takes a signed operand for an unsigned one where both have 32 bits or more."""
    x = make_node("x", "input", type=TypeArray.of([1], 13, 24))
    y = make_node("y", "input", type=TypeArray.of([0], 12, 4))
    for op, sign in (("maximum", ">"), ("minimum", "<")):
        node = make_node("m", op, [x, y])
        line = f"if (ap_fixed<33,9>(x_0) {sign} ap_fixed<33,9>(y_0)) m_0 = x_0;"
        assert line in section_of(node, [x, y]).lines
        made = build(verify(Graph((x, y, node), ("x", "y"), ("m",))), boards.load("xcvu9p"), form=Form(style="adders"))
        assert re.search(
            rf"if \(w\d+ {sign} ap_int<33>\(w\d+\)\)|if \(ap_int<33>\(w\d+\) {sign} \S+\)", made.plan.files["hls/hwq_top.cpp"]
        )


def test_what_rounds_to_nothing_is_zero() -> None:
    """AMD's headers stop the program where a rounding drops more bits than the source has."""
    x = make_node("x", "input", type=TypeArray.of(0, [1], 2))
    q = make_node("q", "quantize", [x], type=TypeArray.of(1, [3], -1, Rounding.RND_CONV, Overflow.SAT))
    assert section_of(q, [x]).lines == ("ap_fixed<3,4> q_0 = 0;",)


EVIL = (
    'a"; system("x"); //',
    "a*/ int broken; /*",
    "line\nint broken;",
    "line\r\u2028\u0085int broken;",
    "ends in a backslash\\",
    "trigraph ??/",
    '`include "/etc/passwd"',
    "{{ 1 // 0 }}{% raise %}{# x #}",
    "endmodule module hwq_top; //",
    "\x00\x07\x1b[31m",
    "名前 ☃",
)


@pytest.mark.parametrize("source", EVIL)
def test_a_layer_name_stays_inside_its_comment(source: str) -> None:
    """The files with an odd layer name differ from those with a plain one in comments alone, and the graph reads back."""
    plain, odd = (make_plan(name) for name in ("plain", source))
    assert plain.keys() == odd.keys()
    for path in plain:
        if path == "graph.hwq":
            assert parse(odd[path]).nodes[1].source == source
            continue
        assert code_lines(odd[path]) == code_lines(plain[path]), path


def make_plan(source: str) -> dict[str, str]:
    x = make_node("x", "input", type=TypeArray.of(1, np.full((2, 2, 1), 3), 0), source=source)
    pool = make_node("pool", "max_pool2d", [x], attrs={"size": (2, 2), "strides": (1, 1), "pads": (0, 0, 0, 0)}, source=source)
    values = Constant(np.arange(8).reshape(1, 8), TypeArray.of(0, np.full((1, 8), 3), 0))
    table = make_node("table", "table", [pool], attrs={"values": values, "index": (0,)}, source=source)
    return dict(build(verify(Graph((x, pool, table), ("x",), ("table",))), boards.load("xcvu9p")).plan.files)


def code_lines(text: str) -> list[str]:
    """Lines as any tool may split them, comments taken off; a comment that goes on in the next line shows up in the comparison."""
    return [re.sub(r"//[^\\?]*$", "//", line) for line in re.split(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", text)]


@pytest.mark.parametrize("name", ["x; int y", "1st", "a b", "a\n", "größe", "__x", "x'", ""])
def test_a_node_name_is_an_identifier(name: str) -> None:
    node = make_node(name, "input", type=TypeArray.of(0, [3], 0))
    with pytest.raises(GraphError, match="is no node name"):
        verify(Graph((node,), (name,), (name,)))
