"""Generated Verilog through the linters of Verilator and Icarus with all warnings, and every generated name against four languages."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from networks import random_graph, random_network

from hwq import boards
from hwq.codegen.build import Form, build
from hwq.codegen.names import RESERVED, is_reserved, require_name
from hwq.codegen.stream import build_stream
from hwq.errors import UsageError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, make_node, verify
from hwq.styles.choice import build_at
from hwq.tools.gxx import ap_types

LINTERS: dict[str, tuple[str, ...]] = {
    "verilator": ("--lint-only", "-Wall", "--top-module"),
    # not "-o /dev/null": it makes its output executable, and as root that closes the device to all other users
    "iverilog": ("-g2012", "-Wall", "-t", "null", "-s"),
}
NASTY = ("begin", "signal", "before", "out", "int", "table", "class", "port")


def chain(names: tuple[str, ...] = NASTY) -> Graph:
    """Layers whose names are words of the languages."""
    rng = np.random.default_rng(1)
    nodes = [make_node(names[0], "input", type=TypeArray.of(1, [5, 4, 6], 2))]
    for k, name in enumerate(names[1:]):
        kernel = Constant(rng.integers(-3, 4, (3, 3)), TypeArray.of(1, np.full((3, 3), 3), 1))
        attrs = {"kernel": kernel, "bias": Constant(np.zeros(3, np.int64), TypeArray.of(1, np.full(3, 2), 1))}
        if k % 3 == 0:
            nodes.append(make_node(name, "dense", [nodes[-1]], attrs=attrs, source=name))
        elif k % 3 == 1:
            nodes.append(make_node(name, "relu", [nodes[-1]], source=name))
        else:
            type_ = TypeArray.of(0, np.full(3, 4), 1, Rounding.RND, Overflow.SAT)
            nodes.append(make_node(name, "quantize", [nodes[-1]], type=type_, source=name))
    return verify(Graph(tuple(nodes), (nodes[0].name,), (nodes[-1].name,)))


def image() -> Graph:
    """A padded window that leaves results behind when a frame ends, then one that does not."""
    rng = np.random.default_rng(2)
    nodes = [make_node("image", "input", type=TypeArray.of(0, np.full((5, 7, 2), 3), 2))]
    for name, outputs, pads in (("before", 3, (1, 1, 1, 1)), ("signal", 2, (0, 0, 0, 0))):
        channels = nodes[-1].shape[2]
        shape = (3, 3, channels, outputs)
        kernel = Constant(rng.integers(-2, 3, shape), TypeArray.of(1, np.full(shape, 3), 1))
        bias = Constant(np.ones(outputs, np.int64), TypeArray.of(1, np.full(outputs, 2), 1))
        attrs = {"kernel": kernel, "bias": bias, "pads": pads, "groups": 1, "strides": (1, 1), "dilation": (1, 1)}
        nodes.append(make_node(name, "conv2d", [nodes[-1]], attrs=attrs, source=name))
        grid = np.full(nodes[-1].shape, 3)
        nodes.append(make_node(f"{name}_q", "quantize", [nodes[-1]], type=TypeArray.of(0, grid, 1, Rounding.RND, Overflow.SAT)))
    return verify(Graph(tuple(nodes), ("image",), (nodes[-1].name,)))


def designs() -> dict[str, Callable[[], tuple[dict[str, str], list[tuple[str, ...]]]]]:
    """Name -> the files of a design, and which of them are looked at together, the top first."""

    def parallel(graph: Callable[[], Graph], board: str) -> Callable[[], tuple[dict[str, str], list[tuple[str, ...]]]]:
        def make() -> tuple[dict[str, str], list[tuple[str, ...]]]:
            files = dict(build(graph(), boards.load(board)).plan.files)
            whole = [("hwq_top", "rtl/hwq_top.v")]
            if "board/hwq_top_board.v" in files:
                whole.append(("hwq_top_board", "rtl/hwq_top.v", "board/hwq_top_board.v"))
            return files, whole

        return make

    def stream() -> tuple[dict[str, str], list[tuple[str, ...]]]:
        return dict(build_stream(image(), boards.load("xcvu9p")).plan.files), [("hwq_top", "rtl/hwq_top.v")]

    def folded(graph: Graph, interval: int) -> tuple[dict[str, str], list[tuple[str, ...]]]:
        made = build_at(graph, boards.load("ulx3s-85f"), form=Form(fold="mac"), interval=interval)
        board = ("hwq_top_board", "rtl/hwq_top.v", "board/hwq_top_board.v")
        return dict(made.plan.files), [("hwq_top", "rtl/hwq_top.v"), board]

    found = {f"graph {seed}": parallel(lambda seed=seed: random_graph(seed, ops=16), "xcvu9p") for seed in range(4)}
    found |= {f"board {seed}": parallel(lambda seed=seed: random_network(seed, (4, 5, 3)), "ulx3s-85f") for seed in range(2)}
    one = (1, (1, 1, 1))
    return {
        **found,
        "board of a byte": parallel(lambda: random_network(*one), "ulx3s-85f"),
        "names": parallel(chain, "ulx3s-85f"),
        "stream": stream,
        "folded": lambda: folded(chain(), 9),
        "folded skip": lambda: folded(random_network(2, (6, 5, 4), skip=True), 2),
        "folded image": lambda: folded(image(), 700),
    }


@pytest.mark.parametrize("name", designs())
@pytest.mark.parametrize("linter", LINTERS)
def test_no_warning(linter: str, name: str, tmp_path: Path) -> None:
    program = shutil.which(linter)
    if program is None:
        pytest.skip(f"{linter} is not installed (Debian: apt-get install {linter})")
    files, wholes = designs()[name]()
    for top, *parts in wholes:
        for part in parts:
            (tmp_path / part).parent.mkdir(exist_ok=True)
            (tmp_path / part).write_text(files[part])
        done = subprocess.run([program, *LINTERS[linter], top, *parts], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), (done.stdout + done.stderr)[:2000]


DECLARED = re.compile(
    r"^ *(?:module|function +\[[^]]*\]|localparam|(?:(?:input|output) +)?(?:wire|reg)\b(?: +signed)?(?: *\[[^]]*\])?) *(\w+(?:, \w+)*)"
    r"|^ +([a-z]\w*) (\w+) \((?=\n|\.clk)",
    re.MULTILINE,
)
FUNCTION = re.compile(r"^(?:static |extern \"C\" )?void (\w+)\((.*)\) \{", re.MULTILINE)  # HLS makes modules and ports of these


@pytest.mark.parametrize("name", ["names", "stream", "board 0", "folded"])
def test_no_name_is_a_word_of_a_language(name: str) -> None:
    files, _ = designs()[name]()
    names = set()
    for path, text in files.items():
        if path.endswith(".v"):
            plain = re.sub(r"//.*", "", text)
            names |= {word for m in DECLARED.finditer(plain) for part in m.groups() if part for word in part.split(", ")}
        elif path.endswith((".cpp", ".h")) and path.startswith("hls/") and "_tb" not in path:
            for function in FUNCTION.finditer(text):
                names |= {function[1], *re.findall(r"(\w+)(?:,|$)", function[2])}
    assert len(names) > 20 and not {n for n in names if is_reserved(n)}


def test_the_check_of_names_sees_a_word() -> None:
    assert {
        m for found in DECLARED.finditer("    reg before, flushing;\n    output wire [3:0] out,\n") for m in found.groups() if m
    } == {
        "before, flushing",
        "out",
    }


@pytest.mark.parametrize("top", ["before", "Signal", "reg", "namespace", "a__b", "1a", "a b", "x_", ""])
def test_a_top_that_no_tool_takes_is_refused(top: str) -> None:
    with pytest.raises(UsageError):
        build(random_network(1, (2, 2)), boards.load("xcvu9p"), top=top)
    with pytest.raises(UsageError):
        build_stream(image(), boards.load("xcvu9p"), top=top)
    assert require_name("hwq_top") == "hwq_top" and {"before", "signal", "reg", "namespace", "bit"} <= RESERVED


def test_words_as_names_of_layers_compile(tmp_path: Path) -> None:
    build(chain(), boards.load("xcvu9p")).plan.write(tmp_path)
    command = ["g++", "-std=c++14", "-fsyntax-only", "-w", "-I", str(ap_types()), "hls/hwq_top.cpp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:1000]
