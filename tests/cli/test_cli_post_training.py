"""refine, ptq and allocate as a user meets them: what they print, and what they answer to options that cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import good, invoked, refused
from fake_runs import make_run

from hwq.errors import DataError, ModelError, RunError, UsageError
from hwq.events import Events
from hwq.flow.allocate import AllocateOptions, AllocateSummary, Attempt
from hwq.flow.refine import RefinedPoint, RefineSummary
from hwq.posttraining.refine import RefineStep


@pytest.mark.parametrize("command", ["refine", "ptq", "allocate"])
def test_help(command: str) -> None:
    shown = good(command, "--help")
    assert "--out" in shown and "--json" in shown and command in good("--help")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give --budget lut=N, or --minimise lut"),
        (["--budget", "lut=9", "--minimise", "lut"], "give --budget lut=N, or --minimise lut"),
    ],
)
def test_a_budget_that_is_missing(arguments: list[str], told: str) -> None:
    done = invoked("allocate", "m.keras", "digits", *arguments)
    assert done.exit_code == 2 and told in done.output


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("dsp=9", "a budget of LUTs above 0 is missing"),
        ("lut=few", "'lut=few' is not like lut=6000"),
        ("lut=3000,dsp=0", "hwq allocate chooses by LUTs, not by dsp"),
    ],
)
def test_a_budget_that_cannot_be_meant(budget: str, told: str) -> None:
    assert refused(UsageError, "allocate", "m.keras", "digits", "--budget", budget).message == told


def test_what_is_not_there(tmp_path: Path) -> None:
    assert "no run directory" in refused(RunError, "refine", tmp_path).message
    found = refused(DataError, "ptq", "net.keras", "digitz", "--out", tmp_path / "a")
    assert "did you mean digits" in str(found.hint)
    refused(ModelError, "ptq", "net.keras", "digits", "--out", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_run_whose_data_is_not_found_says_how_to_give_it(tmp_path: Path) -> None:
    assert "--data" in str(refused(DataError, "refine", make_run(tmp_path / "run")).hint)


def test_refine_tells_before_and_after(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = RefinedPoint("0003", 0.75, 80, 100, 0.951, 0.95, 0.942, 0.94, 750, 1000)
    summary = RefineSummary(tmp_path, "bits", (one,))

    def run(path: Path, **options: object) -> RefineSummary:
        told = options["events"]
        assert isinstance(told, Events)
        told.line("0003", str(RefineStep(0, 1, 0.9, 0.95, 0.1, True)))
        return summary

    monkeypatch.setattr("hwq.flow.refine.refine", run)
    done = invoked("refine", str(tmp_path))
    assert "100 -> 80 digits, 1000 -> 750 LUT, validation 0.9500 -> 0.9510, test 0.9400 -> 0.9420" in done.output
    assert json.loads(invoked("refine", str(tmp_path), "--json").output)["points"][0]["lut"] == 750


def test_allocate_tells_the_widths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trial = Attempt({"dense_1": (4, 6)}, 980.0, 1000.0, 0.01)
    summary = AllocateSummary(tmp_path, 1000.0, 0.02, 0.95, 0.94, 0.96, trial.bits, (trial,))
    monkeypatch.setattr("hwq.flow.allocate.allocate", lambda *args, **options: summary)
    done = invoked("allocate", "m.keras", "digits", "--budget", "lut=1200")
    assert "1000 LUT (measured; predicted within 2.0%), dense_1 4 x 6 bits" in done.output


def test_allocate_tells_the_widths_of_channels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    trial = Attempt({"dense_1": ((2, 4, 4), 6), "dense_2": (3, 4)}, 980.0, 1000.0, 0.01)
    summary = AllocateSummary(tmp_path, 1000.0, 0.02, 0.95, 0.94, 0.96, trial.bits, (trial,))

    def run(*_: object, options: AllocateOptions, **__: object) -> AllocateSummary:
        asked.append(options.granularity)
        return summary

    monkeypatch.setattr("hwq.flow.allocate.allocate", run)
    arguments = ("allocate", "m.keras", "digits", "--budget", "lut=1200")
    done = invoked(*arguments, "--granularity", "channel")
    assert "dense_1 2-4 (mean 3.3) x 6, dense_2 3 x 4 bits" in done.output
    assert json.loads(invoked(*arguments, "--json").output)["bits"]["dense_1"] == [[2, 4, 4], 6]
    assert asked == ["channel", "layer"]
    assert invoked(*arguments, "--granularity", "weight").exit_code == 2
