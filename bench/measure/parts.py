"""The parts of a model: products of a layer, what surrounds them, attention.

Products and attention have a floor. Routing, gather and combine work in caches, where bytes have no floor: their figure is
their share of the whole layer's time, taken in the same round.
"""
import itertools
import pathlib
import tempfile

import numpy as np

from . import host, layer, library, reference, rounds, routing, weights, workloads
from .workloads import SHAPES

TOKENS = (1, 512)
CONTEXTS = (512, 4096, 16384)
# Name, heads, KV heads, the cache's type, what scores and values are products of (docs/numerics.md).
ATTENTION = (("olmoe", 16, 16, "bf16", "f32"), ("olmoe", 16, 16, "bf16", "bf16"), ("olmoe", 16, 16, "f32", "f32"),
             ("olmoe", 16, 16, "i8", "f32"), ("qwen3", 32, 4, "bf16", "f32"))
ATTENTION_CEILINGS = {"f32": ("f32-fma",), "bf16": ("bf16-pairs",)}
# Digits of a byte as which products with q8_0 take a number, where four bytes are multiplied at once (docs/numerics.md).
DIGITS = 3
ATTENTION_TOLERANCES = {"f32": 1e-4, "bf16": 2e-2}
CACHE_TYPES = {"i8": "int8"}  # the weight type by which --type chooses a cache, where the two have other names
ELEMENT_BYTES = {"f32": 4, "bf16": 2, "i8": 1}
CHUNK = 512  # rows of an attention call during prefill


def graph(shape, kind, activation):
    """Functions that each run one part. Rows of a product come with one choice each: sorted, or to be gathered."""
    gate = library.tensor(shape.experts, shape.hidden, kind=kind)
    gate_up = library.tensor(shape.experts, 2 * shape.width, shape.hidden, kind=kind)
    down = library.tensor(shape.experts, shape.hidden, shape.width, kind=kind)
    x, h, out = (library.tensor(None, size, kind=element) for size, element in
                 ((shape.hidden, activation), (shape.width, activation), (shape.hidden, "f32")))
    chosen, k, plan = "tensor<?x1xi32>", shape.top_k, f"!moe.plan<{shape.experts}, 1>"
    shares, ids, layer_plan = f"tensor<?x{k}xf32>", f"tensor<?x{k}xi32>", f"!moe.plan<{shape.experts}, {k}>"
    note = f" {kind.attribute}" if kind.attribute else ""
    route = (f"%w, %ids, %plan = moe.route %x, %gate <top_k = {k}> experts({shape.experts})\n"
             f"      : ({x}, {gate}) -> ({shares}, {ids}, {layer_plan})")
    dispatch = f"%plan = moe.dispatch %ids experts({shape.experts}) : ({chosen}) -> {plan}"
    product = lambda name, gathered: f"""
func.func @{name}(%x: {x}, %ids: {chosen}, %gu: {gate_up}{note}) -> {h} {{
  {dispatch}
  %h = moe.grouped_matmul {gathered} %x, %gu by %plan epilogue <silu> : ({x}, {gate_up}, {plan}) -> {h}
  return %h : {h}
}}"""
    return product("gate_up", "") + product("gathered", "gather") + f"""
func.func @down(%h: {h}, %ids: {chosen}, %down: {down}{note}) -> {out} {{
  {dispatch}
  %y = moe.grouped_matmul %h, %down by %plan : ({h}, {down}, {plan}) -> {out}
  return %y : {out}
}}
func.func @route(%x: {x}, %gate: {gate}) -> ({shares}, {ids}) {{
  {route}
  return %w, %ids : {shares}, {ids}
}}
func.func @no_combine(%x: {x}, %gate: {gate}, %gu: {gate_up}{note}, %down: {down}{note}) -> {out} {{
  {route}
  %y = moe.expert_ffn %x, %gu, %down by %plan <silu> : ({x}, {gate_up}, {down}, {layer_plan}) -> {out}
  return %y : {out}
}}
"""


class Parts:
    """The functions of `graph`, on the weights of a packed layer."""

    def __init__(self, moec, whole, folder, target):
        self.whole, self.shape = whole, whole.shape
        text = graph(self.shape, whole.kind, whole.activation)
        loaded, self.recipe = library.compile_graph(moec, text, folder, target, "parts")
        numbers = {"gate_up": [1], "gathered": [1], "down": [2], "route": [0], "no_combine": [0, 1, 2]}
        self.functions = {name: library.Function(loaded, name, folder) for name in numbers}
        for name, lent in numbers.items():
            self.functions[name].borrow(whole.function, lent)

    def prepare(self, tokens, threads):
        self.tokens, rows = tokens, tokens * self.shape.top_k
        self.whole.prepare(tokens, threads)
        for name, function in self.functions.items():
            function.prepare(tokens if name in ("route", "no_combine") else rows, threads)

    def rows(self, columns, gathered=False):
        """(rows as the library takes them, ids [R, 1], rows of each expert), routed as a layer's input."""
        _, x = self.whole.input()
        ids = routing.choices(x, self.whole.gate, self.shape.top_k).ravel().astype(np.int32)
        if not gathered:
            ids = np.sort(ids)
        values = self.whole.router.generator.standard_normal((len(ids), columns), np.float32)
        load = np.bincount(ids, minlength=self.shape.experts)
        return weights.to_bits(values, self.whole.activation), ids.reshape(-1, 1), load

    def product(self, ceilings, name, number, columns, row_flops):
        """A round of a grouped product."""
        function, calls = self.functions[name], self.whole.calls
        drawn = [self.rows(columns) for _ in range(calls)]
        expert_bytes = self.whole.function.sizes[number] // self.shape.experts
        round_ = rounds.one(ceilings, lambda: {
            "seconds": [self.whole.run_cold(x, ids, function=function) for x, ids, _ in drawn]})
        top = rounds.ceiling(round_)
        loads = [load for _, _, load in drawn]
        return {**round_, "flops": self.tokens * self.shape.top_k * row_flops,
                "bytes": [routing.touched(load, expert_bytes) for load in loads],
                "floors": [routing.floor(load, expert_bytes, row_flops, top["read"], top["compute"]) for load in loads]}

    def beside_layer(self, ceilings, run):
        """A round of `run(input)`, seconds, beside the whole layer on the same inputs."""
        inputs, _ = self.whole.draw()

        def measured():
            pairs = [(run(bits), self.whole.run_cold(bits)) for bits in inputs]
            return {"seconds": [part for part, _ in pairs], "whole": [whole for _, whole in pairs]}
        return rounds.one(ceilings, measured)

    def combine(self, bits):
        """What the whole layer takes longer than without combine; noise can make it negative."""
        return self.whole.run_cold(bits) - self.whole.run_cold(bits, function=self.functions["no_combine"])

    def gather(self, _):
        x, ids, _ = self.rows(self.shape.hidden, gathered=True)
        order = np.argsort(ids.ravel(), kind="stable")
        sorted_x, sorted_ids = np.ascontiguousarray(x[order]), np.ascontiguousarray(ids[order])
        return (self.whole.run_cold(x, ids, function=self.functions["gathered"])
                - self.whole.run_cold(sorted_x, sorted_ids, function=self.functions["gate_up"]))


def wanted_layers(args):
    """Parts are taken of layers that are routed uniformly."""
    grid = [workloads.LayerCell("olmoe", "bf16", tokens, "uniform", threads)
            for threads, tokens in itertools.product(args.threads, TOKENS)]
    return [cell for cell in workloads.chosen(args, grid) if cell.routing == "uniform"]


def run_layers(run, cells):
    for (shape, kind), group in itertools.groupby(cells, lambda c: (c.shape, c.weights)):
        if layer.supported(run.args.moec, weights.TYPES[kind], run.folder, run.args.target):
            run_layer_parts(run, shape, weights.TYPES[kind], group)


def run_layer_parts(run, shape_name, kind, cells):
    shape = SHAPES[shape_name]
    with tempfile.TemporaryDirectory(dir=run.folder) as folder:
        folder = pathlib.Path(folder)
        whole = layer.Layer(run.args.moec, shape_name, kind, folder, run.args.target)
        whole.route("uniform")
        parts = Parts(run.args.moec, whole, folder, run.args.target)
        for cell in cells:
            now = run.ceilings.both(kind.recipes, cell.threads)
            parts.prepare(cell.tokens, cell.threads)
            makers = {
                "gate_up": lambda: parts.product(now, "gate_up", 1, shape.hidden, 4 * shape.hidden * shape.width),
                "down": lambda: parts.product(now, "down", 2, shape.width, 2 * shape.hidden * shape.width),
                "routing": lambda: parts.beside_layer(now, parts.functions["route"].run),
                "gather": lambda: parts.beside_layer(now, parts.gather),
                "combine": lambda: parts.beside_layer(now, parts.combine)}
            for name, make in makers.items():
                make()  # warms caches and threads
                run.add(f"{name} {shape_name} {kind.name} T={cell.tokens} t={cell.threads}",
                        {"kind": "part", "part": name, "shape": shape_name, "type": kind.name, "tokens": cell.tokens,
                         "threads": cell.threads, "cached": whole.is_cached(), "recipe": parts.recipe,
                         "rounds": run.collect(make)})


def attention_ceiling(ceilings, element, products):
    """Recipes of a ceiling, and how many of its products one of attention takes."""
    if element == "i8" and any("vpdpbusd" in name for name in ceilings.loops.get("int8-rows", ())):
        return ("int8-rows",), DIGITS
    return ATTENTION_CEILINGS[products], 1


class Attention:
    """Causal attention over caches that together exceed the last-level cache, called in turn."""

    def __init__(self, moec, folder, target, heads, kv_heads, element, products, size=128):
        self.heads, self.kv_heads, self.size, self.element = heads, kv_heads, size, element
        self.query = products  # queries are bf16 where products are
        self.scale = size ** -0.5
        name = f"attention_{heads}_{kv_heads}_{element}_{products}"  # a library that is loaded may not be written over
        loaded, _ = library.compile_graph(moec, self.graph(), folder, target, name)
        self.function = library.Function(loaded, "attend", folder)
        self.filler = library.Function(loaded, "fill", folder)
        self.generator = np.random.default_rng(0)

    def graph(self):
        q = library.tensor(None, self.heads * self.size, kind=self.query)
        kv = library.tensor(None, self.kv_heads * self.size, kind="f32")
        state = f"!lm.state<{self.kv_heads}x{self.size}x{self.element}>"
        return f"""
func.func @attend(%q: {q}, %k: {kv}, %v: {kv}, %cache: {state}, %at: index) -> {q} {{
  %y = lm.attention %q append(%k, %v) state(%cache) at %at {{heads = {self.heads} : i64, scale = {self.scale} : f64}}
      : ({q}, {kv}, {kv}, {state}, index) -> {q}
  return %y : {q}
}}
func.func @fill(%k: {kv}, %v: {kv}, %cache: {state}, %at: index) {{
  lm.append %k, %v state(%cache) at %at : {kv}, {kv}, {state}
  return
}}
"""

    def random(self, rows, heads):
        return self.generator.standard_normal((rows, heads * self.size), np.float32)

    def prepare(self, rows, context, threads):
        """The last `rows` of `context` positions are what a call computes."""
        self.rows, self.at = rows, context - rows
        row_bytes = self.size * ELEMENT_BYTES[self.element] + (4 if self.element == "i8" else 0)  # a scale a head
        self.position_bytes = 2 * self.kv_heads * row_bytes
        # Four at least: of one large cache read again and again a part stays (6 % of 134 MB beside 32).
        many = max(4, -(-4 * host.last_level_cache() // (self.position_bytes * context)))
        copies = many if rows == 1 else 1
        positions = -(-context // 64) * 64
        self.function.prepare(rows, threads, positions, copies)
        self.filler.prepare(context, threads, positions, copies)
        self.filler.state_sets = self.function.state_sets
        self.keys, self.values = self.random(context, self.kv_heads), self.random(context, self.kv_heads)
        for _ in range(copies):
            self.filler.run(self.keys, self.values, 0)
        seconds = self.function.run(*self.arguments(), self.at)
        self.calls = max(1, min(layer.CALLS, int(layer.CALL_SECONDS / seconds)))

    def arguments(self):
        q = weights.to_bits(self.random(self.rows, self.heads), self.query)
        return q, self.keys[self.at:], self.values[self.at:]

    def cached(self, rows):
        """f32 rows as the cache rounds them; i8 by head and position, with scale max / 127."""
        if self.element != "i8":
            return weights.from_bits(weights.to_bits(rows, self.element), self.element)
        heads = rows.reshape(len(rows), -1, self.size)
        scale = np.abs(heads).max(2, keepdims=True) / np.float32(127)
        return (np.rint(heads / scale) * scale).reshape(rows.shape)

    def check(self):
        q, keys, values = self.arguments()
        self.function.run(q, keys, values, self.at)
        rounded = [self.cached(a) for a in (self.keys, self.values)]
        last = self.rows - 1
        q, found = (weights.from_bits(a[last:], self.query) for a in (q, self.function.results[0]))
        return reference.error(found, reference.attention(q, *rounded, self.heads, self.at + last, self.scale))

    def round(self, ceilings, digits=1):
        """`digits`: products of the compute ceiling in one of attention."""
        drawn = [self.arguments() for _ in range(self.calls)]
        round_ = rounds.one(ceilings, lambda: {"seconds": [self.function.run(*given, self.at) for given in drawn]})
        top = rounds.ceiling(round_)
        seen = sum(self.at + t + 1 for t in range(self.rows))  # causal: only what a row sees
        flops, size = 4 * self.heads * self.size * seen, self.position_bytes * (self.at + self.rows)
        return {**round_, "flops": flops, "bytes": [size] * self.calls,
                "floors": [max(digits * flops / top["compute"], size / top["read"])] * self.calls}


def wanted_attention(args):
    """[(of ATTENTION, context, rows, phase)] that the options choose."""
    found = []
    for number, (shape, heads, kv_heads, element, products) in enumerate(ATTENTION):
        for context in CONTEXTS[1:2] if args.quick and number else CONTEXTS:
            for rows, phase in ((min(CHUNK, context), "prefill"), (1, "decode")):
                if workloads.is_chosen(args, shape, CACHE_TYPES.get(element, element), rows):
                    found.append((ATTENTION[number], context, rows, phase))
    return found


def run_attention(run, cells):
    with tempfile.TemporaryDirectory(dir=run.folder) as folder:
        for kind, group in itertools.groupby(cells, lambda cell: cell[0]):
            name, heads, kv_heads, element, products = kind
            attention = Attention(run.args.moec, pathlib.Path(folder), run.args.target, heads, kv_heads, element, products)
            recipes, digits = attention_ceiling(run.ceilings, element, products)
            for threads, (_, context, rows, phase) in itertools.product(run.args.threads, group):
                now = run.ceilings.both(recipes, threads)
                attention.prepare(rows, context, threads)
                error, found = attention.check(), run.collect(lambda: attention.round(now, digits))
                run.add(f"attention {phase} {name} {element} by {products} {context} t={threads}",
                        {"kind": "attention", "shape": name, "cache": element, "products": products, "phase": phase,
                         "context": context, "tokens": rows, "threads": threads, "error": error,
                         "tolerance": ATTENTION_TOLERANCES[products], "rounds": found})
