"""The native emulator against the reference: circuits of every operation and width, floats quantised in every mode, its cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import random_constant, random_network, random_rows

from hwq.codegen import native
from hwq.codegen.native import EXPRESSIONS, integer_bits
from hwq.errors import DataError, GraphError, ToolError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Circuit, CircuitBuilder, Graph, Opcode, make_node, verify
from hwq.passes.lower import lower
from hwq.sim import emulator as module
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate, predict, quantize_inputs


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "emulator"


def ports(inputs: TypeArray, outputs: int) -> Graph:
    """A graph with these inputs and so many outputs; what it computes does not matter."""
    rng = np.random.default_rng(0)
    x = make_node("x", "input", type=inputs)
    attrs = {"kernel": random_constant(rng, (inputs.size, outputs)), "bias": random_constant(rng, (outputs,))}
    return verify(Graph((x, make_node("y", "dense", [x], attrs=attrs)), ("x",), ("y",)))


def random_circuit(seed: int, widest: int, wires: int = 900) -> tuple[Graph, Circuit]:
    """Every operation of the builder on wires of up to `widest` bits; outputs of at most 60."""
    rng = np.random.default_rng(seed)
    types = TypeArray.of(rng.integers(0, 2, 6), rng.integers(1, 20, 6), rng.integers(-3, 4, 6))
    builder = CircuitBuilder()
    builder.enter("n")
    reach = max(9, widest // 4)
    pool = [builder.input(i, t.lowest, t.highest, t.frac) for i, t in enumerate(types)]
    pool += [builder.constant(int(v), 0) for v in (3, -70_000, 1 << 40)]
    while len(pool) < wires:
        a, b = (pool[int(i)] for i in rng.integers(0, len(pool), 2))
        low, high = builder.bounds(a)
        width = int(rng.integers(1, 20))
        signed = int(rng.integers(0, 2))
        bounds = (-(signed << (width - 1)), (1 << (width - signed)) - 1)
        choice = rng.integers(0, 12)
        if choice < 4:
            wire = builder.add(a, b, exponent=int(rng.integers(-reach, reach + 1)), subtract=bool(choice & 1))
        elif choice == 4:
            wire = builder.add(builder.constant(0, 0), a, subtract=True)
        elif choice == 5:
            wire = builder.shift(a, int(rng.integers(-reach, 40)))
        elif choice == 6:
            wire = builder.wrap(a, *bounds)
        elif choice == 7:
            wire = builder.multiply(a, b)
        elif choice == 8:
            wire = builder.extreme(a, b, 0, least=bool(rng.integers(0, 2)))
        elif choice == 10:
            wire = sum_of_three(builder, rng, [a, b, pool[int(rng.integers(0, len(pool)))]], reach)
        elif choice == 9 and high - low < 1000:
            wire = builder.table(a, [int(v) for v in rng.integers(*bounds, high - low + 1, endpoint=True)], 3)
        else:
            ends = (min(max(v, -(1 << 60)), 1 << 60) for v in (low, high))
            wire = builder.clamp(a, *sorted(int(v) for v in rng.integers(*ends, 2, endpoint=True)))
        low, high = builder.bounds(wire)
        if max(-low, high).bit_length() < widest:
            pool.append(wire)
    outputs = [builder.wrap(w, -(1 << 59), (1 << 59) - 1) for w in pool[::3]]
    return ports(types, len(outputs)), builder.build(outputs)


def sum_of_three(builder: CircuitBuilder, rng: np.random.Generator, wires: list[int], reach: int) -> int:
    """A sum of three, or of fewer where some are zero: any signs but all negative, any shifts."""
    ups = rng.integers(0, reach, 3)
    terms = [(w, int(up - ups.min()), int(sign)) for w, up, sign in zip(wires, ups, rng.choice([1, -1], 3), strict=True)]
    if all(sign < 0 for _, _, sign in terms):
        terms[0] = (*terms[0][:2], 1)
    ends = [sorted(sign * (v << up) for v in builder.bounds(w)) for w, up, sign in terms]
    return builder.sum_of(terms, sum(low for low, _ in ends), sum(high for _, high in ends), 0)


def test_every_operation_has_a_native_form() -> None:
    assert {op.name for op in Opcode} - {"INPUT"} <= set(EXPRESSIONS)


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [(0, 0, 16), (-(1 << 15), (1 << 15) - 1, 16), (0, 1 << 15, 32), (-(1 << 63), 0, 64), (0, 1 << 63, 128), (-(1 << 127), 5, 128)],
)
def test_the_narrowest_integers(low: int, high: int, bits: int) -> None:
    assert integer_bits(low, high) == bits


def test_more_than_128_bits_have_no_type() -> None:
    with pytest.raises(GraphError, match="129 bits"):
        integer_bits(0, 1 << 128 - 1)


@pytest.mark.parametrize(("seed", "widest"), [(0, 14), (1, 30), (2, 62), (3, 126), (4, 300)])
def test_random_circuits(seed: int, widest: int) -> None:
    graph, circuit = random_circuit(seed, widest)
    x = random_rows(graph, 333)
    made = emulator(graph, circuit)
    assert (made.library is None) == (int(circuit.widths.max()) > 128)
    assert int(circuit.widths.max()) > widest // 2 and set(circuit.opcode.tolist()) == set(Opcode)
    assert (made.evaluate(x) == circuit.evaluate(x)).all()


def test_many_functions_in_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "CHUNK", 7)
    monkeypatch.setattr(native, "PART", 4)
    graph, circuit = random_circuit(5, 60)
    made = native.native_files(circuit, graph)
    assert len(made.sources) > 5
    x = random_rows(graph, 70)
    assert (emulator(graph, circuit).evaluate(x) == circuit.evaluate(x)).all()


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("overflow", list(Overflow))
def test_floats_are_quantised_as_the_reference_does(rounding: Rounding, overflow: Overflow) -> None:
    """Ties, neighbours of ties, overflow, the largest and smallest floats; single and double precision."""
    types = TypeArray.of([1, 0, 1, 0, 1, 0, 1, 0], [5, 4, 9, 1, 30, 0, 61, 12], [2, -1, 7, 0, 40, 0, 20, -90], rounding, overflow)
    x = make_node("x", "input", type=types)
    graph = verify(Graph((x,), ("x",), ("x",)))
    made = emulator(graph, lower(graph))
    rng = np.random.default_rng(1)
    steps = np.ldexp(1.0, -types.frac.astype(int))
    ties = (rng.integers(-200, 200, (300, 8)) + 0.5) * steps
    wide = rng.normal(size=(300, 8)) * steps * 2.0 ** rng.integers(-5, 80, (300, 1))
    ends = np.tile(np.array([0.0, -0.0, 5e-324, -5e-324, 1.7e308, -1.7e308, 2.0**62, -(2.0**62), 2.0**63, 1e-30])[:, None], 8)
    with np.errstate(over="ignore", invalid="ignore"):
        for values in (ties, np.nextafter(ties, -np.inf), np.nextafter(ties, np.inf), wide, ends):
            assert (made.predict(values) == predict(graph, values)).all()
        for values in (ties, wide, ends):
            single = np.clip(values, -3e38, 3e38).astype(np.float32)
            assert (made.predict(single) == predict(graph, single)).all()


@pytest.mark.parametrize("rows", [0, 1, 31, 32, 33, 100])
def test_any_number_of_rows(rows: int) -> None:
    graph = random_network(3, (6, 5, 4))
    made = emulator(graph, lower(graph))
    x = random_rows(graph, max(rows, 2))[:rows]
    values = np.random.default_rng(0).normal(size=(rows, 6)) * 4
    assert made.evaluate(x).shape == made.predict(values).shape == (rows, 4)
    if rows:
        assert (made.evaluate(x) == evaluate(graph, x)).all()
        assert (made.predict(values) == predict(graph, values)).all()


def test_rows_that_cannot_be_meant_are_refused() -> None:
    graph = random_network(3, (6, 5, 4))
    made = emulator(graph, lower(graph))
    with pytest.raises(DataError, match="6 inputs"):
        made.predict(np.zeros((4, 5)))
    with pytest.raises(DataError, match="6 inputs"):
        made.evaluate(np.zeros((4, 5), np.int64))
    for bad in (np.nan, np.inf, -np.inf):
        values = np.zeros((70, 6), np.float32)
        values[69, 5] = bad
        with pytest.raises(DataError, match="NaN or infinity"):
            made.predict(values)
    x = random_rows(graph, 4)
    x[2, 1] = 1 << 20
    with pytest.raises(DataError, match="mantissa 1048576 of input 1"):
        made.evaluate(x)


def test_a_library_is_built_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_network(3, (6, 5, 4))
    circuit, x = lower(graph), random_rows(graph, 5)
    emulator(graph, circuit)
    assert [path.suffix for path in cache.iterdir()] == [".so"]  # nothing else is left behind
    monkeypatch.setattr(module, "compile_library", lambda *_, **__: pytest.fail("compiled again"))
    assert (emulator(graph, circuit).evaluate(x) == evaluate(graph, x)).all()


def test_a_damaged_library_is_built_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_network(4, (6, 5, 4))
    circuit, x = lower(graph), random_rows(graph, 5)
    with monkeypatch.context() as patch:
        patch.setattr(module, "compile_library", lambda _, output, *, cwd, **__: (cwd / output).write_bytes(b"damaged"))
        with pytest.raises(ToolError, match="cannot be loaded"):
            emulator(graph, circuit)
    assert len(list(cache.glob("*.so"))) == 1
    assert (emulator(graph, circuit).evaluate(x) == evaluate(graph, x)).all()


def test_the_cache_forgets_what_was_used_longest_ago(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    for seed in range(3):
        graph = random_network(seed, (3, 2))
        emulator(graph, lower(graph))
    assert len(list(cache.glob("*.so"))) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "file" / "below"))
    graph = random_network(3, (6, 5, 4))
    x = random_rows(graph, 5)
    assert (emulator(graph, lower(graph)).evaluate(x) == evaluate(graph, x)).all()


@pytest.mark.parametrize(
    "rows",
    [
        [[10**400, 0, 0, 0]],
        [["a", "b", "c", "d"]],
        [["1", "2", "3", "4"]],
        [[1, 2, 3, 4], [1, 2]],
        np.ones((2, 4), complex),
        np.zeros((2, 4), "datetime64[s]"),
        np.ma.masked_equal(np.ones((2, 4)), 1),
    ],
    ids=["huge", "text", "digits", "ragged", "complex", "dates", "masked"],
)
def test_rows_that_are_no_numbers_are_refused(rows: Any) -> None:
    with pytest.raises(DataError):
        quantize_inputs(random_network(3, (4, 3)), rows)


def test_rows_in_another_order_are_refused() -> None:
    """As many elements are not enough: a transposed image is another image."""
    graph = random_network(3, (6, 2))
    x = graph.nodes[0]
    image = make_node("x", "input", type=x.type.reshape((2, 3, 1)))
    flat = make_node("flat", "reshape", [image], attrs={"shape": (6,)})
    made = verify(Graph((image, flat), ("x",), ("flat",)))
    native_form = emulator(made, lower(made))
    rows = np.arange(24.0).reshape(4, 6) / 8
    expected = predict(made, rows)
    for shape in ((2, 3, 1), (2, 3), (1, 2, 3)):
        given = rows.reshape(4, *shape)
        assert (native_form.predict(given) == expected.reshape(4, -1)).all() and (predict(made, given) == expected).all()
    for shape, words in (((3, 2, 1), r", of shape \(2, 3, 1\)"), ((3, 2), r", of shape \(2, 3, 1\)"), ((2, 3, 2), "")):
        for refuses in (native_form.predict, lambda given: quantize_inputs(made, given)):
            with pytest.raises(DataError, match=f"6 inputs{words}"):
                refuses(np.resize(rows, (4, *shape)))
    with pytest.raises(DataError, match="rows must be real numbers"):
        native_form.predict([["a"] * 6])
