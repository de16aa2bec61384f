"""`hwq export` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import good, refused
from fake_runs import make_run

from hwq.errors import UsageError

pytest.importorskip("onnx", reason="the extra hwq[qonnx] is not installed")


def test_the_report_says_what_was_compared_and_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    out = tmp_path / "net.onnx"
    lines = good("export", run, "--out", out).splitlines()
    assert lines[0] == f"{out}: qonnx" and out.is_file()
    assert all(line.endswith("0 mismatches") for line in lines[1:3]) and lines[3] == "read back: the same graph"
    assert lines[4].startswith("keeps: weights")
    told = json.loads(good("export", run, "--to", "qonnx", "--json"))
    assert told["point"] == "0000" and told["report"]["same_graph"] and Path(told["report"]["path"]).is_file()


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    error = refused(UsageError, "export", make_run(tmp_path / "run"), "--to", "tflite")
    assert "qonnx" in str(error.hint)
