"""Networks for other packages, one file a format, each executed and read back before it is believed. Nothing of a design is written here."""

from hwq.exporters.registry import FORMAT_NAMES, export_graph
from hwq.exporters.report import ExportReport

__all__ = ["FORMAT_NAMES", "ExportReport", "export_graph"]
