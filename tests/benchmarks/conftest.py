"""The source tree comes before tests/ on the path: `benchmarks` is its folder there, not this one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
