"""The mapped netlist: simulated with the models of its cells, proven equal to the RTL, and caught when one cell is changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from networks import random_network, random_rows

from hwq import boards
from hwq.codegen.build import Build, build
from hwq.errors import MismatchError, ToolError
from hwq.sim.compare import compare
from hwq.sim.netlist import evaluate_mapped
from hwq.sim.prove import prove
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST, mapped
from hwq.tools.yosys import run_script


@pytest.fixture(scope="module", params=["xcvu9p", "ulx3s-85f"])
def synthesised(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Build, Path]:
    made = build(random_network(4, (6, 5, 4)), boards.load(request.param))
    folder = tmp_path_factory.mktemp("netlist")
    made.plan.write(folder)
    run_script("yosys/synth.ys", cwd=folder, log=folder / "yosys" / "synth.log", outputs=[NETLIST])
    return made, folder


def test_it_computes_what_the_graph_means(synthesised: tuple[Build, Path]) -> None:
    made, folder = synthesised
    x = random_rows(made.graph, 2000)
    result = compare(made.graph, "reference", evaluate(made.graph, x), "netlist", mapped(made, folder, x))
    assert result.mismatches == 0, str(result)


def test_what_is_followed_here_is_what_its_models_say(synthesised: tuple[Build, Path]) -> None:
    made, folder = synthesised
    x = random_rows(made.graph, 2000)
    assert (evaluate_mapped(made, folder, x) == mapped(made, folder, x)).all()


def test_a_design_with_tables_is_proven(tmp_path: Path) -> None:
    made = build(random_network(11, (6, 5, 4)), boards.load("zcu104"))
    assert "case (" in made.plan.files["rtl/hwq_top.v"]
    made.plan.write(tmp_path)
    run_script("yosys/synth.ys", cwd=tmp_path, log=tmp_path / "yosys" / "synth.log", outputs=[NETLIST])
    assert prove(made, tmp_path, 600).proven


def test_it_is_proven(synthesised: tuple[Build, Path]) -> None:
    proof = prove(*synthesised, 600)
    assert proof.proven and "proven for every input" in str(proof)


def test_without_time_it_says_so(synthesised: tuple[Build, Path]) -> None:
    proof = prove(*synthesised, 0.2)
    assert not proof.proven and "not finished in 0.2 s" in str(proof)


def test_a_changed_cell_is_found_with_the_inputs_that_show_it(synthesised: tuple[Build, Path], tmp_path: Path) -> None:
    made, folder = synthesised
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    netlist = broken / NETLIST
    # every look-up table's highest entries: at least one of them matters to an output
    text, count = re.subn(r"(INIT\w*\(\d+'h)[0-9a-f]", r"\g<1>3", netlist.read_text())
    assert count
    netlist.write_text(text)
    with pytest.raises(MismatchError, match="for the input mantissas") as caught:
        prove(made, broken, 600)
    inputs, rtl, found = ([int(v) for v in part.split(",")] for part in re.findall(r"\[([^]]*)\]", caught.value.message))
    row = np.array([inputs])
    assert evaluate(made.graph, row).tolist() == [rtl]
    assert mapped(made, broken, row).tolist() == [found] != [rtl]


def test_without_a_netlist_it_says_who_makes_one(tmp_path: Path) -> None:
    made = build(random_network(4, (6, 5, 4)), boards.load("xcvu9p"))
    for call in (lambda: prove(made, tmp_path, 5), lambda: mapped(made, tmp_path, random_rows(made.graph, 2))):
        with pytest.raises(ToolError, match="no mapped netlist") as caught:
            call()
        assert "hwq synth" in str(caught.value.hint)
