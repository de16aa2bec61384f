"""From a graph to the multiply-accumulate machine that computes it: what is folded, what lies between, and at which clocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwq.ir import Circuit, Graph, Node, Opcode, make_node, verify
from hwq.passes.lower import lower
from hwq.passes.pipeline import half_levels, operands_of
from hwq.styles.mac.lanes import Folding, blocks_of
from hwq.styles.mac.machine import Folded, MacMachine
from hwq.styles.serial.machine import Access, Word
from hwq.styles.serial.schedule import kept_until


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """What lies between the folded products of a graph, as a graph and a circuit of its own.

    Attributes:
        graph: the folded nodes are inputs of it, behind those of the whole graph; what they read are outputs, behind those of the whole graph.
        circuit: its operations.
        operands: for each folded node, where its operand's elements are among the circuit's outputs.
        outputs: where the whole graph's outputs are.
        sums: input of the circuit -> (folded node, element of it).
    """

    graph: Graph
    circuit: Circuit
    operands: Mapping[str, tuple[int, ...]]
    outputs: tuple[int, ...]
    sums: Mapping[int, tuple[str, int]]

    def first(self, name: str) -> int:
        """Which input of the circuit is a folded node's first element."""
        return min(place for place, (node, _) in self.sums.items() if node == name)

    def wires(self, places: Iterable[int]) -> list[int]:
        """The wires of outputs, by their places."""
        return [int(self.circuit.outputs[place]) for place in places]


def between(graph: Graph, folded: Sequence[str]) -> Between:
    """The rest of an optimised graph, without its folded nodes."""
    nodes = tuple(make_node(n.name, "input", type=n.type, source=n.source) if n.name in folded else n for n in graph.nodes)
    sources = {name: graph[name].inputs[0] for name in folded}
    asked = tuple(dict.fromkeys((*graph.outputs, *sources.values())))
    rest = verify(Graph(_needed(nodes, asked, graph.inputs), (*graph.inputs, *folded), asked))
    circuit = lower(rest)
    places, start = {}, 0
    for name in asked:
        size = rest[name].type.size
        places[name] = tuple(range(start, start + size))
        start += size
    outputs = tuple(place for name in graph.outputs for place in places[name])
    sums, start = {}, graph.input_size
    for name in folded:
        for k in range(rest[name].type.size):
            sums[start + k] = name, k
        start += rest[name].type.size
    return Between(rest, circuit, {name: places[source] for name, source in sources.items()}, outputs, sums)


def _needed(nodes: Sequence[Node], asked: Sequence[str], inputs: Sequence[str]) -> tuple[Node, ...]:
    """Without what no output needs any more; inputs stay."""
    wanted = {*asked, *inputs}
    for node in reversed(nodes):
        if node.name in wanted:
            wanted |= set(node.inputs)
    return tuple(node for node in nodes if node.name in wanted or node.op == "input")


def schedule(rest: Between, foldings: Mapping[str, Folding], levels: int) -> MacMachine:
    """The machine: every word and every product as early as its operands allow.

    Args:
        foldings: of the nodes that `rest` leaves out, in the order of the graph.
        levels: how many adders may follow one another between two registers.
    """
    longest = max(max(f.steps, f.words) for f in foldings.values())
    return _MacScheduler(rest, foldings, max(2, longest), 2 * max(1, levels)).machine()


@dataclass(slots=True)
class _MacScheduler:
    rest: Between
    foldings: Mapping[str, Folding]
    interval: int
    limit: int  # half levels between two registers
    words: dict[int, Word] = field(default_factory=dict)
    holds: dict[int, int] = field(default_factory=dict)
    arrival: dict[int, int] = field(default_factory=dict)  # half levels after the clock's edge at which a word is there
    products: dict[str, Folded] = field(default_factory=dict)
    delays: list[int] = field(default_factory=list)

    @property
    def circuit(self) -> Circuit:
        return self.rest.circuit

    def machine(self) -> MacMachine:
        c = self.circuit
        self.delays = half_levels(c).tolist()
        for wire in range(len(c)):
            self._place(wire)
        for name in self.foldings:  # one whose sums are all constants has no wire
            self._fold(name)
        read = self.rest.wires(self.rest.outputs)
        latency = max((self.words[wire].clock for wire in read if c.opcode[wire] != Opcode.CONST), default=0) + 1
        outputs = tuple(self._access(wire, latency) for wire in read)
        numbers = {name: k for k, name in enumerate(self.products)}
        sums = {place: (numbers[name], k) for place, (name, k) in self.rest.sums.items()}
        return MacMachine(c, self.interval, latency, tuple(self.products.values()), sums, self.words, self.holds, outputs)

    def _place(self, wire: int) -> None:
        """Operands first: those of a product stand behind all other wires where they had to be brought to another step."""
        c = self.circuit
        if wire in self.words or c.opcode[wire] == Opcode.CONST:
            return
        for operand in operands_of(c, wire):
            self._place(operand)
        if c.opcode[wire] == Opcode.INPUT:
            found = self.rest.sums.get(int(c.a[wire]))
            clock = 0 if found is None else self._fold(found[0]).ready
            self.words[wire], self.arrival[wire] = Word(wire, clock, None), 0
            return
        operands = [w for w in operands_of(c, wire) if c.opcode[w] != Opcode.CONST]
        clock = max((self.words[w].clock for w in operands), default=0)
        begins = max((self.arrival[w] for w in operands if self.words[w].clock == clock), default=0)
        if begins and begins + self.delays[wire] > self.limit:
            clock, begins = clock + 1, 0
        self.arrival[wire] = begins + self.delays[wire]
        self.words[wire] = Word(wire, clock, None, tuple(self._access(w, clock) for w in operands_of(c, wire)))

    def _fold(self, name: str) -> Folded:
        if name not in self.products:
            folding = self.foldings[name]
            wires = self.rest.wires(self.rest.operands[name][e] for e in folding.used.tolist())
            for wire in wires:
                self._place(wire)
            start = max((self.words[w].clock for w in wires if self.circuit.opcode[w] != Opcode.CONST), default=0) + 1
            read = tuple(self._access(wire, start + k // folding.together) for k, wire in enumerate(wires))
            self.products[name] = Folded(folding, start, read)
        return self.products[name]

    def _access(self, wire: int, clock: int) -> Access:
        word = None if self.circuit.opcode[wire] == Opcode.CONST else self.words[wire]
        return kept_until(clock, word, wire, self.interval, self.holds)


def features_of(machine: MacMachine) -> dict[str, float]:
    """What a multiply-accumulate design consists of: none of it is a count of any tool's cells.

    Beside `interval` and `latency_cycles`: lanes and groups, bits multiplied, of memories of weights and of rows, of sums and of words
    that are kept, block memories of 36 Kb, bits of rows that are picked, and bits of words computed between the products.
    """
    foldings = [product.folding for product in machine.products]
    groups = [(folding, group) for folding in foldings for group in folding.groups]
    widths, kept = machine.circuit.widths, (Opcode.INPUT, Opcode.CONST, Opcode.SHIFT, Opcode.WRAP)
    computed = ~np.isin(machine.circuit.opcode, kept)
    return {
        "mac_lanes": float(machine.lanes),
        "mac_groups": float(len(groups)),
        "mac_interval": float(machine.interval),
        "latency_cycles": float(machine.latency),
        "mac_product_bits": float(sum(lane.width * f.width for f, g in groups for lane in g.lanes)),
        "mac_memory_bits": float(sum(f.memory_bits for f in foldings)),
        "mac_blocks": float(sum(blocks_of(f, machine.interval) for f in foldings)),
        "mac_row_bits": float(
            sum(p.folding.lanes * len(p.folding.used) * p.folding.width * (1 + machine.halves(p)) for p in machine.products)
        ),
        "mac_picked_bits": float(sum(len(f.used) * f.width for f in foldings)),
        "mac_sum_bits": float(sum(f.terms.sum_bits * len(g.outputs) for f, g in groups)),
        "mac_word_bits": float(int(widths[computed].sum())),
        "mac_register_bits": float(machine.register_bits),
    }
