"""A stub of the config flow: v++ -c --mode hls and vitis-run --mode hls, which read hls_config.cfg."""

from __future__ import annotations

import sys
from pathlib import Path

from stubs import hls_core as core
from stubs.base import FailedError, Options, parse, say, version_numbers

MARKER = "vitis-comp.json"
GENERAL = {"part", "platform", "freqhz"}
KEYS = {
    "clock", "clock_uncertainty", "syn.top", "syn.file", "syn.file_cflags", "syn.cflags", "tb.file", "tb.file_cflags", "tb.cflags",
    "package.output.format", "package.output.file", "package.output.syn", "package.ip.version", "package.ip.name", "vivado.flow",
    "csim.code_analyzer", "csim.clean", "cosim.rtl",
}  # fmt: skip


def keys_of(version: str) -> set[str]:
    """flow_target went with 2026.1; relative_roots came with 2025.2."""
    number = version_numbers(version)
    return KEYS | ({"flow_target"} if number < (2026, 1) else set()) | ({"relative_roots"} if number >= (2025, 2) else set())


def read_config(path: Path, version: str) -> dict[str, list[str]]:
    """Key -> values; what the version does not know is an error."""
    section, found = "", dict[str, list[str]]()
    for line in path.read_text().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        key, _, value = line.partition("=")
        if key not in (keys_of(version) if section == "hls" else GENERAL):
            raise FailedError(f"ERROR: [v++ 60-1370] in {path}: unrecognised option '{key}' in section '{section}'")
        found.setdefault(key, []).append(value)
    return found


def project_of(found: Options, version: str) -> tuple[core.Project, dict[str, list[str]]]:
    config = Path(found.values["--config"])
    if not config.is_file():
        raise FailedError(f"ERROR: [v++ 60-602] Source file does not exist: {config}")
    values = read_config(config, version)
    # the versions differ in this, and none of them says so: both must find the files
    base = Path.cwd() if version_numbers(version) < (2024, 2) else config.absolute().parent
    work = Path(found.values["--work_dir"]).absolute()
    project = core.load(work, MARKER) or core.Project(str(work), "hls")
    project.files, project.bench = {}, {}
    for key, into in (("syn", project.files), ("tb", project.bench)):
        flags = dict(entry.split(",", 1) for entry in values.get(f"{key}.file_cflags", []))
        for name in values.get(f"{key}.file", []):
            path = base / name
            if not path.is_file():
                raise FailedError(f"ERROR: [v++ 60-602] Source file does not exist: {path}")
            into[str(path)] = flags.get(name, "")
    project.top, project.part = values["syn.top"][0], values["part"][0]
    project.period = float(values["clock"][0].removesuffix("ns"))
    project.uncertainty = float(values["clock_uncertainty"][0].removesuffix("ns"))
    return project, values


def main(program: str, version: str, arguments: list[str]) -> None:
    if arguments in (["-version"], ["--version"]):
        print(f"****** {program} v{version} (64-bit)\n  **** SW Build 1")
        return
    say(f"\n****** {program} v{version} (64-bit)\n  **** SW Build 1\n")
    code = 0
    try:
        _run(program, version, arguments)
    except FailedError as error:
        say(str(error))
        code = 1
    say(f"{core.END}\nINFO: [{program} 60-791] Total elapsed time: 0h 0m 39s")
    sys.exit(code)


def _run(program: str, version: str, arguments: list[str]) -> None:
    switches = "-c" if program == "v++" else "--csim --cosim --package --impl"
    found = parse(program, arguments, switches, "--mode --config --work_dir", "v++ 60-1370")
    if found.values.get("--mode") != "hls" or len(found.switches) != 1:
        raise FailedError(f"ERROR: [{program} 60-1370] one action and --mode hls are needed")
    project, values = project_of(found, version)
    project.save(MARKER)
    (action,) = found.switches
    ip_version = values.get("package.ip.version", [None])[0]
    if action == "-c":
        core.csynth(project, version)
    elif action == "--csim":
        core.csim(project, version)
    elif action == "--cosim":
        core.cosim(project, version)
    elif action == "--package":
        core.export(project, version, "none", ip_version)
    else:
        core.export(project, version, values.get("vivado.flow", ["syn"])[0], ip_version)
    project.save(MARKER)
