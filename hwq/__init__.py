"""hwq: hardware-in-the-loop FPGA co-design of neural networks, from per-weight bitwidths to measured LUTs."""

__version__ = "0.1.0"
