"""Talking to a design on a board through its serial harness (`hls_templates/verilog/board.v.j2`): samples in, results out.

Nothing beyond the standard library: a serial port is a file that `open_port` has set to raw bytes at the harness's speed.
"""

from __future__ import annotations

import os
import select
import termios
import time
import tty
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwq.codegen.harness import BAUD, IDENTITY_BYTES, MAGIC, bytes_for, identity_of, pack, unpack
from hwq.codegen.ports import ports_of
from hwq.errors import ToolError
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph
from hwq.passes import optimise
from hwq.sim.compare import to_types
from hwq.toolchains.nextpnr import LOADER


class Port(Protocol):
    """Bytes to and from the board."""

    def write(self, content: bytes) -> None: ...

    def read(self, size: int) -> bytes:
        """At most `size` bytes; fewer when they do not come in time."""
        ...


class SerialPort:
    """A serial device, for example /dev/ttyUSB0."""

    def __init__(self, path: Path, timeout_s: float = 2.0) -> None:
        """Raises ToolError: it cannot be opened, or is no serial device."""
        self.timeout_s = timeout_s
        try:
            self.handle = os.open(path, os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            raise ToolError(
                f"cannot open {path}: {error.strerror}", hint="is the board plugged in, and are you in the group dialout?"
            ) from error
        try:
            tty.setraw(self.handle)
            modes = termios.tcgetattr(self.handle)
            modes[4] = modes[5] = getattr(termios, f"B{BAUD}")
            termios.tcsetattr(self.handle, termios.TCSANOW, modes)
            termios.tcflush(self.handle, termios.TCIOFLUSH)
        except termios.error as error:
            os.close(self.handle)
            raise ToolError(f"{path} is no serial device: {error}", hint="on Linux it is /dev/ttyUSB0 or the like") from error

    def write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self.handle, content) :]

    def read(self, size: int) -> bytes:
        received, limit = b"", time.monotonic() + self.timeout_s
        while len(received) < size:
            ready, _, _ = select.select([self.handle], [], [], max(0.0, limit - time.monotonic()))
            if not ready:
                break
            received += os.read(self.handle, size - len(received))
        return received

    def close(self) -> None:
        os.close(self.handle)


class BoardLink:
    """A design running on a board.

    Args:
        graph: the network as trained (`graph.hwq` of a run's point).
        design: digest of the graph that the bitstream was generated from (`design` in build.json).
        port: where the board is.
    """

    def __init__(self, graph: Graph, design: str, port: Port) -> None:
        self.graph, self.port = graph, port
        self.optimised = optimise(graph)
        self.ports = ports_of(self.optimised)
        self.identity = identity_of(self.ports, design)

    def check(self) -> None:
        """Ask the board who it is.

        Raises:
            ToolError: no answer, or another design.
        """
        self.port.write(b"I")
        answer = self.port.read(IDENTITY_BYTES)
        if answer == self.identity:
            return
        if len(answer) < IDENTITY_BYTES or not answer.startswith(MAGIC):
            raise ToolError(f"the board answered {answer.hex() or 'nothing'}", hint=f"load the bitstream first: {LOADER}")
        raise ToolError(
            f"the board runs design {answer[8:].hex()}, expected {self.identity[8:].hex()}", hint="load this point's bitstream"
        )

    def infer(self, inputs: IntArray) -> npt.NDArray[np.int64]:
        """Input mantissas (rows, elements) to output mantissas (rows, elements), in the steps of the network as trained.

        Raises:
            ToolError: an answer that is missing, short, or fails its checksum.
            DataError: a row that does not fit the design.
        """
        size = bytes_for(self.ports.output_bits)
        rows = []
        for number, row in enumerate(inputs):
            sent = pack(self.ports.inputs, [int(v) for v in row], self.ports.input_bits)
            self.port.write(b"X" + sent)
            answer = self.port.read(size + 1)
            checksum = 0
            for byte in sent + answer[:-1]:
                checksum ^= byte
            if len(answer) != size + 1 or answer[-1] != checksum:
                what = f"{len(answer)} of {size + 1} bytes" if len(answer) <= size else "a wrong checksum"
                raise ToolError(f"row {number}: the board answered {what}", hint="check the cable, then send the row again")
            rows.append(unpack(self.ports.outputs, answer[:-1]))
        found = np.array(rows, np.int64).reshape(len(rows), len(self.ports.outputs))
        return to_types(found, self.optimised, self.graph)
