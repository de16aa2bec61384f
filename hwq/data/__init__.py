"""Data sets: named ones, files, the user's own functions; checked, split by seed, standardised. No model is known here."""

from hwq.data.dataset import Dataset
from hwq.data.load import load

__all__ = ["Dataset", "load"]
