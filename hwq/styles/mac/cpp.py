"""HLS C++ of a multiply-accumulate design: a chain of functions for DATAFLOW, a loop a folded layer, words between them.

A folded layer is a loop that HLS tools pipeline: a turn a clock, the weights of each lane an array of constants of its own, the row an
array a lane. What lies between is straight-line code as of the parallel form. Numbers go from function to function packed into one
word, as at the ports.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwq.codegen.cpp import ap_int_limit, has_products, product_bits, sections_of
from hwq.codegen.cpp_text import Section, integer_type, packed_into, table_array
from hwq.codegen.ports import Element, Ports, ports_of
from hwq.ir import Graph, Node, verify
from hwq.styles.mac.lanes import Folding, LaneGroup
from hwq.styles.mac.machine import MacMachine
from hwq.templates import render


def mac_cpp_files(graph: Graph, machine: MacMachine, top: str) -> dict[str, str]:
    """`hls/<top>.h`, `hls/<top>.cpp` and `hls/<top>_tb.cpp`.

    Raises:
        GraphError: an op that has no C++ form.
    """
    ports = ports_of(graph)
    stages = _Stages.of(graph, [p.folding for p in machine.products], top).written()
    widths = [bits for stage in stages for bits in (stage.input_bits, stage.output_bits)]
    widths += [stage.row_bits for stage in stages if isinstance(stage, _Product)]
    widths += [f.terms.sum_bits * len(g.outputs) for p in machine.products for f in (p.folding,) for g in f.groups]
    sections = [section for stage in stages if isinstance(stage, _Island) for section in stage.sections]
    values = {"top": top, "ports": ports, "stages": stages, "products": has_products(sections), "interval": machine.interval}
    values["int_bits"] = ap_int_limit(*widths, product_bits(graph))
    return {
        f"hls/{top}.h": render("cpp/top.h.j2", **values),
        f"hls/{top}.cpp": render("cpp/mac.cpp.j2", **values),
        f"hls/{top}_tb.cpp": render("cpp/tb.cpp.j2", **values),
    }


@dataclass(frozen=True, slots=True)
class _Island:
    """What lies between two folded layers."""

    name: str
    comment: str
    given: Ports
    sections: tuple[Section, ...]

    @property
    def input_bits(self) -> int:
        return self.given.input_bits

    @property
    def output_bits(self) -> int:
        return self.given.output_bits


@dataclass(frozen=True, slots=True)
class _Product:
    """A folded layer, as the template prints it."""

    name: str
    comment: str
    input_bits: int
    output_bits: int
    row_bits: int
    element: str
    width: int
    lanes: int
    places: int
    together: int
    steps: int
    memories: tuple[str, ...]
    operands: tuple[str, ...]
    state: tuple[str, ...]
    body: tuple[str, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Stages:
    """The nodes of a graph by the stage that computes them: an island, then for each folded layer the layer and another island."""

    graph: Graph
    foldings: Sequence[Folding]
    top: str
    stage: dict[str, int]

    @classmethod
    def of(cls, graph: Graph, foldings: Sequence[Folding], top: str) -> _Stages:
        number = {folding.name: k + 1 for k, folding in enumerate(foldings)}
        stage: dict[str, int] = {}
        for node in graph.nodes:
            stage[node.name] = number.get(node.name) or max((stage[name] for name in node.inputs), default=0)
        return cls(graph, foldings, top, stage)

    def written(self) -> list[_Island | _Product]:
        found: list[_Island | _Product] = []
        given = list(self.graph.inputs)
        for k in range(len(self.foldings) + 1):
            left = self._read_after(k)
            found.append(self._island(k, given, left))
            if k < len(self.foldings):
                given = [name for name in left if self._is_read(name, k + 1)] + [self.foldings[k].name]
                found.append(self._product(self.foldings[k], left, given))
        return found

    def _is_folded(self, name: str) -> bool:
        return any(folding.name == name for folding in self.foldings)

    def _is_read(self, name: str, k: int) -> bool:
        """Whether island k or anything behind it reads a node."""
        later = (n for n in self.graph.users(name) if self.stage[n.name] > (k if self._is_folded(n.name) else k - 1))
        return name in self.graph.outputs or any(True for _ in later)

    def _read_after(self, k: int) -> list[str]:
        """What island k hands on, the graph's outputs behind the last."""
        if k == len(self.foldings):
            return list(self.graph.outputs)
        nodes = (n.name for n in self.graph.nodes if self.stage[n.name] <= k)
        return [n for n in nodes if n in self.graph.outputs or any(self.stage[u.name] > k for u in self.graph.users(n))]

    def _inputs(self, names: Sequence[str]) -> list[Node]:
        return [Node(name, "input", (), self.graph[name].type, {}, self.graph[name].source) for name in names]

    def _island(self, k: int, given: list[str], left: list[str]) -> _Island:
        own = [n for n in self.graph.nodes if self.stage[n.name] == k and n.name not in given and not self._is_folded(n.name)]
        part = verify(Graph((*self._inputs(given), *own), tuple(given), tuple(left)))
        ports = ports_of(part)
        comment = f"{'before' if k == 0 else 'behind'} folded layers: {', '.join(n.name for n in own) or 'nothing'}"
        return _Island(f"{self.top}_between{k}", comment, ports, tuple(sections_of(part, ports)))

    def _product(self, folding: Folding, left: list[str], given: list[str]) -> _Product:
        source = self.graph[folding.name].inputs[0]
        inputs = ports_of(Graph(tuple(self._inputs(left)), tuple(left), tuple(left))).inputs
        outputs = ports_of(Graph(tuple(self._inputs(given)), tuple(given), tuple(given))).inputs
        text = _ProductText(folding, {(e.node, e.index): e for e in inputs}, outputs, source)
        bits = (max(1, sum(e.width for e in inputs)), max(1, sum(e.width for e in outputs)))
        places = folding.words * folding.together
        comment = f"{folding.name}: {len(folding.terms.weights)} products in {folding.steps} steps of {folding.lanes} lanes"
        return _Product(
            f"{self.top}_{folding.name}",
            comment,
            *bits,
            places * folding.width,
            integer_type(folding.width, signed=folding.signed),
            folding.width,
            folding.lanes,
            places,
            folding.together,
            folding.steps,
            tuple(text.memories()),
            tuple(text.operands(places * folding.width)),
            tuple(text.state()),
            tuple(text.body()),
            tuple(text.results(bits[1])),
        )


@dataclass(frozen=True, slots=True)
class _ProductText:
    folding: Folding
    inputs: dict[tuple[str, int], Element]
    outputs: Sequence[Element]
    source: str

    def _groups(self) -> Iterator[tuple[str, LaneGroup]]:
        return ((f"g{k}", group) for k, group in enumerate(self.folding.groups))

    def _array(self, name: str) -> str:
        return f"{self.folding.name}_{name}"

    def memories(self) -> Iterator[str]:
        """The weights and places of each lane, and where the sums of a group end."""
        for name, group in self._groups():
            for k in range(len(group.lanes)):
                yield table_array(self._array(f"{name}_w{k}"), group.weights[:, k].tolist())
                yield table_array(self._array(f"{name}_e{k}"), group.places[:, k].tolist())
            yield table_array(self._array(f"{name}_last"), group.last.astype(int).tolist())
            yield table_array(self._array(f"{name}_bias"), [int(self.folding.terms.biases[output]) for output in group.outputs])

    def operands(self, bits: int) -> Iterator[str]:
        """The used elements side by side in `rest`, each in the same number of bits."""
        width = self.folding.width
        for place, element in enumerate(self.folding.used.tolist()):
            e = self.inputs[self.source, element]
            name = f"e{place}"
            yield f"ap_uint<{e.width}> {name}_bits = x.range({e.offset + e.width - 1}, {e.offset});"
            value = f"{name}_bits"
            if e.signed and e.width < width:
                yield f"ap_int<{e.width}> {name}_signed = {name}_bits;"
                yield f"ap_int<{width}> {name}_wide = {name}_signed;"
                yield f"ap_uint<{width}> {name}_raw = {name}_wide;"
                value = f"{name}_raw"
            shift = f" << {place * width}" if place else ""
            yield f"rest |= ap_uint<{bits}>({value}){shift};"

    def state(self) -> Iterator[str]:
        bits = self.folding.terms.sum_bits
        for name, group in self._groups():
            yield f"ap_int<{bits}> {name}_sum = 0;"
            yield f"bool {name}_fresh = true;"
            yield f"int {name}_number = 0;"
            yield f"ap_uint<{bits * len(group.outputs)}> {name}_done = 0;"

    def body(self) -> Iterator[str]:
        """A step of every group."""
        lane, bits = 0, self.folding.terms.sum_bits
        for name, group in self._groups():
            terms = []
            for k, its in enumerate(group.lanes):
                kind = integer_type(its.width, signed=its.signed)
                yield f"{kind} {name}_weight{k} = {self._array(f'{name}_w{k}')}[t];"
                product = f"{name}_weight{k} * row[{lane}][{self._array(f'{name}_e{k}')}[t]]"
                terms.append(f"(ap_int<{bits}>({product}) << {its.up})" if its.up else f"ap_int<{bits}>({product})")
                lane += 1
            yield f"if ({name}_fresh) {name}_sum = {self._array(f'{name}_bias')}[{name}_number];"
            yield f"{name}_sum = {name}_sum + {' + '.join(terms)};"
            yield f"{name}_fresh = {self._array(f'{name}_last')}[t];"
            yield f"if ({name}_fresh) {{"
            yield f"    ap_uint<{bits}> sum_bits = {name}_sum;"
            count = len(group.outputs)
            if count > 1:
                yield f"    {name}_done = ({name}_done >> {bits}) | (ap_uint<{bits * count}>(sum_bits) << {bits * (count - 1)});"
                yield f"    {name}_number++;"
            else:
                yield f"    {name}_done = sum_bits;"
            yield "}"

    def results(self, width: int) -> Iterator[str]:
        terms, place = self.folding.terms, {}
        for name, group in self._groups():
            for k, output in enumerate(group.outputs):
                place[output] = f"{name}_done", k * terms.sum_bits
        for e in self.outputs:
            if not e.width:
                continue
            if e.node != self.folding.name:
                mine = self.inputs[e.node, e.index]
                yield f"ap_uint<{e.width}> {e.node}_{e.index}_on = x.range({mine.offset + mine.width - 1}, {mine.offset});"
                yield packed_into(width, e.offset, f"{e.node}_{e.index}_on")
                continue
            up, low = int(terms.up[e.index]), int(terms.low[e.index])
            if e.width > up:
                done, start = place[e.index]
                yield f"ap_uint<{e.width - up}> sum_{e.index} = {done}.range({start + e.width - up - 1}, {start});"
                yield packed_into(width, e.offset + up, f"sum_{e.index}")
            if low & ((1 << e.width) - 1):
                yield f"ap_uint<{min(up, e.width)}> low_{e.index} = {low & ((1 << e.width) - 1)};"
                yield packed_into(width, e.offset, f"low_{e.index}")
