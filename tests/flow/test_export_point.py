"""`hwq export`: a point of a run leaves, is proven on the run's rows, and comes back through `hwq convert`."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_runs import make_run

from hwq.errors import RunError, UsageError
from hwq.exporters.same import difference
from hwq.flow.convert import convert
from hwq.flow.export import export_point
from hwq.ir import parse
from hwq.run.directory import RunDir


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "mine", 2)


def test_a_point_leaves_and_comes_back(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    summary = export_point(run, "qonnx", point="1")
    assert summary.point == "0001" and summary.report.path == run / "export" / "mine-0001.onnx"
    assert summary.report.comparisons[0].samples > 500 and summary.report.same_graph
    convert(summary.report.path, tmp_path / "back")
    mine, theirs = (parse(RunDir.open(p).select(i)[0].graph_text()) for p, i in ((run, "1"), (tmp_path / "back", "0")))
    assert difference(mine, theirs) == ""


def test_one_point_in_one_format(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one point") as caught:
        export_point(run, "qonnx", point="all")
    assert "0000" in str(caught.value.hint)
    with pytest.raises(UsageError, match="say the format"):
        export_point(run, None)
    with pytest.raises(RunError):
        export_point(tmp_path, "qonnx")
