"""A small process between the driver and a command: Linux counts the memory of who starts a process into the process's own peak.

launch.py COMMAND ...            runs it, with this process's input, output and exit status
launch.py --usage COMMAND ...    runs it without output, then prints its CPU seconds and peak MB, those it waited for included, as JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys


def main(argv: list[str]) -> int:
    if argv[0] != "--usage":
        return abs(subprocess.run(argv, check=False).returncode)  # a signal's number is no success either
    process = subprocess.Popen(argv[1:], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    sys.stdout.write(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}) + "\n")
    return int(status != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
