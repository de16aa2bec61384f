"""Small reports of our own with the shape, and the traps, of real ones: whole files, end markers and all."""

# ruff: noqa: E501  (tables are as wide as they are)

from __future__ import annotations

RULE = "-" * 60


def head(
    design: str = "top", device: str = "xczu7ev-ffvc1156-2-e", version: str = "2023.1", state: str = "Routed", command: str = ""
) -> str:
    """The head of a Vivado report."""
    fields = {
        "Tool Version": f"Vivado v.{version} (lin64) Build 1",
        "Date": "Mon Jan  1 00:00:00 2024",
        "Host": "server running 64-bit Linux",
        "Command": command,
        "Design": design,
        "Device": device,
        "Design State": state,
    }
    lines = "".join(f"| {key:12s} : {value}\n" for key, value in fields.items())
    return f"Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.\n{RULE}\n{lines}{RULE}\n\n"


def table(rows: list[list[str]], indent: str = "", groups: tuple[int, ...] = ()) -> str:
    """A table; the first row is its header, and a border stands before each row of `groups`."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    border = indent + "+" + "+".join("-" * (w + 2) for w in widths) + "+\n"
    text = border
    for k, row in enumerate(rows):
        text += (
            (border if k in groups else "")
            + indent
            + "|"
            + "|".join(f" {cell:{w}s} " for cell, w in zip(row, widths, strict=True))
            + "|\n"
        )
        text += border if k == 0 else ""
    return text + border


def numbered(title: str, sections: dict[str, str]) -> str:
    """A title, a table of contents and its sections."""
    names = [f"{k}. {name}" for k, name in enumerate(sections, 1)]
    text = f"{title}\n\nTable of Contents\n-----------------\n" + "".join(f"{name}\n" for name in names) + "\n"
    for name, body in zip(names, sections.values(), strict=True):
        text += f"{name}\n{'-' * len(name)}\n\n{body}\n\n"
    return text


COLUMNS = ["Site Type", "Used", "Fixed", "Prohibited", "Available", "Util%"]


def site(name: str, used: str, available: int | None = None, percent: str | None = None) -> list[str]:
    """One row of a utilisation table; the per cent follow from the counts."""
    if available is None:
        return [name, used, "0", "", "", ""]
    share = 100 * float(used) / available
    shown = f"{share:.2f}" if share >= 0.005 or share == 0 else "<0.01"
    return [name, used, "0", "0", str(available), shown if percent is None else percent]


def _empty(*columns: str) -> str:
    """A table without rows has but two borders."""
    return "".join(table([list(columns)]).splitlines(keepends=True)[:3])


def utilisation(
    lut: int = 5123,
    ff: int = 1986,
    dsp: int = 12,
    tiles: str = "60.5",
    uram: int | None = 3,
    *,
    state: str = "Routed",
    version: str = "2023.1",
    boxes: tuple[str, ...] = (),
) -> str:
    """`report_utilization` of an UltraScale+ device."""
    whole, half = int(float(tiles)), round(2 * (float(tiles) % 1))
    logic = [
        COLUMNS,
        site("CLB LUTs" if state == "Routed" else "CLB LUTs*", str(lut), 230400),
        site("  LUT as Logic", str(lut - lut // 9), 230400),
        site("  LUT as Memory", str(lut // 9), 101760),
        site("CLB Registers", str(ff), 460800),
        site("  Register as Flip Flop", str(ff), 460800),
        site("  Register as Latch", "0", 460800),
        site("CARRY8", "301", 28800),
    ]
    memory = [
        COLUMNS,
        site("Block RAM Tile", tiles, 312),
        site("  RAMB36/FIFO*", str(whole), 312),
        site("  RAMB18", str(half), 624),
    ]
    if uram is not None:
        memory.append(site("URAM", str(uram), 96))
    # a distribution repeats names with other numbers, and an SLR table with others again
    distribution = [
        COLUMNS,
        site("CLB", "900", 28800),
        site("LUT as Logic", str(lut - lut // 9), 230400),
        site("  using O6 output only", "7"),
    ]
    slr = [["Site Type", "SLR0", "SLR1", "SLR0 %", "SLR1 %"], ["CLB LUTs", "17", "3", "0.01", "0.00"]]
    sections = {
        "CLB Logic": table(logic),
        "CLB Logic Distribution": table(distribution),
        "BLOCKRAM": table(memory),
        "ARITHMETIC": table([COLUMNS, site("DSPs", str(dsp), 1728), site("  DSP48E2 only", str(dsp))]),
        "Primitives": table([["Ref Name", "Used", "Functional Category"], ["LUT6", "4000", "CLB"], ["CARRY8", "301", "CLB"]]),
        "SLR CLB Logic and Dedicated Block Utilization": table(slr),
        "Black Boxes": table([["Ref Name", "Used"], *([box, "1"] for box in boxes)]) if boxes else _empty("Ref Name", "Used"),
        "Instantiated Netlists": table([["Ref Name", "Used"], ["core", "1"]]),
    }
    title = "Utilization Design Information"
    return head(state=state, version=version, command="report_utilization -file u.rpt") + numbered(title, sections)


def hierarchy(rows: list[list[str]] | None = None, *, percentages: bool = False) -> str:
    """`report_utilization -hierarchical`: an instance has the name of the design."""
    share = (lambda v: f"{v}( 0.10%)") if percentages else (lambda v: v)
    columns = ["Instance", "Module", "Total LUTs", "Logic LUTs", "LUTRAMs", "SRLs", "FFs", "RAMB36", "RAMB18", "URAM", "DSP Blocks"]
    body = rows or [
        ["top", "(top)", "90", "80", "4", "6", "120", "2", "5", "1", "3"],
        ["  (top)", "(top)", "10", "10", "0", "0", "20", "0", "0", "0", "0"],
        ["  top", "layer", "80", "70", "4", "6", "100", "2", "5", "1", "3"],
        ["    (top)", "layer", "50", "40", "4", "6", "60", "2", "4", "1", "2"],
        ["    a|b", "mul", "30", "30", "0", "0", "40", "0", "1", "0", "1"],
    ]
    shown = [[row[0], row[1], *(share(v) for v in row[2:])] for row in body]
    command = "report_utilization -hierarchical"
    return head(command=command) + numbered(
        "Utilization Design Information", {"Utilization by Hierarchy": table([columns, *shown])}
    )


def kernels() -> str:
    """The kernel table of v++."""
    rows = [
        ["Name", "REG", "LUT", "LUTAsMem", "BRAM", "URAM", "DSP"],
        ["Platform", "100 [ 1.00%]", "50 [ 1.00%]", "1 [ 0.10%]", "9 [ 1.00%]", "0 [ 0.00%]", "0 [ 0.00%]"],
        ["User Budget", "1000 [100.00%]", "500 [100.00%]", "90 [100.00%]", "40 [100.00%]", "8 [100.00%]", "20 [100.00%]"],
        ["   Used Resources", "300 [ 30.00%]", "200 [ 40.00%]", "9 [ 10.00%]", "5 [ 12.50%]", "1 [ 12.50%]", "2 [ 10.00%]"],
        ["   Unused Resources", "700 [ 70.00%]", "300 [ 60.00%]", "81 [ 90.00%]", "35 [ 87.50%]", "7 [ 87.50%]", "18 [ 90.00%]"],
        ["net", "300 [ 30.00%]", "200 [ 40.00%]", "9 [ 10.00%]", "5 [ 12.50%]", "1 [ 12.50%]", "2 [ 10.00%]"],
        ["   net_1", "300 [ 30.00%]", "200 [ 40.00%]", "9 [ 10.00%]", "5 [ 12.50%]", "1 [ 12.50%]", "2 [ 10.00%]"],
    ]
    title = "Accelerator Utilization Design Information"
    command = "report_accelerator_utilization -kernels { net }"
    return head(command=command, state="Fully Placed") + numbered(title, {"System Utilization": table(rows)})


SLACKS = ("WNS(ns)", "TNS(ns)", "TNS Failing Endpoints", "TNS Total Endpoints", "WHS(ns)", "THS(ns)", "WPWS(ns)")
MET, MISSED = "All user specified timing constraints are met.", "Timing constraints are not met."
NONE = "There are no user specified timing constraints."


def _slacks(names: list[str], rows: list[list[str]], width: int = 10) -> str:
    """A table of slacks under dashed rules, right-aligned as Vivado has it."""
    columns = [*names, *SLACKS]
    widths = [max(width, len(name)) for name in columns]

    def line(cells: list[str], left: int) -> str:
        padded = [f"{c:{w}s}" if i < left else f"{c:>{w}s}" for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "  ".join(padded).rstrip() + "\n"

    return (
        line(columns, len(names))
        + line(["-" * len(c) for c in columns], len(names))
        + "".join(line(r, len(names)) for r in rows)
        + "\n"
    )


def path(slack: str, verdict: str | None, kind: str = "Setup") -> str:
    """One path in detail."""
    mark = f" ({verdict})" if verdict else ""
    first = f"Slack{mark}: {slack:>12s}{'ns' if verdict else ''}  (required time - arrival time)\n"
    last = f"                         slack {slack:>30s}\n" if verdict else ""
    return f"{first}  Source:  a/C\n  Path Type:              {kind} (Max at Slow Process Corner)\n  Requirement: 5.000ns\n\n{last}\n\n"


def timing(
    wns: str = "0.110",
    said: str = MET,
    clocks: tuple[tuple[str, str, str], ...] = (("clk", "5.000", "200.000"),),
    whs: str = "0.010",
    other: str = "",
) -> str:
    """`report_timing_summary`; `clocks` are name, period and frequency, and the first has the worst slack."""
    rows = [[c[0], wns if k == 0 else "9.000", "0.000", "0", "10", whs, "0.000", "1.000"] for k, c in enumerate(clocks)]
    design = [wns, "0.000", "0", "10", whs, "0.000", "1.000"]
    listing = "".join(
        f"{name:8s}  {{0.000 {float(period) / 2:.3f}}}        {period:10s}  {mhz:10s}\n" for name, period, mhz in clocks
    )
    found = (
        "Clock     Waveform(ns)         Period(ns)  Frequency(MHz)\n-----     ------------         ----------  --------------\n"
        + listing
    )
    verdict = None if wns in ("NA", "inf") else "VIOLATED" if wns.startswith("-") else "MET"
    inter = [["clk", "clk2", other, "0.000", "0", "10", "0.010", "0.000", "1.000"]] if other else []
    parts = {
        "Timer Settings": "  Enable Multi Corner Analysis               :  Yes\n",
        "Design Timing Summary": f"{_slacks([], [design])}\n{said}\n",
        "Clock Summary": found if clocks else "",
        "Intra Clock Table": _slacks(["Clock   "], rows),
        "Inter Clock Table": _slacks(["From Clock", "To Clock"], inter),
        "Other Path Groups Table": _slacks(["Path Group", "From Clock", "To Clock"], []),
        "Timing Details": "Max Delay Paths\n"
        + path(wns, verdict)
        + path("inf", None, "Max")
        + path(whs, "VIOLATED" if whs.startswith("-") else "MET", "Hold"),
    }
    body = "".join(f"{RULE}\n| {name}\n| {'-' * len(name)}\n{RULE}\n\n{text}\n\n" for name, text in parts.items())
    return head(device="xczu7ev-ffvc1156", command="report_timing_summary") + "Timing Summary Report\n\n" + body


def timing_paths(*paths: str) -> str:
    """`report_timing`."""
    return head(command="report_timing") + "Timing Report\n\n" + "".join(paths) + "\n\n"


def power(total: str = "24.099", dynamic: str = "10.576", static: str = "13.523**", again: str | None = None) -> str:
    """`report_power`."""
    summary = [
        ["Total On-Chip Power (W)", total],
        ["Design Power Budget (W)", "Unspecified*"],
        ["Dynamic (W)", dynamic],
        ["Device Static (W)", static],
        ["Confidence Level", "Low"],
    ]
    widths = [max(len(r[i]) for r in summary) for i in (0, 1)]
    border = "+" + "+".join("-" * (w + 2) for w in widths) + "+\n"
    plain = border + "".join(f"| {a:{widths[0]}s} | {b:{widths[1]}s} |\n" for a, b in summary) + border
    chip = [["On-Chip", "Power (W)", "Used", "Available", "Utilization (%)"], ["Clocks", "0.386", "29", "---", "---"]]
    chip += [["  LUT", "<0.001", "12", "100", "12.00"], ["Total", again or total, "", "", ""]]
    tree = [["Name", "Power (W)"], ["top", dynamic], ["  layer", "0.003"]]
    sections = {"Summary": plain, "On-Chip Components": table(chip), "By Hierarchy": table(tree)}
    return head(state="routed", command="report_power") + numbered("Power Report", sections)


AREA = ["Name", "BRAM_18K", "DSP48E", "FF", "LUT", "URAM"]


def module_csynth(
    tool: str = "Vivado HLS",
    version: str = "2019.2",
    estimate: str = "4.366",
    uram: bool = True,
    latency: tuple[str, str, str, str] = ("638", "640", "20", "640"),
) -> str:
    """<function>_csynth.rpt: latency in cycles, and in time where the tool is Vitis HLS."""
    bar = "=" * 64
    area = [
        AREA,
        ["DSP", "-", "-", "-", "-", "-"],
        ["Expression", "-", "-", "0", "40", "-"],
        ["Instance", "13", "29", "756", "1218", "-"],
        ["Total", "13", "29", "756", "1258", "0"],
        ["Available", "4320", "6840", "2364480", "1182240", "960"],
        ["Utilization (%)", "~0", "~0", "~0", "~0", "0"],
    ]
    instances = [
        ["Instance", "Module", "BRAM_18K", "DSP48E", "FF", "LUT", "URAM"],
        ["dense_U0", "dense", "13", "29", "700", "1200", "0"],
        ["relu_U0", "relu", "0", "0", "56", "18", "0"],
        ["Total", "", "13", "29", "756", "1218", "0"],
    ]
    if not uram:
        area, instances = [row[:-1] for row in area], [row[:-1] for row in instances]
    unit = " ns" if tool == "Vitis HLS" else ""
    clock = table(
        [["Clock", "Target", "Estimated", "Uncertainty"], ["ap_clk", f"5.00{unit}", f"{estimate}{unit}", f"0.62{unit}"]], "    "
    )
    low, high, least, most = latency
    if tool == "Vitis HLS":
        cycles = f"""\
    +---------+---------+-----------+-----------+-------+-------+---------+
    |  Latency (cycles) |   Latency (absolute)  |    Interval   | Pipeline|
    |   min   |   max   |    min    |    max    |  min  |  max  |   Type  |
    +---------+---------+-----------+-----------+-------+-------+---------+
    |{low:>9s}|{high:>9s}|   3.190 us|   3.200 us|{least:>7s}|{most:>7s}| dataflow|
    +---------+---------+-----------+-----------+-------+-------+---------+
"""
    else:
        cycles = f"""\
    +---------+---------+-------+-------+----------+
    |      Latency      |    Interval   | Pipeline |
    |   min   |   max   |  min  |  max  |   Type   |
    +---------+---------+-------+-------+----------+
    |{low:>9s}|{high:>9s}|{least:>7s}|{most:>7s}| dataflow |
    +---------+---------+-------+-------+----------+
"""
    ports = table([["RTL Ports", "Dir", "Bits"], ["ap_clk", "in", "1"]])
    return f"""

{bar}
== {tool} Report for 'net'
{bar}
* Date:           Thu Feb 18 15:25:18 2021

* Version:        {version} (Build 1 on Thu Jun 14 20:25:20 MDT {version[:4]})
* Project:        prj
* Target device:  xcvu9p-flgb2104-2-i


{bar}
== Performance Estimates
{bar}
+ Timing{"" if unit else " (ns)"}:{" "}
    * Summary:{" "}
{clock}
+ Latency{"" if unit else " (clock cycles)"}:{" "}
    * Summary:{" "}
{cycles}
    + Detail:{" "}
        * Instance:{" "}
        N/A

        * Loop:{" "}
        N/A



{bar}
== Utilization Estimates
{bar}
* Summary:{" "}
{table(area, groups=(4, 5, 6))}
+ Detail:{" "}
    * Instance:{" "}
{table(instances, "    ", groups=(4,))}
    * DSP48:{" "}
    N/A

{bar}
== Interface
{bar}
* Summary:{" "}
{ports}"""


def summary_csynth(generation: int = 2023, issue: str = "Timing", dsp: str = "34 (28%)") -> str:
    """The summary csynth.rpt: the columns moved in 2025.2."""
    bar = "=" * 64
    if generation >= 2025:
        columns = """\
+-----------+--------+----------------+----------+---------+------+----------+----------+----------+-------+------+----------+-----------+------------+-----+
|  Modules  |  Issue |                | Iteration|         | Trip |          |       Latency       |       |      |          |           |            |     |
|  & Loops  |  Type  | Violation Type |  Latency | Interval| Count| Pipelined| (cycles) |   (ns)   | Slack | BRAM |    DSP   |     FF    |     LUT    | URAM|
+-----------+--------+----------------+----------+---------+------+----------+----------+----------+-------+------+----------+-----------+------------+-----+
"""
        rows = [
            f"|+ net      |{issue:>8s}|               -|         -|        4|     -|       yes|        28|   140.000|  -0.68|     -|{dsp:>10s}|  6007 (9%)|  4893 (15%)|    -|",
            "| + dense   |       -|               -|         -|        4|     -|       yes|         6|    30.000|   0.09|     -|  12 (10%)|  1884 (2%)|   1532 (4%)|    -|",
            "|  o loop   |       -|               -|         2|        1|    10|       yes|        20|   100.000|   7.30|     -|         -|          -|           -|    -|",
        ]
    else:
        columns = """\
+-----------+--------+-------+---------+---------+----------+---------+------+----------+------+----------+-----------+------------+-----+
|  Modules  |  Issue |       | Latency | Latency | Iteration|         | Trip |          |      |          |           |            |     |
|  & Loops  |  Type  | Slack | (cycles)|   (ns)  |  Latency | Interval| Count| Pipelined| BRAM |    DSP   |     FF    |     LUT    | URAM|
+-----------+--------+-------+---------+---------+----------+---------+------+----------+------+----------+-----------+------------+-----+
"""
        rows = [
            f"|+ net      |{issue:>8s}|  -0.00|       28|  140.000|         -|        4|     -|       yes|     -|{dsp:>10s}|  6007 (9%)|  4893 (15%)|    -|",
            "| + dense   |       -|   0.09|        6|   30.000|         -|        4|     -|       yes|     -|  12 (10%)|  1884 (2%)|   1532 (4%)|    -|",
            "|  o loop   |       -|   7.30|       20|  100.000|         2|        1|    10|       yes|     -|         -|          -|           -|    -|",
        ]
    body = columns + "\n".join(rows) + "\n" + columns.split("\n", 1)[0] + "\n"
    ports = table([["Port", "Mode", "Direction", "Bitwidth"], ["x", "ap_vld", "in", "128"]])
    return f"""

{bar}
== Synthesis Summary Report of 'net'
{bar}
+ General Information:{" "}
    * Date:           Fri Feb 20 14:05:39 2026
    * Version:        {generation}.2 (Build 1 on Oct 11 {generation})
    * Target device:  xc7a50t-csg324-1
{"    "}

{"*" if generation >= 2025 else "+"} Performance & Resource Estimates:{" "}
{body}

{bar}
== HW Interfaces
{bar}
* Other Ports
{ports}
"""


def csynth_xml(
    version: str = "2020.1",
    estimate: str = "4.10",
    latency: str = "7",
    lut: str = "5667",
    dsp: str = "DSP48E",
    extra: str = "",
    top_lut: str | None = None,
) -> str:
    """csynth.xml; `top_lut` is what the summary of later versions repeats of the top."""
    resources = f"<BRAM_18K>3</BRAM_18K><{dsp}>7</{dsp}><FF>100</FF><LUT>{{}}</LUT>{extra}"
    repeated = f"""<ModuleInformation><Module><Name>top</Name><AreaEstimates><Resources>{resources.format(top_lut)}</Resources></AreaEstimates></Module>
<Module><Name>dense</Name><AreaEstimates><Resources><FF>40</FF><LUT>300</LUT></Resources></AreaEstimates></Module></ModuleInformation>"""
    return f"""<profile><ReportVersion><Version>{version}</Version></ReportVersion>
<UserAssignments><unit>ns</unit><Part>xc7z020-clg400-1</Part><TopModelName>top</TopModelName>
<TargetClockPeriod>5.00</TargetClockPeriod><ClockUncertainty>0.62</ClockUncertainty></UserAssignments>
<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>{estimate}</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Best-caseLatency>{latency}</Best-caseLatency><Worst-caseLatency>{latency}</Worst-caseLatency>
<PipelineInitiationInterval>1</PipelineInitiationInterval></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources>{resources.format(lut)}</Resources><AvailableResources><LUT>53200</LUT></AvailableResources></AreaEstimates>
{repeated if top_lut is not None else ""}</profile>
"""


def cosim(verilog: tuple[str, ...] = ("Pass", "13", "13", "14", "5", "5", "6"), vhdl: tuple[str, ...] = ("NA",) * 7) -> str:
    """<top>_cosim.rpt; the date is in the language of some desktop."""
    rows = [("VHDL", *vhdl), ("Verilog", *verilog)]
    body = "".join("|" + "|".join(f"{c:>{w}s}" for c, w in zip(row, (10, 10, *(15,) * 6), strict=True)) + "|\n" for row in rows)
    border = f"+{'-' * 10}+{'-' * 10}+" + f"{'-' * 15}+" * 6 + "\n"
    return f"""Report time       : 2022. 02. 02. (수) 16:59:30 KST.
Solution          : solution1.
Simulation tool   : xsim.

+----------+----------+-----------------------------------------------+-----------------------------------------------+
|          |          |                    Latency                    |                    Interval                   |
+   RTL    +  Status  +-----------------------------------------------+-----------------------------------------------+
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |
{border}{body}{border}"""


def export(post: str = "5.037", said: str = "Timing not met", lut: str = "40345") -> str:
    """<top>_export.rpt after place and route."""
    return f"""

Implementation tool: Xilinx Vivado v.2018.2
Project:             prj
Device target:       xcvu9p-flgb2104-2-i
Report date:         Mon Feb 22 17:31:04 CST 2021

#=== Post-Implementation Resource usage ===
CLB:          10745
LUT:          {lut}
FF:           39627
DSP:           2952
BRAM:            20
SRL:           2535
URAM:             0
#=== Final timing ===
CP required:    5.000
CP achieved post-synthesis:    3.384
CP achieved post-implementation:    {post}
{said}
"""


def export_xml(run: str = "impl", achieved: str = "2.845", slack: str = "7.155", met: str = "TRUE", lut: str = "1906") -> str:
    """export_impl.xml or export_syn.xml."""
    return f"""<profile>
<RunData><RUN_TYPE>{run}</RUN_TYPE><VIVADO_VERSION>v.2025.1.1</VIVADO_VERSION></RunData>
<TimingReport><TargetClockPeriod>10.000</TargetClockPeriod><AchievedClockPeriod>{achieved}</AchievedClockPeriod>
<CP_FINAL>{achieved}</CP_FINAL><CP_ROUTE>NA</CP_ROUTE><SLACK_FINAL>{slack}</SLACK_FINAL><TIMING_MET>{met}</TIMING_MET><WNS_FINAL>{slack}</WNS_FINAL></TimingReport>
<AreaReport><Resources><BRAM>2</BRAM><CLB>472</CLB><DSP>3</DSP><FF>3019</FF><LUT>{lut}</LUT><SRL>216</SRL><URAM>0</URAM></Resources></AreaReport>
<RtlModules><RtlModule CELL="inst" DEPTH="0" IS_TOP="1" MODULENAME="net"><Resources BRAM="2" DSP="3" FF="3019" LUT="{lut}"/></RtlModule>
<RtlModule CELL="inst/dense_U0" DEPTH="1" MODULENAME="dense"><Resources FF="756" LUT="470"/><LocalResources LUT="4"/></RtlModule></RtlModules>
<GeneralInfo NAME="General Information"><item NAME="Target device" VALUE="xczu3eg-sbva484-1-e"/></GeneralInfo>
</profile>
"""


def export_text(said: str = "Timing was met", post: str = "2.845") -> str:
    """export_impl.rpt."""
    bar = "=" * 64
    tree = [
        ["Name", "LUT", "FF", "DSP", "BRAM", "URAM", "SRL"],
        ["inst", "1906", "3019", "3", "2", "", ""],
        ["  dense_U0", "470", "756", "", "", "", ""],
    ]
    periods = [["Timing", "Period (ns)"], ["Target", "10.000"], ["Post-Synthesis", "2.779"], ["Post-Route", post]]

    def section(name: str, body: str) -> str:
        return f"{bar}\n== {name}\n{bar}\n{body}\n\n"

    general = "+ General Information:\n    * Version:         2025.1 (Build 1 on Sep 11 2025)\n    * Target device:   xczu3eg-sbva484-1-e\n"
    return (
        section("Vivado Place & Route Results", general)
        + section(
            "Place & Route Resource Summary",
            "LUT:              1906\nFF:               3019\nDSP:              3\nBRAM:             2\nURAM:             0\n",
        )
        + section("Place & Route Timing Summary", f"* {said}\n{table(periods)}")
        + section("Place & Route Resources", table(tree))
        + section("Place & Route Vivado Reports", table([["Report Type", "Report Location"], ["power", "p.rpt"]]))
    )


LOG_HEAD = """\

****** Vitis HLS - High-Level Synthesis from C, C++ and OpenCL v2022.2 (64-bit)
  **** SW Build 3670227 on Oct 13 2022

INFO: [HLS 200-10] Running '/tools/Xilinx/Vitis_HLS/2022.2/bin/unwrapped/lnx64.o/vitis_hls'
INFO: [HLS 200-1611] Setting target device to 'xczu3eg-sbva484-1-i'
"""
LOG_END = (
    "INFO: [HLS 200-112] Total CPU user time: 1.94 seconds. Total elapsed time: 12.32 seconds; peak allocated memory: 1.071 GB.\n"
)


def log(*lines: str, end: str = LOG_END) -> str:
    """A log of Vitis HLS with `lines` in its middle."""
    return LOG_HEAD + "".join(f"{line}\n" for line in lines) + end


# `stat` of Yosys as text: 0.23, and 0.70
STAT_OLD = """
4. Printing statistics.

=== sub ===

   Number of wires:                  5
   Number of cells:                 12
     CARRY4                          2
     FDRE                            8
     LUT3                            2

=== top ===

   Number of wires:                  5
   Number of cells:                  3
     LUT2                            1
     sub                             2

=== design hierarchy ===

   top                               1
     sub                             2

   Number of wires:                 47
   Number of cells:                 25
     CARRY4                          4
     FDRE                           16
     LUT2                            1
     LUT3                            4

"""
STAT_NEW = """
3. Printing statistics.

=== sub ===

        +----------Local Count, excluding submodules.
        |
       21 wires
       12 cells
        2   CARRY4
        8   FDRE
        2   LUT3

=== top ===

        +----------Local Count, excluding submodules.
        |
        5 wires
        1 cells
        1   LUT2
        2 submodules
        2   sub

=== design hierarchy ===

        +----------Count including submodules.
        |
       25 top
       12 sub

        +----------Count including submodules.
        |
       47 wires
        - memories
       25 cells
        4   CARRY4
       16   FDRE
        1   LUT2
        4   LUT3
        2 submodules
        2   sub

"""
