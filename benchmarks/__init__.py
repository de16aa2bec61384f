"""Benchmarks: what hwq's figures are and what its peers' are. `python benchmarks/run.py --list` says which there are.

`common` holds the driver and what experiments share, `experiments` one file each, `workers` programs that measure hwq in processes of their
own, `peers` programs that run other libraries in environments of their own. Nothing in `hwq` imports from here.
"""
