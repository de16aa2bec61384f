"""`parse` on small reports of every kind: the right values, told by content, whatever the encoding and the line ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "flat": (
        samples.utilisation(),
        {
            "kind": "vivado_utilization",
            "tool": "Vivado",
            "version": "2023.1",
            "device": "xczu7ev-ffvc1156-2-e",
            "top": "top",
            "lut": 5123,
        }
        | {"ff": 1986, "dsp": 12, "bram": 60.5, "bram_unit": "36K tile", "uram": 3, "status": "ok", "state": "Routed"},
    ),
    "synthesised": (samples.utilisation(uram=None, state="Synthesized"), {"lut": 5123, "uram": None, "state": "Synthesized"}),
    "hierarchy": (
        samples.hierarchy(),
        {
            "kind": "vivado_utilization_hier",
            "lut": 90,
            "ff": 120,
            "dsp": 3,
            "bram": 2,
            "ramb18": 5,
            "bram_unit": "RAMB36",
            "uram": 1,
        },
    ),
    "percentages": (samples.hierarchy(percentages=True), {"lut": 90, "ff": 120, "dsp": 3, "bram": 2, "ramb18": 5, "uram": 1}),
    "kernels": (samples.kernels(), {"kind": "vivado_utilization_hier", "lut": 200, "ff": 300, "dsp": 2, "bram": 5, "uram": 1}),
    "timing": (
        samples.timing(),
        {"kind": "timing_summary", "wns_ns": 0.11, "timing_met": True, "clk_target_ns": 5.0, "status": "ok"},
    ),
    "late": (samples.timing("-2.212", samples.MISSED), {"wns_ns": -2.212, "timing_met": False, "status": "timing missed"}),
    "late elsewhere": (
        samples.timing("-0.5", samples.MISSED, other="9.100"),
        {"wns_ns": -0.5, "timing_met": False, "status": "timing missed"},
    ),
    "held too short": (
        samples.timing("0.2", samples.MISSED, whs="-0.030"),
        {"wns_ns": 0.2, "timing_met": False, "status": "timing missed"},
    ),
    "no path": (
        samples.timing("NA", samples.MET, whs="NA").replace("(MET) :           NAns", ":  NA"),
        {"wns_ns": None, "timing_met": True},
    ),
    "several clocks": (
        samples.timing(clocks=(("clk", "5.000", "200.000"), ("clk2", "3.906", "256.000"))),
        {"clk_target_ns": 5.0, "wns_ns": 0.11},
    ),
    "paths": (
        samples.timing_paths(
            samples.path("1.616", "MET"), samples.path("0.400", "MET"), samples.path("-0.100", "VIOLATED", "Hold")
        ),
        {"kind": "timing_path", "wns_ns": 0.4, "timing_met": True, "status": "ok"},
    ),
    "power": (samples.power(), {"kind": "power", "power_w": 24.099, "top": "top", "reason": "Vivado's confidence in it is low"}),
    "module": (
        samples.module_csynth(),
        {
            "kind": "module_csynth.rpt",
            "tool": "Vivado HLS",
            "version": "2019.2",
            "device": "xcvu9p-flgb2104-2-i",
            "top": "net",
            "lut": 1258,
        }
        | {
            "ff": 756,
            "dsp": 29,
            "bram": 13,
            "bram_unit": "18K",
            "uram": 0,
            "lat_min": 638,
            "lat_max": 640,
            "ii_min": 20,
            "ii_max": 640,
        }
        | {"clk_target_ns": 5.0, "clk_est_ns": 4.366, "clk_uncert_ns": 0.62, "timing_met": None, "status": "ok"},
    ),
    "module of Vitis": (
        samples.module_csynth("Vitis HLS", "2022.1", estimate="4.535"),
        {"tool": "Vitis HLS", "lat_min": 638, "lat_max": 640, "ii_max": 640, "clk_est_ns": 4.535, "status": "timing missed"},
    ),
    "module that counts its time by its estimate": (
        samples.module_csynth("Vitis HLS", "2022.1", estimate="6.000").replace("3.190 us|   3.200 us", "3.828 us|   3.840 us"),
        {"lat_min": 638, "lat_max": 640, "status": "timing missed"},
    ),
    "module without URAM": (samples.module_csynth(uram=False), {"uram": None, "lut": 1258}),
    "module of unknown latency": (
        samples.module_csynth(latency=("?", "?", "?", "?")),
        {"lat_min": None, "lat_max": None, "ii_min": None},
    ),
    "summary": (
        samples.summary_csynth(),
        {
            "kind": "summary_csynth.rpt",
            "version": "2023.2",
            "top": "net",
            "lut": 4893,
            "ff": 6007,
            "dsp": 34,
            "bram": None,
            "uram": None,
        }
        | {"lat_min": 28, "lat_max": 28, "ii_min": 4, "ii_max": 4, "status": "timing missed"},
    ),
    "summary of 2025.2": (
        samples.summary_csynth(2025, issue="-", dsp="-"),
        {"version": "2025.2", "lut": 4893, "ff": 6007, "dsp": None, "lat_max": 28, "ii_max": 4, "status": "ok"},
    ),
    "csynth.xml": (
        samples.csynth_xml(),
        {
            "kind": "csynth.xml",
            "tool": "Vivado HLS",
            "version": "2020.1",
            "device": "xc7z020-clg400-1",
            "top": "top",
            "lut": 5667,
            "dsp": 7,
        }
        | {"bram": 3, "bram_unit": "18K", "uram": None, "lat_min": 7, "lat_max": 7, "ii_min": 1, "ii_max": 1, "clk_est_ns": 4.1},
    ),
    "csynth.xml of a summary": (
        samples.csynth_xml("2023.2", dsp="DSP", extra="<URAM>0</URAM>", top_lut="5669"),
        {"tool": "Vitis HLS", "lut": 5667, "dsp": 7, "uram": 0},
    ),
    "csynth.xml, late": (
        samples.csynth_xml(estimate="4.60", latency="undef"),
        {"status": "timing missed", "lat_max": None, "lut": 5667},
    ),
    "cosim": (
        samples.cosim(),
        {"kind": "cosim.rpt", "lat_min": 13, "lat_max": 14, "ii_min": 5, "ii_max": 6, "state": "Verilog:Pass", "status": "ok"},
    ),
    "cosim of both": (
        samples.cosim(vhdl=("Pass", "12", "13", "13", "5", "5", "5")),
        {"lat_min": 12, "lat_max": 14, "ii_min": 5, "ii_max": 6, "state": "VHDL:Pass; Verilog:Pass"},
    ),
    "cosim failed": (samples.cosim(("Fail", *("NA",) * 6)), {"lat_min": None, "ii_max": None, "status": "failed"}),
    "one of two failed": (
        samples.cosim(vhdl=("Fail", *("NA",) * 6)),
        {"lat_min": 13, "status": "failed"},
    ),
    "cosim not run": (samples.cosim(("NA",) * 7), {"status": "no report"}),
    "transactions": (
        "                             latency        interval\ntransaction       0:              28               4\n"
        "transaction       1:              30               x\n",
        {"kind": "cosim transaction data", "lat_min": 28, "lat_max": 30, "ii_min": 4, "ii_max": 4},
    ),
    "lat.rb": (
        "".join(
            f'${a}_{b} = "{v}"\n'
            for b, vs in (("LATENCY", (30, 28, 29)), ("THROUGHPUT", (6, 4, 5)))
            for a, v in zip(("MAX", "MIN", "AVER"), vs, strict=True)
        ),
        {"kind": "cosim transaction data", "lat_min": 28, "lat_max": 30, "ii_min": 4, "ii_max": 6},
    ),
    "export": (
        samples.export(),
        {
            "kind": "export.rpt",
            "tool": "Vivado (HLS export)",
            "version": "2018.2",
            "device": "xcvu9p-flgb2104-2-i",
            "lut": 40345,
            "bram": 20,
        }
        | {"clk_target_ns": 5.0, "clk_est_ns": 5.037, "timing_met": False, "status": "timing missed", "state": "Routed"},
    ),
    "export without registers": (
        samples.export("NA", "No Sequential Path"),
        {"clk_est_ns": None, "timing_met": None, "status": "ok", "lut": 40345},
    ),
    "export of the first versions": (
        samples.export("4.9", "Timing met")
        .replace("Post-Implementation ", "")
        .replace("CP achieved post-synthesis:    3.384\n", "")
        .replace(" post-implementation", ""),
        {"clk_est_ns": 4.9, "timing_met": True, "state": "Synthesized", "lut": 40345},
    ),
    "export_impl.xml": (
        samples.export_xml(),
        {
            "kind": "export_impl.xml",
            "version": "2025.1.1",
            "top": "net",
            "lut": 1906,
            "ff": 3019,
            "dsp": 3,
            "bram": 2,
            "bram_unit": "18K",
        }
        | {"uram": 0, "clk_target_ns": 10.0, "clk_est_ns": 2.845, "wns_ns": 7.155, "timing_met": True},
    ),
    "export_syn.xml": (
        samples.export_xml("synth", met="NA"),
        {"kind": "export_syn.xml", "timing_met": None, "state": "Synthesized"},
    ),
    "export_impl.rpt": (
        samples.export_text(),
        {"kind": "export_impl.rpt", "version": "2025.1", "lut": 1906, "ff": 3019, "clk_est_ns": 2.845, "timing_met": True},
    ),
    "yosys": (
        json.dumps(
            {
                "creator": "Yosys 0.23 (git sha1 7ce5011c24b)",
                "modules": {
                    "\\top": {"num_cells": 28, "num_cells_by_type": {"LUT2": 10, "LUT6": 5, "CARRY4": 3, "FDRE": 8, "INV": 2}}
                },
                "design": {"num_cells": 28, "num_cells_by_type": {"LUT2": 10, "LUT6": 5, "CARRY4": 3, "FDRE": 8, "INV": 2}},
            }
        ),
        {"kind": "yosys_stat", "tool": "Yosys", "version": "0.23", "top": "top", "lut": 15, "ff": 8, "dsp": 0, "bram": 0},
    ),
    "nextpnr": (
        json.dumps(
            {
                "fmax": {"$glbnet$clk": {"achieved": 50.0, "constraint": 100.0}, "slow": {"achieved": 30.0, "constraint": 12.0}},
                "utilization": {
                    n: {"available": 9, "used": u} for n, u in {"TRELLIS_COMB": 7, "TRELLIS_FF": 5, "DP16KD": 2}.items()
                },
            }
        ),
        {"kind": "nextpnr_report", "lut": 7, "ff": 5, "bram": 2, "bram_unit": "18K", "clk_target_ns": 10.0, "clk_est_ns": 20.0}
        | {"wns_ns": -10.0, "timing_met": False, "status": "timing missed"},
    ),
    "log": (
        samples.log(),
        {
            "kind": "log",
            "tool": "Vitis HLS",
            "version": "2022.2",
            "device": "xczu3eg-sbva484-1-i",
            "error_lines": 0,
            "first_error": None,
        },
    ),
}


def put(folder: Path, text: str | bytes, name: str = "some.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("name", KINDS)
def test_values(name: str, tmp_path: Path) -> None:
    text, expected = KINDS[name]
    report = parse(put(tmp_path, text))
    assert {key: getattr(report, key) for key in expected} == expected


@pytest.mark.parametrize("name", KINDS)
def test_encodings_and_line_ends_change_nothing(name: str, tmp_path: Path) -> None:
    text, _ = KINDS[name]
    plain = parse(put(tmp_path, text))
    forms = {
        "Windows line ends": text.replace("\n", "\r\n").encode(),
        "UTF-8 with a mark": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16"),
        "Korean code page": text.encode("euc-kr"),
        "no last line end": text.rstrip("\n").encode(),
        "blanks at line ends": text.replace("\n", "  \n").encode(),
        "no blanks at line ends": "\n".join(line.rstrip() for line in text.split("\n")).encode(),
        "blank lines around": b"\n\n" + text.encode() + b"\n\n",
    }
    for form, content in forms.items():
        assert parse(put(tmp_path, content)) == plain, form


def test_modules_are_kept(tmp_path: Path) -> None:
    def modules(text: str) -> list[tuple[Any, ...]]:
        return [(m.name, m.module, m.depth, m.lut, m.ff) for m in parse(put(tmp_path, text)).modules]

    assert modules(samples.module_csynth()) == [("dense_U0", "dense", 1, 1200, 700), ("relu_U0", "relu", 1, 18, 56)]
    assert modules(samples.summary_csynth()) == [("dense", None, 1, 1532, 1884)]
    assert modules(samples.csynth_xml("2023.2", dsp="DSP", top_lut="5667")) == [("dense", "dense", 1, 300, 40)]
    assert modules(samples.hierarchy())[2:] == [
        ("top", "layer", 1, 80, 100),
        ("(top)", "layer", 2, 50, 60),
        ("a|b", "mul", 2, 30, 40),
    ]
    assert modules(samples.kernels()) == [("net", None, 0, 200, 300), ("net_1", None, 1, 200, 300)]
    assert modules(samples.export_xml())[1] == ("inst/dense_U0", "dense", 1, 470, 756)
    assert modules(samples.export_text())[1] == ("dense_U0", None, 1, 470, 756)
    assert [(m.name, m.depth, m.power_w) for m in parse(put(tmp_path, samples.power())).modules] == [
        ("top", 0, 10.576),
        ("layer", 1, 0.003),
    ]


def test_block_ram_is_one_unit_in_resources(tmp_path: Path) -> None:
    def bram36(text: str) -> float | None:
        return parse(put(tmp_path, text)).resources.bram36

    assert bram36(samples.utilisation()) == 60.5
    assert bram36(samples.csynth_xml()) == 1.5
    assert bram36(samples.hierarchy()) == 2 + 5 / 2
    assert bram36(samples.power()) is None


def test_a_report_as_hls4ml_prints_it(tmp_path: Path) -> None:
    """Between the results of both simulations, and without the interface at its end."""
    body = samples.module_csynth().split("== Interface")[0].rsplit("=" * 64, 1)[0].strip("\n")
    csim = "C SIMULATION RESULT:\nINFO: [SIM 1] CSim done with 0 errors.\n\n"
    printed = f"{csim}SYNTHESIS REPORT:\n{body}\n\nCO-SIMULATION RESULT:\n{samples.cosim()}"
    report = parse(put(tmp_path, printed))
    assert (report.kind, report.lut, report.lat_max) == ("module_csynth.rpt", 1258, 640)
    with pytest.raises(ReportError, match="cut off"):
        parse(put(tmp_path, printed.rstrip()[:-150]))


def test_trimmed_and_failed_designs_are_no_measurement(tmp_path: Path) -> None:
    def status(text: str) -> Status:
        return parse(put(tmp_path, text)).status

    def zero(**tiles: Any) -> str:
        return samples.utilisation(dsp=0, tiles="0", uram=0, **tiles)

    assert status(zero(lut=8, ff=3)) is Status.TRIMMED
    assert status(zero(lut=9, ff=3)) is Status.OK
    assert status(zero(lut=8, ff=3, state="Synthesized")) is Status.OK  # small, but nothing is lost before the optimiser ran
    assert status(samples.utilisation(lut=3, ff=2, dsp=0, tiles="21", uram=0)) is Status.OK  # a memory is a design
    empty = samples.csynth_xml(lut="0").replace(">7<", ">0<").replace(">3<", ">0<").replace(">100<", ">0<")
    assert status(empty) is Status.TRIMMED
    assert status(samples.utilisation(dsp=2000)) is Status.OVER_UTILISED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("\ufeff\n", "empty"),
        ("\x00\x01\x02binary\x00", "no text"),
        ("hello\nworld\n", "no report, and no log"),
        ("<html><body/></html>", "no HLS report"),
        ('{"some": 1}', "no report that hwq knows"),
        ("[1, 2]", "an object was expected"),
        ('{"design": {}, "design": {}}', "twice"),
        (samples.head(command="report_drc") + "Report DRC\n\n\n", "does not read"),
        (samples.utilisation() + samples.timing(), "several reports"),
        (samples.module_csynth() + samples.module_csynth(), "several reports"),
    ],
)
def test_what_is_no_report(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=reason):
        parse(put(tmp_path, text))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "none.rpt", tmp_path):
        with pytest.raises(ReportError, match=str(path)):
            parse(path)


def test_an_empty_log_is_named_by_its_file_name_alone(tmp_path: Path) -> None:
    found = parse(put(tmp_path, "", "run.log"))
    assert found == Report("log", status=Status.NO_REPORT, reason="the file is empty", error_lines=0)
