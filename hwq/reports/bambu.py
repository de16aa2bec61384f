"""The log of Bambu (PandA): what it prints of each function is its report; it writes no other.

Its words are those that it prints from -v1 on. "Number of control steps" is left alone: it counts two more than the states.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hwq.reports.text import Source
from hwq.reports.types import Report, ReportedModule, Status

READS = "the log of Bambu"  # for people

KIND = "bambu"
_SIGN = re.compile(r"^\s*(?:Version: PandA |Scheduling Information of function \S+:)", re.MULTILINE)
_VERSION = re.compile(r"^\s*Version: PandA (\d+\.\d+\S*)", re.MULTILINE)
_ASKED = {name: re.compile(rf"--{name}=(\S+)") for name in ("top-fname", "device-name", "clock-period")}
_HEADING = re.compile(r"^\s*\S.* (?:of|for) function (\S+):\s*$")
_FIELDS = {
    "states": re.compile(r"^\s*Number of states: (\d+)\s*$"),
    "lat_min": re.compile(r"^\s*Minimum number of cycles:? (\d+)\s*$"),
    "lat_max": re.compile(r"^\s*Maximum number of cycles:? (\d+)\s*$"),
    "slack_ns": re.compile(r"^\s*Minimum slack: (-?[\d.]+(?:e[-+]?\d+)?)\s*$"),
    "fmax_mhz": re.compile(r"^\s*Estimated max frequency \(MHz\): ([\d.]+(?:e[-+]?\d+)?|inf)\s*$"),
}
_FF = re.compile(r"^\s*Total number of flip-flops in function (\S+): (\d+)\s*$")
_COMPILER = re.compile(r"^\s*(\S+:\d+:\d+: (?:fatal )?error: .*?)\s*$", re.MULTILINE)
_OWN = re.compile(r"^\s*(?:error -> |Error: ).*$|^.*\bError in compilation\b.*$", re.MULTILINE | re.IGNORECASE)


def is_bambu(text: str) -> bool:
    """Whether Bambu printed it."""
    return _SIGN.search(text) is not None


def failure(text: str) -> tuple[Status, str] | None:
    """The status and the line behind it: the compiler's first error by file and line, else Bambu's own; None where it names none."""
    own, compiler = _OWN.search(text), _COMPILER.search(text)
    if compiler is not None:
        return Status.COMPILE_ERROR, compiler[1]
    if own is None:
        return None
    return (Status.COMPILE_ERROR if "compil" in own[0].lower() else Status.FAILED), own[0].strip()


def read_bambu(source: Source) -> Report:
    """What a log says of the top function; cycles from start to done, which is a cycle more than the registers on the way.

    Flip-flops are those of the top alone, and unknown where other functions have some of their own, which it instantiates.
    """
    asked = {name: found[1] for name, pattern in _ASKED.items() if (found := pattern.search(source.text))}
    functions = _functions(source)
    scheduled = [name for name, values in functions.items() if "fmax_mhz" in values]
    top = asked.get("top-fname") or next(reversed(scheduled), None)
    values = functions.get(top or "", {})
    failed, status, reason = failure(source.text), Status.OK, None
    if failed is not None:
        status, reason = failed
    elif not {"states", "ff"} <= values.keys():
        status, reason = Status.KILLED, f"the log breaks off before the flip-flops of {top or 'any function'} are counted"
    fmax = min((v["fmax_mhz"] for v in functions.values() if "fmax_mhz" in v), default=None)
    others = any(v.get("ff") for name, v in functions.items() if name != top)
    version = _VERSION.search(source.text)
    return Report(
        KIND,
        tool="Bambu",
        version=version[1] if version else None,
        device=asked.get("device-name"),
        top=top,
        ff=None if others else values.get("ff"),
        lat_min=_whole(values.get("lat_min")),
        lat_max=_whole(values.get("lat_max")),
        clk_target_ns=_number(asked.get("clock-period")),
        clk_est_ns=1e3 / fmax if fmax else None,
        wns_ns=min((v["slack_ns"] for v in functions.values() if "slack_ns" in v), default=None),
        status=status,
        reason=reason,
        states=_whole(values.get("states")),
        modules=tuple(
            ReportedModule(
                name,
                name,
                0 if name == top else 1,
                ff=v.get("ff"),
                lat_min=_whole(v.get("lat_min")),
                lat_max=_whole(v.get("lat_max")),
            )
            for name, v in functions.items()
            if len(functions) > 1
        ),
    )


def _functions(source: Source) -> dict[str, dict[str, float]]:
    """By function, the values printed under its headings; of a step that ran again, the last ones."""
    found: dict[str, dict[str, float]] = {}
    for name, field, value in _values(source.lines):
        found.setdefault(name, {})[field] = value
    return found


def _values(lines: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """(function, field, value) of every line that has one."""
    function = ""
    for line in lines:
        if (heading := _HEADING.match(line)) is not None:
            function = heading[1]
        elif (flops := _FF.match(line)) is not None:
            yield flops[1], "ff", float(flops[2])
        elif function:
            for field, pattern in _FIELDS.items():
                if (match := pattern.match(line)) is not None:
                    yield function, field, float(match[1])


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
