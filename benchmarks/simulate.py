"""The simulators against hls4ml's, on one network.

    python benchmarks/simulate.py [--quick] [--check] [--json FILE]

The first full run makes an environment for hls4ml in the cache folder (HWQ_CACHE, else ~/.cache/hwq); its answers are kept there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import simulation
import table


def main() -> int:
    """Measure, print, and with --check fail where a bar is missed."""
    parser = argparse.ArgumentParser(description="hwq's simulators against hls4ml's")
    parser.add_argument("--quick", action="store_true", help="one network, without the peer")
    parser.add_argument("--check", action="store_true", help="exit 1 when a row falls short of its bar")
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    options = parser.parse_args()
    rows: list[table.Row] = []
    for row in simulation.rows(quick=options.quick):
        rows.append(row)
        print(f"{row.name}: {table.number(row.value)} {row.unit}", file=sys.stderr, flush=True)
    print(table.shown(rows))
    if options.json:
        table.write(rows, options.json)
    short = table.failures(rows)
    if short:
        print("\nShort of the bar:", *short, sep="\n  ")
    return int(bool(short) and options.check)


if __name__ == "__main__":
    sys.exit(main())
