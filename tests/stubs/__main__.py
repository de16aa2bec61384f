"""python -m stubs PROGRAM VERSION ARGUMENT...: what the launchers in a test's folder start."""

from __future__ import annotations

import sys


def main() -> None:
    program, version, *arguments = sys.argv[1:]
    if program == "vivado":
        from stubs.vivado import main as run
    elif program in ("v++", "vitis-run") and "--tcl" not in arguments:
        from stubs.config_flow import main as run_config

        return run_config(program, version, arguments)
    else:
        from stubs.hls import main as run_hls

        return run_hls(program, version, arguments)
    return run(version, arguments)


main()
