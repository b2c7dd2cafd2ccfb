"""One MoE layer, from router to combine."""
import subprocess

import numpy as np

from . import host, library, reference, rounds, routing, script, weights
from .workloads import SHAPES

CALLS = 9          # a round, at most
CALL_SECONDS = 0.05  # a round wants no more than this of calls
CHECKED_FLOPS = 2e8  # the rows of a check, numpy being slow: two, but one where a row has more than this


def graph(shape, kind, activation):
    types = [library.tensor(None, shape.hidden, kind=activation),
             library.tensor(shape.experts, shape.hidden, kind=kind),
             library.tensor(shape.experts, 2 * shape.width, shape.hidden, kind=kind),
             library.tensor(shape.experts, shape.hidden, shape.width, kind=kind)]
    out = library.tensor(None, shape.hidden, kind="f32")
    attribute = f" {kind.attribute}" if kind.attribute else ""
    return f"""
func.func @layer(%x: {types[0]}, %gate: {types[1]}, %gu: {types[2]}{attribute}, %down: {types[3]}{attribute}) -> {out} {{
  %y = moe.layer %x router(%gate) experts(%gu, %down) #moe.router<top_k = {shape.top_k}> <silu>
      : ({', '.join(types)}) -> {out}
  return %y : {out}
}}
"""


class Layer:
    """A shape with weights of one type: compiled, packed, ready to be called with either routing."""

    def __init__(self, moec, shape_name, kind, folder, target="native"):
        self.shape, self.kind = SHAPES[shape_name], kind
        shape = self.shape
        self.activation = activation(moec, kind, folder, target)
        loaded, of_bf16 = library.compile_graph(moec, graph(shape, kind, self.activation), folder, target)
        self.recipe = (kind.sums if kind.is_quantised() else of_bf16 if self.activation == "bf16"
                       else "widen-f32-fma")
        self.function = library.Function(loaded, "layer", folder)
        self.gate_up = weights.Random((shape.experts, 2 * shape.width, shape.hidden), kind, shape.hidden ** -0.5, 1)
        self.down = weights.Random((shape.experts, shape.hidden, shape.width), kind, shape.width ** -0.5, 2)
        self.function.pack(1, self.gate_up.logical())
        self.function.pack(2, self.down.logical())
        self.function.file.settle()
        self.expert_bytes = sum(self.function.sizes[1:]) // shape.experts
        self.routing, self.sweep = None, host.Sweep()

    def is_cached(self):
        """Too small for a figure: caches could hold it."""
        return sum(self.function.sizes) < 4 * host.last_level_cache()

    def route(self, name):
        """Takes the router of this routing."""
        if name == self.routing:
            return
        self.routing = name
        self.router = routing.Router(self.shape.hidden, self.shape.experts, self.shape.top_k, name)
        bits = weights.to_bits(self.router.gate, self.kind.element)
        self.gate = weights.from_bits(bits, self.kind.element)
        self.function.pack(0, bits)

    def prepare(self, tokens, threads):
        self.function.prepare(tokens, threads)
        self.function.run(*self.input()[:1])
        self.calls = max(1, min(CALLS, int(CALL_SECONDS / self.function.run(*self.input()[:1]))))

    def input(self):
        """(bits for the library, f32 with their values)."""
        x = self.router.input(self.function.tokens)
        bits = weights.to_bits(x, self.activation)
        return bits, weights.from_bits(bits, self.activation)

    def check(self):
        """Relative error of some rows against numpy, and what is tolerated."""
        bits, x = self.input()
        self.function.run(bits)
        rows = np.unique(np.linspace(0, len(x) - 1, 2 if self.shape.flops(1) < CHECKED_FLOPS else 1).astype(int))
        expected = reference.layer(x[rows], self.gate, self.gate_up.expert, self.down.expert, self.shape.top_k)
        tolerance = self.kind.pairs if self.activation == "bf16" else self.kind.tolerance
        return reference.error(self.function.results[0][rows], expected), tolerance

    def draw(self):
        """Inputs for a round's calls, with the rows of each expert that each draws."""
        inputs = [self.input() for _ in range(self.calls)]
        return [bits for bits, _ in inputs], [routing.load(x, self.gate, self.shape.top_k) for _, x in inputs]

    def run(self, inputs):
        return [self.run_cold(bits) for bits in inputs]

    def run_cold(self, *arguments, function=None):
        """Seconds of a call that finds no expert in a cache; idle threads still spin when it starts."""
        self.sweep()
        return (function or self.function).run(*arguments)


def activation(moec, kind, folder, target):
    """What moec gives models with these weights here: bf16 where products take pairs of it."""
    if not kind.pairs:
        return "f32"
    probe = graph(SHAPES["tiny"], kind, "f32")
    return "f32" if library.compile_graph(moec, probe, folder, target, "probe")[1] == "widen-f32-fma" else "bf16"


def check_target(moec, folder, target):
    """Ends the script with moec's own words where it does not know the target."""
    library.compile_graph(moec, graph(SHAPES["tiny"], weights.TYPES["f32"], "f32"), folder, target, "target")


def supported(moec, kind, folder, target="native"):
    """Whether this moec has such weights."""
    try:
        library.compile_graph(moec, graph(SHAPES["tiny"], kind, "f32"), folder, target, "supported")
    except subprocess.CalledProcessError as error:
        print(f"{kind.name}: skipped: {script.last_line(error)}", flush=True)
        return False
    return True


def work(layer, loads):
    """What the calls of a round have to do, for each."""
    shape = layer.shape
    return {"flops": shape.flops(layer.function.tokens),
            "bytes": [routing.touched(rows, layer.expert_bytes) for rows in loads]}


def add_floors(round_, layer, loads):
    """Floors need the round's ceilings, so they come last."""
    top = rounds.ceiling(round_)
    row_flops = 6 * layer.shape.hidden * layer.shape.width
    round_["floors"] = [routing.floor(rows, layer.expert_bytes, row_flops, top["read"], top["compute"]) for rows in loads]
    return round_


def make_round(layer, ceilings):
    """Inputs are drawn before the first ceiling; nothing else happens between the two."""
    inputs, loads = layer.draw()
    round_ = rounds.one(ceilings, lambda: {"seconds": layer.run(inputs), **work(layer, loads)})
    return add_floors(round_, layer, loads)
