"""The Verilog of a multiply-accumulate machine: a module for each folded layer, and the top with the words between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hwq.codegen.ports import Ports
from hwq.codegen.verilog_ops import TOP, literal
from hwq.styles.mac.lanes import SHALLOW, LaneGroup
from hwq.styles.mac.machine import STAGES, Folded, MacMachine
from hwq.styles.mac.pulses import Pulses
from hwq.styles.words import Words, held_name, word_name
from hwq.templates import render


def mac_files(machine: MacMachine, ports: Ports, top: str) -> dict[str, str]:
    """`rtl/<top>.v`."""
    return {f"rtl/{top}.v": mac_text(machine, ports, top)}


def mac_text(machine: MacMachine, ports: Ports, top: str) -> str:
    """The module of `machine`: ports clk, start, ready, x, valid, y."""
    writer = _MacWriter(machine, ports, top)
    sections = writer.sections()
    outputs = writer.words.outputs(machine.outputs)
    values = {
        "top": top,
        "m": machine,
        "ports": ports,
        "rows": writer.words.rows,
        "layers": [_layer(machine, product, top) for product in machine.products],
        "busy_bits": (machine.interval - 1).bit_length(),
        "control": [*(f"wire {p.folding.name}_over;" for p in machine.products), *writer.pulses.lines()],
        "valid": writer.pulses.name(machine.latency),
        "sections": sections,
        "outputs": outputs,
    }
    return render("verilog/mac.v.j2", **values)


@dataclass(frozen=True, slots=True)
class _GroupText:
    name: str
    comment: str
    bits: int
    words: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _LayerText:
    """A folded layer as the template prints it."""

    module: str
    comment: str
    words: int
    word_bits: int
    together: int
    halved: bool
    row_depth: int
    deep: bool
    steps: int
    stages: int
    sums_bits: int
    groups: tuple[_GroupText, ...]

    @property
    def at_bits(self) -> int:
        return max(1, (self.words - 1).bit_length())

    @property
    def address_bits(self) -> int:
        return self.at_bits + self.halved

    @property
    def step_bits(self) -> int:
        return max(1, (self.steps - 1).bit_length())


def _layer(machine: MacMachine, product: Folded, top: str) -> _LayerText:
    f = product.folding
    weights = len(f.terms.weights)
    comment = f"{f.name}: {weights} products in {f.steps} steps of {f.lanes} lane{'s' if f.lanes > 1 else ''}"
    text = _LayerText(
        f"{top}_{f.name}",
        comment,
        f.words,
        f.width * f.together,
        f.together,
        machine.halves(product),
        machine.row_depth(product),
        f.deep,
        f.steps,
        STAGES - 1 + f.depth,
        f.terms.sum_bits * sum(len(group.outputs) for group in f.groups),
        (),
    )
    groups, start = [], 0
    for number, group in enumerate(f.groups):
        groups.append(_GroupWriter(product, group, number, text, top, start).text())
        start += len(group.outputs)
    return replace(text, groups=tuple(groups))


@dataclass(slots=True)
class _GroupWriter:
    product: Folded
    group: LaneGroup
    number: int
    layer: _LayerText
    top: str
    start: int  # sums of the groups before

    @property
    def name(self) -> str:
        return f"g{self.number}"

    def text(self) -> _GroupText:
        f, group = self.product.folding, self.group
        widths = " ".join(str(lane.width) for lane in group.lanes)
        comment = f"{len(group.outputs)} outputs, weights of {widths} bits"
        return _GroupText(self.name, comment, f.word_bits(group), tuple(self._words()), tuple(self._lines()))

    def _words(self) -> Iterator[str]:
        f, group = self.product.folding, self.group
        bits = f.word_bits(group)
        for weights, places, last in zip(group.weights.tolist(), group.places.tolist(), group.last.tolist(), strict=True):
            word, at = 0, 0
            for lane, weight, place in zip(group.lanes, weights, places, strict=True):
                word |= ((weight & ((1 << lane.width) - 1)) | (place << lane.width)) << at
                at += lane.width + f.place_bits
            yield f"{bits}'h{word | (int(last) << at):x}"

    def _lines(self) -> Iterator[str]:
        f, name = self.product.folding, self.name
        at, levels = 0, list[tuple[str, int]]()
        for k, lane in enumerate(self.group.lanes):
            yield from self._lane(k, at)
            at += lane.width + f.place_bits
            levels.append((f"{name}_p{k}", lane.width + f.width + lane.up))
        for level in range(f.depth):
            levels, lines = self._level(level, levels)
            yield from lines
        (total, width), bits = levels[0], f.terms.sum_bits
        waits = self.layer.stages - 1
        yield f"reg [{waits}:1] {name}_last = 0;"
        shifted = f"{{{name}_last[{waits - 1}:1], {name}[{at}]}}" if waits > 1 else f"{name}[{at}]"
        yield f"always @(posedge clk) {name}_last <= {shifted};"
        yield f"reg {name}_fresh = 1'b1;"
        yield f"reg [{bits - 1}:0] {name}_sum = 0;"
        yield from self._biases()
        term = f"{total}[{bits - 1}:0]" if width >= bits else f"{{{{{bits - width}{{{total}[{width - 1}]}}}}, {total}}}"
        yield f"wire [{bits - 1}:0] {name}_next = ({name}_fresh ? {name}_bias : {name}_sum) + {term};"
        count = len(self.group.outputs)
        chain = f"sums[{(self.start + count) * bits - 1}:{self.start * bits}]"
        moved = f"{{{name}_next, {name}_done[{count * bits - 1}:{bits}]}}" if count > 1 else f"{name}_next"
        yield f"reg [{count * bits - 1}:0] {name}_done = 0; // the first sum in the lowest bits, once all are there"
        yield f"assign {chain} = {name}_done;"
        yield f"always @(posedge clk) if (now[{self.layer.stages}]) begin"
        yield f"    {name}_sum <= {name}_next;"
        yield f"    {name}_fresh <= {name}_last[{waits}];"
        yield f"    if ({name}_last[{waits}]) {name}_done <= {moved};"
        yield "end"

    def _lane(self, k: int, at: int) -> Iterator[str]:
        f, name, lane = self.product.folding, f"{self.name}_{k}", self.group.lanes[k]
        word, a = self.layer.word_bits, f.width
        low = f.together.bit_length() - 1
        base = at + lane.width
        address = ["read"] if self.layer.halved else []
        if f.place_bits > low:
            address.append(f"{self.name}[{base + f.place_bits - 1}:{base + low}]")
        elif not low or f.place_bits == low:
            address.append("1'b0")
        depth = self.layer.row_depth
        deep = int(depth > SHALLOW)
        yield f"wire [{word - 1}:0] {name}_word;"
        given = f".N({depth}), .W({word}), .B({self.layer.address_bits}), .DEEP({deep})"
        ports = f".clk(clk), .write(write), .place(place), .data(data), .address({{{', '.join(address)}}}), .word({name}_word)"
        yield f"{self.top}_elements #({given}) {name}_elements ({ports});"
        yield f"reg [{lane.width - 1}:0] {name}_weight;"
        yield f"always @(posedge clk) {name}_weight <= {self.name}[{base - 1}:{at}];"
        element = f"{name}_word"
        if low:
            yield f"reg [{low - 1}:0] {name}_which;"
            yield f"always @(posedge clk) {name}_which <= {self.name}[{base + low - 1}:{base}];"
            element = f"{name}_element"
            yield f"wire [{a - 1}:0] {element};"
            pick = f".N({f.together}), .W({a}), .B({low})"
            yield f"{self.top}_pick #({pick}) {name}_pick (.d({name}_word), .i({name}_which), .y({element}));"
        bits = lane.width + a
        one, other = (
            _wide(s, w, bits, signed) for s, w, signed in ((f"{name}_weight", lane.width, lane.signed), (element, a, f.signed))
        )
        yield f"reg [{bits + lane.up - 1}:0] {self.name}_p{k};"
        value = f"$signed({one}) * $signed({other})"
        if lane.up:
            yield f"wire [{bits - 1}:0] {name}_product = {value};"
            value = f"{{{name}_product, {lane.up}'d0}}"
        yield f"always @(posedge clk) {self.name}_p{k} <= {value};"

    def _level(self, level: int, terms: list[tuple[str, int]]) -> tuple[list[tuple[str, int]], list[str]]:
        """Sums of two, each behind a register."""
        found, lines = [], []
        for k in range(0, len(terms), 2):
            pair, name = terms[k : k + 2], f"{self.name}_s{level}_{k // 2}"
            width = max(w for _, w in pair) + len(pair) - 1
            value = " + ".join(_extended(t, w, width) for t, w in pair)
            lines += [f"reg [{width - 1}:0] {name};", f"always @(posedge clk) {name} <= {value};"]
            found.append((name, width))
        return found, lines

    def _biases(self) -> Iterator[str]:
        """What a sum begins with: by its number in the group."""
        name, bits = self.name, self.product.folding.terms.sum_bits
        biases = [int(self.product.folding.terms.biases[output]) for output in self.group.outputs]
        if len(set(biases)) == 1:
            yield f"wire [{bits - 1}:0] {name}_bias = {literal(biases[0], bits)};"
            return
        places = (len(biases) - 1).bit_length()
        yield f"reg [{places - 1}:0] {name}_number = 0;"
        waits = self.layer.stages - 1
        last = literal(len(biases) - 1, places)
        yield f"always @(posedge clk) if (now[{self.layer.stages}] & {name}_last[{waits}])"
        yield f"    {name}_number <= {name}_number == {last} ? {places}'d0 : {name}_number + 1'b1;"
        yield f"reg [{bits - 1}:0] {name}_bias;"
        cases = " ".join(f"{literal(k, places)}: {name}_bias = {literal(b, bits)};" for k, b in enumerate(biases[:-1]))
        yield f"always @* case ({name}_number) {cases} default: {name}_bias = {literal(biases[-1], bits)}; endcase"


def _extended(name: str, width: int, target: int) -> str:
    """A signed number in `target` bits."""
    return name if width == target else f"{{{{{target - width}{{{name}[{width - 1}]}}}}, {name}}}"


def _wide(name: str, width: int, target: int, signed: bool) -> str:
    return _extended(name, width, target) if signed else f"{{{target - width}'d0, {name}}}"


@dataclass(slots=True)
class _MacWriter:
    machine: MacMachine
    ports: Ports
    top: str
    words: Words = field(init=False)
    pulses: Pulses = field(init=False)

    def __post_init__(self) -> None:
        m = self.machine
        self.words = Words(m.circuit, self.ports, self.top)
        self.words.group = TOP
        bases = {0: "take"} | {p.over: f"{p.folding.name}_over" for p in m.products}
        self.pulses = Pulses(bases, m.interval, m.pulses)

    def sections(self) -> list[tuple[str, list[str]]]:
        """(title, lines) of every node: first what is stored, since any line may read it, then what is computed."""
        m, c = self.machine, self.machine.circuit
        stored = [f"reg {self.words.kind(w)} {held_name(w, k + 1)};" for w, count in m.holds.items() for k in range(count)]
        nodes: dict[int, list[str]] = {}
        for wire in sorted(m.words):
            nodes.setdefault(int(c.node[wire]), []).extend(self._word(wire))
        found = [("words that are kept", stored)]
        found += [(p.folding.name, self._product(p)) for p in m.products]
        return found + [(c.names[node], lines) for node, lines in sorted(nodes.items()) if lines]

    def _product(self, product: Folded) -> list[str]:
        f, name = product.folding, product.folding.name
        spare = f.words * f.together - len(f.used)
        parts = [f"{spare * f.width}'d0"] if spare else []
        for access in reversed(product.operands):
            self.words.given = {access.wire: word_name(access)}
            parts.append(self.words.bits(access.wire, 0, f.width))
        sums = f.terms.sum_bits * sum(len(group.outputs) for group in f.groups)
        ports = f".clk(clk), .go({self.pulses.name(product.start - 1)}), .over({name}_over), .sums({name}_sums)"
        return [
            f"wire [{sums - 1}:0] {name}_sums;",
            f"wire [{f.words * f.together * f.width - 1}:0] {name}_row = {{{', '.join(parts)}}};",
            f"{self.top}_{name} {name}_i ({ports}, .row({name}_row));",
        ]

    def _word(self, wire: int) -> list[str]:
        word, m = self.machine.words[wire], self.machine
        place = m.reads(wire)
        if place is not None:
            lines, value = list[str](), self._sum(m.products[place[0]], place[1], self.words.widths[wire])
        else:
            lines, value = self.words.computed(word)
        enables = [self.pulses.name(word.clock + k * m.interval) for k in range(m.holds.get(wire, 0))]
        return [*lines, *self.words.kept(wire, value, enables)]

    def _sum(self, product: Folded, output: int, width: int) -> str:
        """A finished sum with its constant bits."""
        f, start = product.folding, 0
        for group in f.groups:
            if output in group.outputs:
                start += group.outputs.index(output)
                break
            start += len(group.outputs)
        up, bits = int(f.terms.up[output]), f.terms.sum_bits
        low = literal(int(f.terms.low[output]), up) if up else ""
        if width <= up:
            return low
        name = f"{f.name}_sums[{start * bits + width - up - 1}:{start * bits}]"
        return f"{{{name}, {low}}}" if up else name
