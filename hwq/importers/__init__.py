"""Networks that peers have quantised, read exactly into a Graph: one file a format. Their code is never run, and nothing is trained here."""

from hwq.importers.registry import load, read
from hwq.importers.report import ImportedNetwork, ImportReport, Layer

__all__ = ["ImportReport", "ImportedNetwork", "Layer", "load", "read"]
