"""The emulator: a circuit as native C++, compiled once, loaded into this process; for accuracy on whole test sets and for search.

Built libraries are kept in the user's cache folder under a digest of everything they depend on, the processor included. A circuit
with wires of more than 128 bits, inputs of more than 62, or outputs or tables of more than 64 is evaluated in Python instead: slow, and
exact as well.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.codegen.build import Build, Rest
from hwq.codegen.native import PORT_BITS, WIDEST, Native, native_files
from hwq.errors import DataError, ToolError
from hwq.fixed import to_float
from hwq.fixed.arithmetic import SAFE_BITS, IntArray
from hwq.ir import Circuit, Graph
from hwq.places import is_own, libraries
from hwq.sim.compare import output_types
from hwq.sim.reference import flat_rows, quantize_inputs
from hwq.tools.gxx import compile_library, find_gxx

# -O1 and not more: straight-line code of vectors leaves the rest little to find and doubles the build time; the loops around it ask
# for -O3 themselves
FLAGS = (
    *("-std=c++17", "-O1", "-march=native", "-fwrapv", "-fPIC", "-w", "-fno-trapping-math", "-fno-math-errno"),
    *("-fno-tree-dse", "-fno-tree-fre", "-fno-tree-ccp", "-fno-tree-dominator-opts", "-fno-tree-forwprop", "-fno-tree-pta"),
    *("-fno-ipa-modref", "-fno-ipa-pure-const"),
)
KEPT = 200  # libraries in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Emulator:
    """A circuit ready to run; `library` is None where it is evaluated in Python.

    Attributes:
        graph: says how floats are quantised and at which steps the outputs are.
        circuit: what is computed.
    """

    graph: Graph
    circuit: Circuit
    library: ctypes.CDLL | None

    @property
    def inputs(self) -> int:
        return sum(self.graph[name].type.size for name in self.graph.inputs)

    @property
    def outputs(self) -> int:
        return len(self.circuit.outputs)

    def evaluate(self, mantissas: IntArray) -> IntArray:
        """Output mantissas (rows, outputs) for input mantissas (rows, inputs).

        Raises:
            DataError: another number of inputs, or a mantissa outside its input's type.
        """
        self._check(mantissas)
        if self.library is None:
            return self.circuit.evaluate(mantissas)
        x = np.ascontiguousarray(mantissas, np.int64)
        y = np.empty((len(x), self.outputs), np.int64)
        self._call("hwq_evaluate", x, y)
        return y

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Floats in (rows, ...), floats out (rows, outputs): quantised as the reference does, bit by bit.

        Raises:
            DataError: a shape that does not fit, NaN or infinity.
        """
        frac = output_types(self.graph).frac
        if self.library is None:
            return to_float(self.evaluate(quantize_inputs(self.graph, x)), frac)
        values = flat_rows(self.graph, x)
        single = values.dtype == np.float32
        flat = np.ascontiguousarray(values, np.float32 if single else np.float64)
        y = np.empty((len(flat), self.outputs), np.float64)
        if self._call("hwq_predict_f32" if single else "hwq_predict_f64", flat, y):
            raise DataError("cannot quantise NaN or infinity", hint="clean the rows first")
        return y

    def _call(self, function: str, x: npt.NDArray[np.generic], y: npt.NDArray[np.generic]) -> int:
        code: int = self.library[function](ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), ctypes.c_int64(len(x)))  # type: ignore[index]
        if code == 2:
            raise ToolError("the emulator got no memory for its block of rows")
        return code

    def _check(self, mantissas: IntArray) -> None:
        if mantissas.ndim != 2 or mantissas.shape[1] != self.inputs:
            raise DataError(f"mantissas of shape {mantissas.shape} do not fit the design's {self.inputs} inputs")
        if not mantissas.size:
            return
        types = [t for name in self.graph.inputs for t in self.graph[name].type]
        low, high = mantissas.min(axis=0), mantissas.max(axis=0)
        for i, t in enumerate(types):
            if low[i] < t.lowest or high[i] > t.highest:
                found = low[i] if low[i] < t.lowest else high[i]
                raise DataError(f"mantissa {found} of input {i} is outside its type {t}, {t.lowest} to {t.highest}")


@dataclass(frozen=True, slots=True, eq=False)
class FoldedEmulator:
    """A design whose products are folded: the circuit between them natively, its operands to the lanes, their sums back into the circuit.

    Attributes:
        graph: says how floats are quantised and at which steps the outputs are.
        between: evaluates the circuit; rest: what that leaves out.
    """

    graph: Graph
    between: Emulator
    rest: Rest

    def evaluate(self, mantissas: IntArray) -> IntArray:
        """As `Emulator.evaluate`."""
        rows = mantissas.shape[1] if mantissas.ndim == 2 else -1
        if rows != self.graph.input_size:
            raise DataError(f"mantissas of shape {mantissas.shape} do not fit the design's {self.graph.input_size} inputs")
        given = np.zeros((len(mantissas), self.between.inputs), np.int64)
        given[:, :rows] = mantissas
        for product in self.rest.products:
            operand = self.between.evaluate(given)[:, list(product.operand)]
            given[:, product.first : product.first + product.count] = product.sums(operand)
        return self.between.evaluate(given)[:, list(self.rest.outputs)]

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """As `Emulator.predict`."""
        return to_float(self.evaluate(quantize_inputs(self.graph, x)), output_types(self.graph).frac)


def emulator_of(build: Build) -> Emulator | FoldedEmulator:
    """The emulator of a design.

    Raises:
        ToolMissingError, ToolError: as `emulator`.
    """
    if build.rest is None:
        return emulator(build.graph, build.circuit)
    return FoldedEmulator(build.graph, emulator(build.rest.graph, build.circuit), build.rest)


def emulator(graph: Graph, circuit: Circuit) -> Emulator:
    """Build the emulator of `circuit`, the lowered `graph`, or find it in the cache.

    Raises:
        ToolMissingError: no g++.
        ToolError: it does not compile.
    """
    if not _fits(graph, circuit):
        return Emulator(graph, circuit, None)
    return Emulator(graph, circuit, _library(native_files(circuit, graph)))


def _fits(graph: Graph, circuit: Circuit) -> bool:
    if any(int(graph[name].type.width.max(initial=0)) > SAFE_BITS for name in graph.inputs):
        return False
    if any(_bits(circuit.low[wire], circuit.high[wire]) > PORT_BITS for wire in circuit.outputs):
        return False
    if any(_bits(min(entries), max(entries)) > PORT_BITS for entries in circuit.tables):
        return False
    return all(_bits(low, high) <= WIDEST for low, high in zip(circuit.low, circuit.high, strict=True))


def _bits(low: int, high: int) -> int:
    """Bits of the narrowest two's complement integer that holds [low, high]."""
    return max(-low - 1, high).bit_length() + 1


def _library(native: Native) -> ctypes.CDLL:
    gxx = find_gxx()
    key = hashlib.sha256("\0".join((*FLAGS, *gxx.argv, gxx.version, _processor())).encode())
    for name in sorted(native.files):
        key.update(f"\0{name}\0{native.files[name]}".encode())
    folder = libraries("emulator")
    path = folder / f"{key.hexdigest()[:32]}.so"
    if is_own(path):
        with suppress(OSError):  # damaged: built again below
            library = ctypes.CDLL(str(path))
            os.utime(path)
            return library
    with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as place:
        build = Path(place)
        for name, content in native.files.items():
            (build / name).write_text(content)
        compile_library(native.sources, path.name, cwd=build, flags=FLAGS, log=build / "build.log")
        (build / path.name).chmod(0o700)
        (build / path.name).replace(path)
    _forget_old(folder)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolError(f"the emulator {path} was built and cannot be loaded: {error}", hint="hwq doctor checks g++") from error


def _forget_old(folder: Path) -> None:
    """Keep the libraries used last."""
    with suppress(OSError):
        found = sorted(folder.glob("*.so"), key=lambda p: p.stat().st_mtime)
        for path in found[:-KEPT]:
            path.unlink(missing_ok=True)


def _processor() -> str:
    """What -march=native depends on: a cache may be shared between machines."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return "".join(dict.fromkeys(line for line in lines if line.startswith(("flags", "Features", "model name"))))
    return platform.processor() or platform.machine()
