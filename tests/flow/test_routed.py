"""The routed netlist evaluator: right on what nextpnr writes, and red on anything that is no pipeline or was changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import random_network, random_rows

from hwq import boards
from hwq.codegen.build import Build, build
from hwq.errors import ReportError
from hwq.ir import parse
from hwq.sim.planes import lut as lut_of
from hwq.sim.reference import evaluate
from hwq.sim.routed import RoutedNetlist, _combine, _parts, compare_routed, random_inputs
from hwq.toolchains.registry import program
from hwq.toolchains.synthesiser import choose, synthesise
from hwq.units import Period


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Build, Path]:
    """A small network through Yosys and nextpnr."""
    if program("nextpnr-ecp5").look() is None:
        pytest.skip("nextpnr-ecp5 is not installed")
    folder = tmp_path_factory.mktemp("routed")
    board = boards.load("ulx3s-85f")
    made = build(random_network(7, (8, 8, 6)), board, Period(8.0))
    made.plan.write(folder)
    records = synthesise(choose("nextpnr-ecp5", board, stage="route", period_ns=8.0), folder, made.plan.digest)
    assert set(records) == {"yosys-synth", "nextpnr-route"}
    return made, folder


def read(folder: Path, change: Any = None) -> RoutedNetlist:
    path = folder / "nextpnr" / "netlist.json"
    if change is not None:
        content = json.loads(path.read_text())
        change(next(iter(content["modules"].values())))
        path = folder / "changed.json"
        path.write_text(json.dumps(content))
    return RoutedNetlist.read(path, folder / "yosys" / "netlist.json")


def test_the_routed_netlist_is_the_reference(routed: tuple[Build, Path]) -> None:
    made, folder = routed
    rows = random_rows(made.graph, 1000)
    assert made.plan.latency_cycles > 1
    assert np.array_equal(read(folder).evaluate(made.ports, rows, made.plan.latency_cycles), evaluate(made.graph, rows))


def test_the_plan_itself_is_enough_to_prove_it(routed: tuple[Build, Path]) -> None:
    made, folder = routed
    inputs = random_inputs(parse((folder / "graph.hwq").read_text()))
    assert compare_routed(folder, made.plan.latency_cycles, inputs).mismatches == 0 and len(inputs) == 2000


def test_another_latency_is_refused(routed: tuple[Build, Path]) -> None:
    made, folder = routed
    with pytest.raises(ReportError, match="registers, expected"):
        read(folder).evaluate(made.ports, random_rows(made.graph, 4), made.plan.latency_cycles + 1)


def test_a_changed_truth_table_is_seen(routed: tuple[Build, Path]) -> None:
    made, folder = routed
    rows = random_rows(made.graph, 1000)
    wanted = evaluate(made.graph, rows)

    def flip(module: dict[str, Any]) -> None:
        for cell in module["cells"].values():
            if cell["type"] == "TRELLIS_COMB" and "MODE" not in cell["parameters"]:
                cell["parameters"]["INITVAL"] = "".join("10"[int(bit)] for bit in cell["parameters"]["INITVAL"])

    assert not np.array_equal(read(folder, flip).evaluate(made.ports, rows, made.plan.latency_cycles), wanted)


def test_a_register_taken_out_is_seen(routed: tuple[Build, Path]) -> None:
    made, folder = routed

    def bypass(module: dict[str, Any]) -> None:
        name, cell = next((n, c) for n, c in module["cells"].items() if c["type"] == "TRELLIS_FF")
        port = "DI" if cell["parameters"]["SD"].strip() == "1" else "M"
        q, d = cell["connections"]["Q"][0], cell["connections"][port][0]
        del module["cells"][name]
        for other in module["cells"].values():
            for bits in other["connections"].values():
                bits[:] = [d if b == q else b for b in bits]
        for port_ in module["ports"].values():
            port_["bits"] = [d if b == q else b for b in port_["bits"]]

    with pytest.raises(ReportError, match="registers"):
        read(folder, bypass).evaluate(made.ports, random_rows(made.graph, 4), made.plan.latency_cycles)


@pytest.mark.parametrize(
    ("parameters", "word"), [({"CLKMUX": "INV"}, "CLKMUX=INV"), ({"CEMUX": "CE"}, "clock enable"), ({"SRMODE": "ASYNC"}, "")]
)
def test_registers_that_no_pipeline_has(parameters: dict[str, str], word: str, routed: tuple[Build, Path]) -> None:
    made, folder = routed

    def change(module: dict[str, Any]) -> None:
        cell = next(c for c in module["cells"].values() if c["type"] == "TRELLIS_FF")
        cell["parameters"] |= parameters
        if "SRMODE" in parameters:
            cell["connections"]["LSR"] = ["0"]

    with pytest.raises(ReportError, match=word or "asynchronous"):
        read(folder, change).evaluate(made.ports, random_rows(made.graph, 4), made.plan.latency_cycles)


def test_feedback_and_missing_files_are_named(routed: tuple[Build, Path], tmp_path: Path) -> None:
    _, folder = routed

    def loop(module: dict[str, Any]) -> None:
        cell = next(c for c in module["cells"].values() if c["type"] == "TRELLIS_COMB" and c["connections"].get("A"))
        cell["connections"]["A"] = cell["connections"]["F"] = [1 << 20]

    with pytest.raises(ReportError, match="feedback"):
        read(folder, loop)
    with pytest.raises(ReportError, match="no netlist"):
        RoutedNetlist.read(tmp_path / "none.json", tmp_path / "none.json")


def test_lut_tables_bit_by_bit() -> None:
    """All 16 rows of random tables: input A is the lowest bit of the index."""
    rng = np.random.default_rng(1)
    index = np.arange(64) % 16
    planes = tuple(np.array([sum(int((i >> k) & 1) << n for n, i in enumerate(index))], np.uint64) for k in range(4))
    zero, one = np.zeros(1, np.uint64), np.full(1, 0xFFFFFFFFFFFFFFFF, np.uint64)
    for table in [0, 0xFFFF, 0x8000, 1, *rng.integers(0, 1 << 16, 50).tolist()]:
        found = int(lut_of(table, planes, zero, one)[0])
        assert found == sum(((table >> int(i)) & 1) << n for n, i in enumerate(index))


def test_the_wide_multiplexer() -> None:
    """M high takes F1 in the first LUT of a slice, FXB in the second: as PFUMX (ALUT) and L6MUX21 (D1)."""

    def cell(**nets: int) -> Any:
        inputs = {p: "input" for p in ("A", "B", "C", "D", "M", "F1", "FXA", "FXB")}
        content = {"type": "TRELLIS_COMB", "parameters": {"INITVAL": "0" * 16}, "port_directions": {**inputs, "OFX": "output"}}
        return _parts("c", {**content, "connections": {**{p: [n] for p, n in nets.items()}, "OFX": [99]}})[1]

    one, zero = np.full(1, 0xFFFFFFFFFFFFFFFF, np.uint64), np.zeros(1, np.uint64)
    for ports, values, wanted in (
        (("M", "F1"), (one, one), one),
        (("M", "F1"), (zero, one), zero),
        (("M", "FXA", "FXB"), (one, zero, one), one),
        (("M", "FXA", "FXB"), (zero, zero, one), zero),
        (("M", "FXA", "FXB"), (zero, one, zero), one),
    ):
        part = cell(**{p: i for i, p in enumerate(ports)})
        found = _combine(Path("x"), part, dict(zip(ports, values, strict=True)), 1)["OFX"]
        assert np.array_equal(found, wanted)
