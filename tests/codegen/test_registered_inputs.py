"""Inputs behind registers: a clock more, the same results, and no logic between a port and the first register."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_runs import make_run
from networks import random_network, random_rows

from hwq import boards
from hwq.codegen.build import Form, build
from hwq.cost.features import features
from hwq.design.point import PointDesign, code_digest
from hwq.design.target import Target
from hwq.errors import UsageError
from hwq.run.directory import RunDir
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import rtlsim


def test_all_logic_lies_between_registers(tmp_path: Path) -> None:
    graph, board = random_network(2, (4, 5, 3)), boards.load("ulx3s-85f")
    bare, made = build(graph, board), build(graph, board, form=Form(registered_inputs=True))
    assert made.plan.latency_cycles == bare.plan.latency_cycles + 1 and made.plan.digest != bare.plan.digest
    text = made.plan.files["rtl/hwq_top.v"]
    inputs = re.findall(r"wire (?:signed )?\[\d+:0\] (w\d+) = x\[", text)
    assert inputs and all(set(re.findall(rf".*\b{name}\b.*", text)) <= _stored(name, text) for name in inputs)
    stored, before = (features(b.graph, b.circuit)["register_bits"] for b in (made, bare))
    assert stored > before
    rows = random_rows(made.graph, 300)
    made.plan.write(tmp_path)
    assert (rtlsim(made, tmp_path, rows) == evaluate(made.graph, rows)).all()


def _stored(name: str, text: str) -> set[str]:
    """The lines in which an input may stand: its declaration, and its register."""
    return {line for line in text.splitlines() if re.search(rf"\b{name} = x\[|\b{name}_1 <= {name};", line)}


def test_the_option_belongs_to_the_design(tmp_path: Path) -> None:
    run = RunDir.open(make_run(tmp_path / "run"))
    board = boards.load("xcvu9p")
    one, other = (
        PointDesign(run, run.points()[0], Target.of(board, registered_inputs=flag), code_digest()) for flag in (False, True)
    )
    assert one.folder != other.folder and other.summary().latency_cycles == one.summary().latency_cycles + 1
    stream = PointDesign(run, run.points()[0], Target.of(board, io="stream", registered_inputs=True), code_digest())
    with pytest.raises(UsageError, match="window"):
        _ = stream.build
