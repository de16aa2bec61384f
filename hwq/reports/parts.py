"""Names of parts as reports write them: `xcvu9p-flga2104-2L-e`, `7z020clg400-1`, `xcvu440_CIV-flgb2377-1-i`."""

from __future__ import annotations

import re

PART = r"(?=[a-z]*\d)[a-z0-9]+(?:[-_][A-Za-z0-9]+)*"
_PART = re.compile(PART)


def is_part(text: str) -> bool:
    """Whether `text` can be a part: a family with a number, then package, speed and grade behind dashes or underscores."""
    return _PART.fullmatch(text) is not None
