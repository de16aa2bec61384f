"""python benchmarks/run.py --list | NAME[:PART] ... [--check] [--quick] [--page] [--set KEY=VALUE] [--work DIR]."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common.driver import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
