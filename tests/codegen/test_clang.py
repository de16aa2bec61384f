"""The generated C++ is clean to clang as well: what newer HLS tools are built on reads it without an error or a warning."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from networks import random_constant, random_graph, random_network

from hwq import boards
from hwq.codegen.build import Form, build
from hwq.codegen.stream import build_stream
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Graph, make_node, verify
from hwq.styles.choice import build_at
from hwq.tools.gxx import ap_types

cindex = pytest.importorskip("clang.cindex", reason="libclang is not installed")


@cache
def gxx_headers() -> tuple[str, ...]:
    """The folders in which g++ looks for its own headers: clang's are not part of its library."""
    program = shutil.which("g++")
    if program is None:
        pytest.skip("g++ is not installed")
    said = subprocess.run([program, "-E", "-x", "c++", "-v", "-"], input="", capture_output=True, text=True, check=True).stderr
    listed = re.search(r"#include <\.\.\.> search starts here:\n(.*?)End of search list", said, re.DOTALL)
    if listed is None:
        pytest.skip("g++ does not say where its headers are")
    return tuple(line.strip() for line in listed[1].splitlines() if Path(line.strip()).is_dir())


def complaints(source: Path, standard: str) -> list[str]:
    """Warnings and errors of clang about a file and our own headers in its folder; AMD's headers are taken as they are."""
    system = [part for folder in (*gxx_headers(), str(ap_types())) for part in ("-isystem", folder)]
    argv = [f"-std={standard}", "-Wall", "-Wno-unknown-pragmas", "-nostdinc", "-nostdinc++", *system]
    unit = cindex.Index.create().parse(str(source), args=argv)
    return [str(d) for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Warning]


def written(files: dict[str, str], folder: Path) -> list[Path]:
    for name, content in files.items():
        if name.startswith("hls/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
    return sorted((folder / "hls").glob("*.cpp"))


def image_network() -> Graph:
    """A padded convolution, a maximum, a table and a dense layer."""
    rng = np.random.default_rng(3)
    nodes = [make_node("image", "input", type=TypeArray.of(0, np.full((4, 6, 2), 3), 2))]
    kernel = {"kernel": random_constant(rng, (3, 3, 2, 3), 3, 0.4), "bias": random_constant(rng, (3,), 4, 0.1)}
    place = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    nodes.append(make_node("conv", "conv2d", nodes[-1:], attrs={**kernel, **place}))
    nodes.append(make_node("relu", "relu", nodes[-1:]))
    types = TypeArray.of(0, np.full((4, 6, 3), 4), 1, Rounding.RND, Overflow.SAT)
    nodes.append(make_node("q", "quantize", nodes[-1:], type=types))
    window = {"size": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)}
    nodes.append(make_node("pool", "max_pool2d", nodes[-1:], attrs=window))
    values = random_constant(rng, (1, 16), 5, 0)
    nodes.append(make_node("table", "table", nodes[-1:], attrs={"values": values, "index": (0,) * 18}))
    nodes.append(make_node("flat", "reshape", nodes[-1:], attrs={"shape": (18,)}))
    dense = {"kernel": random_constant(rng, (18, 3), 4, 0.5), "bias": random_constant(rng, (3,), 4, 0)}
    nodes.append(make_node("dense", "dense", nodes[-1:], attrs=dense, source='a "name"*/ \\\n'))
    return verify(Graph(tuple(nodes), ("image",), ("dense",)))


BOARD = "xcvu9p"
CASES: dict[str, Callable[[str], dict[str, str]]] = {
    "multiply": lambda top: build(image_network(), boards.load(BOARD), top=top).plan.files,
    "adders": lambda top: build(image_network(), boards.load(BOARD), form=Form(style="adders"), top=top).plan.files,
    "stream": lambda top: build_stream(image_network(), boards.load(BOARD), top=top).plan.files,
    "skip": lambda top: build(random_network(3, (6, 5, 4), skip=True), boards.load(BOARD), top=top).plan.files,
    "mac": lambda top: build_at(image_network(), boards.load(BOARD), form=Form(fold="mac"), interval=20, top=top).plan.files,
    "shifts": lambda top: build(random_network(5, (6, 5, 4)), boards.load(BOARD), form=Form(terms=8), top=top).plan.files,
    "every_op": lambda top: build(random_graph(8, Rounding.RND_CONV, Overflow.SAT, 12), boards.load(BOARD), top=top).plan.files,
    "every_op_adders": lambda top: (
        build(random_graph(8, ops=12), boards.load(BOARD), form=Form(style="adders"), top=top).plan.files
    ),
}


def test_clang_takes_all_styles_and_kinds_of_ports(tmp_path: Path) -> None:
    """All designs and their test benches in one reading, which spares that of the headers: each in a namespace of its own."""
    lines = [f"#include <{name}>" for name in ("cstdio", "fstream", "iostream", "sstream", "string")]
    lines += [f'#include "{name}.h"' for name in ("ap_fixed", "ap_int", "hls_stream")]
    for case, make in CASES.items():
        for source in written(make(case), tmp_path / case):
            lines += [f"namespace of_{case} {{", f'#include "{source}"', "}"]
    whole = tmp_path / "all.cpp"
    whole.write_text("\n".join(lines) + "\n")
    assert complaints(whole, "c++14") == []


@pytest.mark.slow
@pytest.mark.parametrize("standard", ["c++14", "c++17"])
@pytest.mark.parametrize("case", CASES)
def test_clang_takes_each_file_by_itself(case: str, standard: str, tmp_path: Path) -> None:
    sources = written(CASES[case]("top"), tmp_path)
    assert len(sources) == 2
    assert [line for source in sources for line in complaints(source, standard)] == []


def test_what_clang_does_not_take_is_seen(tmp_path: Path) -> None:
    """The check itself: a type that does not exist, a number from a text, a variable that nothing reads."""
    source = tmp_path / "wrong.cpp"
    source.write_text('#include <cstdio>\nap_fixes<4,2> y;\nint z = "text";\nvoid f() { int unread = 1; }\n')
    found = complaints(source, "c++14")
    assert all(any(word in line for line in found) for word in ("ap_fixes", "const char", "unread"))
