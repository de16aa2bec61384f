"""The design compiler against its peers, on identical matrices and networks.

    python benchmarks/compile.py [--quick] [--check] [--json FILE]

The first run makes environments for the peers in the cache folder (HWQ_CACHE, else ~/.cache/hwq); answers of the peers and of
Yosys are kept there, so that a repeated run measures hwq alone. A full first run takes da4ml's own minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import adders
import conformance
import scale
import simulation
import table

GROUPS: dict[str, Callable[..., Iterator[table.Row]]] = {
    "conformance": conformance.rows,
    "adders": adders.rows,
    "tables": adders.table_rows,
    "simulation": simulation.rows,
    "scale": scale.dense_rows,
    "stream": scale.stream_rows,
}


def main() -> int:
    """Measure, print, and with --check fail where a bar is missed."""
    parser = argparse.ArgumentParser(description="hwq's design compiler against its peers")
    parser.add_argument("--quick", action="store_true", help="the small cases only")
    parser.add_argument("--check", action="store_true", help="exit 1 when a row falls short of its bar")
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    parser.add_argument("--group", choices=sorted(GROUPS), action="append", help="only these groups (default: all)")
    options = parser.parse_args()
    rows: list[table.Row] = []
    for name in options.group or GROUPS:
        for row in GROUPS[name](quick=options.quick):
            rows.append(row)
            print(f"{row.name}: {table.number(row.value)} {row.unit}", file=sys.stderr, flush=True)
    return table.conclude(rows, check=options.check, path=options.json)


if __name__ == "__main__":
    sys.exit(main())
