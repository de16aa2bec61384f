"""Tables that Yosys puts into block memories: the mapped netlist answers as the graph does, and a changed entry shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hwq import boards
from hwq.codegen.build import Build, build
from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, make_node, verify
from hwq.sim.netlist import evaluate_mapped
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST
from hwq.tools.yosys import run_script


def table(bits: int, width: int, board: str) -> Build:
    """A design of one table of random entries."""
    values = np.random.default_rng(0).integers(0, 1 << width, (1, 1 << bits))
    entries = Constant(values, TypeArray.of(0, np.full(values.shape, width), np.zeros(values.shape, int)))
    x = make_node("x", "input", [], type=TypeArray.of(0, np.full((1,), bits), 0))
    y = make_node("y", "table", [x], attrs={"values": entries, "index": (0,)})
    return build(verify(Graph((x, y), ("x",), ("y",))), boards.load(board))


@pytest.mark.parametrize(
    ("board", "bits", "width", "kind"),
    [
        ("xcvu9p", 11, 18, "RAMB36E2"),
        pytest.param("xcvu9p", 10, 18, "RAMB18E2", marks=pytest.mark.slow),
        pytest.param("xcvu9p", 12, 9, "RAMB36E2", marks=pytest.mark.slow),
        pytest.param("pynq-z2", 11, 18, "RAMB36E1", marks=pytest.mark.slow),
        pytest.param("pynq-z2", 10, 18, "RAMB18E1", marks=pytest.mark.slow),
    ],
)
def test_a_table_in_a_block_memory(board: str, bits: int, width: int, kind: str, tmp_path: Path) -> None:
    made = table(bits, width, board)
    made.plan.write(tmp_path)
    run_script("yosys/synth.ys", cwd=tmp_path, log=tmp_path / "yosys" / "synth.log", outputs=[NETLIST])
    netlist = tmp_path / NETLIST
    text = netlist.read_text()
    if f"{kind} #" not in text:
        pytest.skip(f"this Yosys puts no such table into a {kind}")
    codes = np.arange(1 << bits)[:, None]
    wanted = evaluate(made.graph, codes)
    assert np.array_equal(evaluate_mapped(made, tmp_path, codes), wanted)
    # one entry changed
    found = re.search(r"\.INIT_05\(256'h([0-9a-f]+)\)", text)
    assert found
    other = f"{int(found[1], 16) ^ (1 << 77):0{len(found[1])}x}"
    netlist.write_text(text[: found.start(1)] + other + text[found.end(1) :])
    assert (np.asarray(evaluate_mapped(made, tmp_path, codes)) != wanted).sum() == 1
