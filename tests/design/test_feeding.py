"""A design can be fed: what was done to the rows is in the run, beside every plan, and gives the same integers to who has only that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_run
from networks import random_graph, random_network

import hwq
from hwq import boards
from hwq.data import Dataset, load
from hwq.data.preprocess import AS_IT_IS
from hwq.design.feeding import FILES, Feeding
from hwq.design.plans import plan
from hwq.design.point import PointDesign, code_digest
from hwq.design.target import Target
from hwq.errors import DataError, RunError
from hwq.files import read_json, sha256_of, write_json, write_npz
from hwq.ir import text
from hwq.posttraining.runs import accuracy
from hwq.run.directory import RunDir, write_point
from hwq.run.record import PointRecord, RunRecord
from hwq.sim.csim import csim
from hwq.sim.reference import evaluate, predict, quantize_inputs

ROWS = 150
CLASSES = ("ash", "birch", "cedar", "oak")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of a user: an index, a timestamp, a constant, classes by name."""
    import pandas as pd

    rng = np.random.default_rng(5)
    values = rng.normal(size=(ROWS, 4)) * [1, 20, 300, 1e-3]
    frame = pd.DataFrame(values, columns=["height", "ring|s", "mass", "x"])
    frame.insert(2, "taken", 1.7e9 + np.arange(ROWS) * 13.5)
    frame.insert(0, "site", 0.1)
    frame.insert(1, "label", [CLASSES[i % 4] for i in range(ROWS)])
    path = tmp_path_factory.mktemp("table") / "trees.csv"
    frame.to_csv(path)
    return path


@pytest.fixture(scope="module")
def data(table: Path) -> Dataset:
    return load(str(table), seed=0)


@pytest.fixture
def run(data: Dataset, tmp_path: Path) -> Path:
    """A run on that table, of a network that was not trained."""
    path = tmp_path / "run"
    x = np.concatenate([data.x_test, np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32) * 6])
    write_npz(path / "vectors.npz", x=x, y=data.y_test)
    graph = random_network(3, (6, 5, 4))
    facts = PointRecord(1, 0.5, 100.0, 0.1, accuracy(graph, data.x_test, data.y_test))
    write_point(path / "points" / "0000", text(graph), predict(graph, x), facts)
    digests = {"vectors.npz": sha256_of(path / "vectors.npz")}
    RunDir(path).save(RunRecord("", {"model": "mlp"}, data.told, digests=digests))
    return path


def raw_test_rows(table: Path) -> tuple[np.ndarray, np.ndarray]:
    """The test rows of a table as the user wrote them, without label and index, and their classes."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    frame = pd.read_csv(table, index_col=0)
    labels = frame.pop("label").to_numpy(str)
    numbers = np.unique(labels, return_inverse=True)[1]
    _, rows, _, classes = train_test_split(frame.to_numpy(), labels, test_size=0.2, random_state=0, stratify=numbers)
    return rows, classes


def test_predict_raw_reaches_the_accuracy_that_the_run_reports(run: Path, table: Path) -> None:
    rows, classes = raw_test_rows(table)
    opened = hwq.Run(run)
    design = opened.design()
    found = design.predict_raw(rows)
    assert float((found == classes).mean()) == opened.points[0].test_accuracy
    assert set(found) <= set(CLASSES)
    scores = design.predict_raw(rows, scores=True)
    assert scores.shape == (len(rows), 4) and (np.array(CLASSES)[scores.argmax(axis=1)] == found).all()
    np.testing.assert_array_equal(scores, predict(design.graph, RunDir.open(run).vectors()[0][: len(rows)]))


def test_a_frame_is_taken_by_its_columns(run: Path, table: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(table)
    design = hwq.Run(run).design("0000", "zcu104", "100MHz")
    whole = design.predict_raw(frame)  # index and label are there, and not asked for
    assert (design.predict_raw(frame[frame.columns[::-1]]) == whole).all()
    with pytest.raises(DataError, match="no column 'mass'"):
        design.predict_raw(frame.drop(columns=["mass"]))


def test_rows_that_do_not_fit_are_refused(run: Path) -> None:
    design = hwq.Run(run).design()
    with pytest.raises(DataError, match="rows of 7 features, expected 6"):
        design.predict_raw(np.zeros((3, 7)))
    with pytest.raises(DataError, match="NaN or infinity"):
        design.predict_raw(np.full((3, 6), np.nan))
    with pytest.raises(RunError, match="no point '7'"):
        hwq.Run(run).design("7")
    with pytest.raises(RunError, match="is no run directory"):
        hwq.Run(run / "points")
    with pytest.raises(DataError) as caught:
        hwq.compile(random_network(3, (6, 5, 4))).predict_raw(np.zeros((3, 6)))
    assert "hwq.Run(path).design()" in str(caught.value.hint)


def integers(recipe: dict, rows: np.ndarray) -> np.ndarray:
    """What README.md says, by who has preprocess.json and nothing of hwq."""
    columns = []
    for i, f in enumerate(recipe["features"]):
        z = np.float32((rows[:, i] - f["mean"]) / f["deviation"]).astype(float)
        q = z * 2.0 ** f["frac"]
        q = {"TRN": np.floor(q), "RND": np.floor(q + 0.5), "RND_CONV": np.rint(q)}[recipe["rounding"]]
        low, high = f["lowest"], f["highest"]
        columns.append((q - low) % (high - low + 1) + low if recipe["overflow"] == "WRAP" else np.clip(q, low, high))
    return np.stack(columns, axis=1).astype(int)


def packed(recipe: dict, row: np.ndarray, part: str) -> int:
    """A row of integers as one number, element i from bit `offset` on."""
    return sum((int(q) & ((1 << e["width"]) - 1)) << e["offset"] for q, e in zip(row, recipe[part], strict=True))


def test_the_folder_alone_says_how_to_feed_the_design(run: Path, table: Path, data: Dataset) -> None:
    board = boards.load("xcvu9p")
    design = PointDesign(RunDir.open(run), RunDir.open(run).points()[0], Target.of(board), code_digest())
    design.summary()
    recipe = json.loads((design.folder / "preprocess.json").read_text())
    rows, _ = raw_test_rows(table)
    q = integers(recipe, rows)
    np.testing.assert_array_equal(q, quantize_inputs(design.graph, data.x_test))
    assert [c["name"] for c in recipe["classes"]] == list(CLASSES)
    # through the test bench of the generated C++, in its format
    answers = csim(design.build, design.folder, q)
    values = answers * 2.0 ** -np.array([c["frac"] for c in recipe["classes"]])
    best = values.argmax(axis=1)
    assert float((best == data.y_test).mean()) == design.point.test_accuracy
    np.testing.assert_array_equal(values, predict(design.graph, data.x_test))
    widths = [sum(e["width"] for e in recipe[part]) for part in ("features", "classes")]
    verilog = (design.folder / "rtl" / "hwq_top.v").read_text()
    assert f"[{widths[0] - 1}:0] x" in verilog and f"[{widths[1] - 1}:0] y" in verilog
    assert packed(recipe, q[0], "features") < 1 << widths[0]


@pytest.mark.parametrize("seed", range(6))
def test_the_recipe_holds_for_any_types(seed: int) -> None:
    graph = random_graph(seed, ops=6)
    made = hwq.compile(graph)
    recipe = Feeding.of(made.build, graph, None).to_json()
    size = len(recipe["features"])
    rows = np.random.default_rng(seed).normal(size=(50, size)).astype(np.float32) * 2.0 ** np.arange(-5, 45)[:, None]
    q = integers(recipe, rows.astype(np.float64))
    expected = quantize_inputs(graph, rows.reshape(-1, *graph[graph.inputs[0]].shape) if len(graph.inputs) == 1 else rows)
    np.testing.assert_array_equal(q, expected)
    answers = made.emulator.evaluate(q)
    np.testing.assert_array_equal(answers * 2.0 ** -np.array([c["frac"] for c in recipe["classes"]]), predict(graph, rows))
    assert len(evaluate(graph, expected)) == len(rows)


def test_readme_names_what_a_person_needs(run: Path, tmp_path: Path) -> None:
    (planned,) = plan(run, Target.of("xcvu9p", tool="yosys"), out=tmp_path / "away")
    told = (planned.folder / "README.md").read_text()
    for wanted in (
        "6 features in, 4 classes out",
        "without the label `label` and without the column that has no name",
        "| 0 | site | 0.1 | 1 |",
        "| 1 | height |",
        "| 2 | ring\\|s |",
        "| 2 | cedar |",
        "z = (x - mean) / deviation",
        "./run.sh yosys synth",
        f'hwq.Run("{run}").design("0000", "xcvu9p").predict_raw(rows)',
        "- `rtl/`: Verilog",
    ):
        assert wanted in told, wanted
    assert "vivado/" in told and "board/" not in told
    assert json.loads((planned.folder / "preprocess.json").read_text())["plan"] == planned.digest


def test_names_do_not_change_a_plan(run: Path, tmp_path: Path) -> None:
    """Two runs with one network and other names have one plan."""
    (first,) = plan(run, Target.of("xcvu9p", tool="yosys"))
    directory = RunDir.open(run)
    record, data = directory.record(), directory.data()
    known = replace(data.preprocess or AS_IT_IS, classes=("a", "b", "c", "d"))
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "run"
    run.rename(other)
    RunDir(other).save(replace(record, dataset=replace(data, preprocess=known)))
    (second,) = plan(other, Target.of("xcvu9p", tool="yosys"), out=tmp_path / "away")
    assert first.digest == second.digest
    told = json.loads((second.folder / "preprocess.json").read_text())
    assert [c["name"] for c in told["classes"]] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["lost", "changed"])
def test_what_is_lost_or_changed_is_written_again(run: Path, name: str, harm: str) -> None:
    board = boards.load("xcvu9p")
    design = PointDesign(RunDir.open(run), RunDir.open(run).points()[0], Target.of(board), code_digest())
    design.summary()
    path = design.folder / name
    before = path.read_bytes()
    path.unlink() if harm == "lost" else path.write_bytes(before.replace(b"1", b"2"))
    design.summary()
    assert path.read_bytes() == before


def test_a_run_of_0_1_0_still_opens(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 1)  # its data set says nothing of what was done to the rows
    opened = hwq.Run(run)
    assert opened.preprocess is None
    design = opened.design()
    x = RunDir.open(run).vectors()[0]
    np.testing.assert_array_equal(design.predict(x), predict(design.graph, x))
    with pytest.raises(DataError, match="not known here"):
        design.predict_raw(x)
    (planned,) = plan(run, Target.of("xcvu9p", tool="yosys"))
    assert "not known here" in (planned.folder / "README.md").read_text()
    assert json.loads((planned.folder / "preprocess.json").read_text())["standardised"] is None


def test_damaged_preprocessing_is_named(run: Path) -> None:
    meta = read_json(run / "run.json")
    meta["dataset"]["preprocess"]["mean"] = ["a"]
    write_json(run / "run.json", meta)
    with pytest.raises(RunError, match="preprocess is damaged: mean"):
        hwq.Run(run).design()


def test_a_compiled_network_is_written_with_both_files(tmp_path: Path) -> None:
    folder = hwq.compile(random_network(2, (4, 3))).write(tmp_path / "design")
    told = (folder / "README.md").read_text()
    assert "not known here" in told and "run.sh" not in told
    assert [f["name"] for f in json.loads((folder / "preprocess.json").read_text())["features"]] == ["x0", "x1", "x2", "x3"]
