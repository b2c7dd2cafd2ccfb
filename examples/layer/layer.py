#!/usr/bin/env python3
"""Calls a compiled Mixture-of-Experts layer from Python and compares it with numpy.

usage: layer.py [LIBRARY [TOP_K]]      (default: ./libmoe_layer.so 2)

Shapes and types come from the library itself: layer_describe() returns them as
JSON.
"""
import ctypes
import json
import sys

import numpy as np


def aligned(size):
    """Bytes that start at a multiple of 64."""
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + size]


def to_bits(array, kind):
    """f32 -> what the library takes: f32, or bf16 as its bits (truncated)."""
    return array if kind == "f32" else (array.view(np.uint32) >> 16).astype(np.uint16)


def from_bits(array):
    return array if array.dtype == np.float32 else (array.astype(np.uint32) << 16).view(np.float32)


class Layer:
    def __init__(self, path, name="layer"):
        library = ctypes.CDLL(path)
        describe = getattr(library, name + "_describe")
        describe.restype = ctypes.c_char_p
        self.description = json.loads(describe())
        self.function = getattr(library, name)
        self.arena_size = getattr(library, name + "_arena_size")
        self.arena_size.argtypes, self.arena_size.restype = [ctypes.c_int64] * 2, ctypes.c_int64
        self.packed_size = getattr(library, name + "_packed_size")
        self.packed_size.argtypes, self.packed_size.restype = [ctypes.c_int32], ctypes.c_int64
        self.pack_function = getattr(library, name + "_pack")
        self.pack_function.argtypes = [ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p]

    def weights(self):
        return [argument for argument in self.description["arguments"] if argument["kind"] == "weight"]

    def pack(self, number, logical):
        packed = aligned(self.packed_size(number))
        assert self.pack_function(number, logical.ctypes.data, packed.ctypes.data) == 0
        return packed

    def __call__(self, x, packed, threads=2):
        tokens, hidden = x.shape
        out = np.full((tokens, hidden), np.nan, np.float32)
        arena = aligned(self.arena_size(tokens, threads))
        pointers = [array.ctypes.data for array in (x, *packed, out)]
        status = self.function(*map(ctypes.c_void_p, pointers), ctypes.c_int64(tokens),
                               ctypes.c_void_p(arena.ctypes.data), ctypes.c_int64(threads))
        assert status == 0, status
        return out


def reference(x, gate, gate_up, down, k):
    """The same layer in float64."""
    x, gate, gate_up, down = (from_bits(a).astype(np.float64) for a in (x, gate, gate_up, down))
    width = down.shape[2]
    logits = x @ gate.T
    probabilities = np.exp(logits - logits.max(-1, keepdims=True, initial=-np.inf))
    probabilities /= probabilities.sum(-1, keepdims=True)
    out = np.zeros_like(x)
    for t, row in enumerate(probabilities):
        chosen = np.argsort(-row, kind="stable")[:k]
        for e in chosen:
            g, u = gate_up[e, :width] @ x[t], gate_up[e, width:] @ x[t]
            out[t] += row[e] / row[chosen].sum() * (down[e] @ (g / (1 + np.exp(-g)) * u))
    return out


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "./libmoe_layer.so"
    k = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    layer = Layer(path)
    generator = np.random.default_rng(0)
    logical = []
    for weight in layer.weights():
        scale = 1 / weight["shape"][-1] ** 0.5
        array = (generator.standard_normal(weight["shape"]) * scale).astype(np.float32)
        logical.append(to_bits(array, weight["type"]))
    packed = [layer.pack(i, array) for i, array in enumerate(logical)]
    x_info = layer.description["arguments"][0]
    worst = scale = 0.0
    for tokens in (0, 1, 3, 17, 100):
        x = to_bits(generator.standard_normal((tokens, x_info["shape"][1])).astype(np.float32), x_info["type"])
        expected = reference(x, *logical, k)
        worst = max(worst, np.abs(layer(x, packed) - expected).max(initial=0))
        scale = max(scale, np.abs(expected).max(initial=0))
    print(f"largest error {worst:.1e}, largest result {scale:.1e}")
    return int(not worst <= (1e-5 if x_info["type"] == "f32" else 2e-2) * scale)


if __name__ == "__main__":
    sys.exit(main())
