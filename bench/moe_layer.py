#!/usr/bin/env python3
"""Times one MoE layer beside the ceilings of the machine, in one process.

usage: bench/moe_layer.py [--shape olmoe] [--type bf16] [-T 1,512] [-t 1,2] [--rounds 9] [--moec build/bin/moec]

A round is ceiling, layer, ceiling; a figure is the layer's share of the mean of
the two, and counts only if they agree within --agree percent and, with several
threads, each thread has a processor. The layer runs
from router to combine on random input, routed by a random router; its experts
lie in a mapped file larger than the last-level cache.

Printed for each row: median time, GFLOP/s and share of the compute ceiling
(useful FLOPs: tokens * k * 6 * hidden * width), GB/s and share of the read
ceiling (bytes of the experts that were chosen), and the share of the floor
sum over experts of max(bytes / bandwidth, FLOPs / peak).
"""
import argparse
import ctypes
import mmap
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHAPES = {  # hidden, expert width, experts, top-k
    "olmoe": (2048, 1024, 64, 8),
    "qwen3": (2048, 768, 128, 8),
    "mixtral": (4096, 14336, 8, 2),
    "tiny": (192, 96, 16, 4),
}


QUANTISED = ("int8", "int4", "int4_min", "mxfp4")


def graph(hidden, width, experts, k, weight, activation):
    # Quantised formats are made of bf16; routers are not quantised.
    quantised = f" {{lm.format = #lm.format<{weight}>}}" if weight in QUANTISED else ""
    weight = "bf16" if quantised else weight
    w = lambda *dims: f"tensor<{'x'.join(map(str, dims))}x{weight}>"
    types = f"tensor<?x{hidden}x{activation}>", w(experts, hidden), w(experts, 2 * width, hidden), w(experts, hidden, width)
    out = f"tensor<?x{hidden}xf32>"
    return f"""
func.func @layer(%x: {types[0]}, %gate: {types[1]}, %gu: {types[2]}{quantised}, %down: {types[3]}{quantised}) -> {out} {{
  %y = moe.layer %x router(%gate) experts(%gu, %down) #moe.router<top_k = {k}> <silu> : ({', '.join(types)}) -> {out}
  return %y : {out}
}}
"""


def anonymous(size):
    """Zeroed memory aligned to 2 MiB, with huge pages where the system gives them."""
    area = mmap.mmap(-1, size + (2 << 20))
    try:
        area.madvise(mmap.MADV_HUGEPAGE)
    except (AttributeError, OSError):
        pass
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return area, (start + (2 << 20) - 1) // (2 << 20) * (2 << 20)


def fill_random(address, size, weight, scale, generator):
    """Fills packed bytes with values N(0, scale^2): any bits are a valid packing."""
    block = (generator.standard_normal(1 << 20) * scale).astype(np.float32)
    if weight == "bf16":
        block = (block.view(np.uint32) >> 16).astype(np.uint16)
    view = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8)), (size,))
    data = block.view(np.uint8)
    for start in range(0, size, data.size):
        part = min(data.size, size - start)
        view[start:start + part] = data[:part]


def pack_random(pack, number, address, elements, scale, generator):
    """Quantises random bf16 rows with the library's own packing function."""
    block = ((generator.standard_normal(1 << 22) * scale).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    logical = np.resize(block, elements)
    assert pack(number, logical.ctypes.data, address) == 0


def activation_type(args):
    """What moec gives models with these weights on this machine: bf16 where products take pairs of it."""
    if args.activation:
        return args.activation
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "probe.mlir"
        source.write_text(graph(16, 16, 2, 1, "bf16", "f32"))
        said = subprocess.run([args.moec, source, "--emit=obj", "-o", source.with_suffix(".o"),
                               f"--target={args.target}"], check=True, capture_output=True, text=True).stderr
    return "bf16" if args.type == "bf16" and "recipe bf16-dot-pairs" in said else "f32"


class Layer:
    def __init__(self, args, folder):
        hidden, width, experts, k = SHAPES[args.shape]
        self.shape = SHAPES[args.shape]
        source, library = folder / "layer.mlir", folder / "layer.so"
        source.write_text(graph(hidden, width, experts, k, args.type, args.activation))
        options = [f"--target={args.target}"]
        subprocess.run([args.moec, source, "--emit=lib", "-o", library, *options], check=True)
        lib = ctypes.CDLL(str(library))
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        lib.layer.argtypes = [pointer] * 5 + [number, pointer, number]
        lib.layer_arena_size.argtypes, lib.layer_arena_size.restype = [number] * 2, number
        lib.layer_packed_size.argtypes, lib.layer_packed_size.restype = [ctypes.c_int32], number
        lib.layer_pack.argtypes = [ctypes.c_int32, pointer, pointer]
        self.lib = lib
        sizes = [lib.layer_packed_size(weight) for weight in range(3)]
        self.expert_bytes = (sizes[1] + sizes[2]) // experts
        total = sum(sizes) + 3 * 4096
        # Weights come from a mapped file, as in an executable.
        path = folder / "weights"
        with open(path, "wb") as file:
            file.truncate(total)
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), total)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.gate_up_size = sizes[1]
        generator = np.random.default_rng(0)
        self.weights = []
        for size, scale in zip(sizes, (1.0 / hidden ** 0.5, 1.0 / hidden ** 0.5, 1.0 / width ** 0.5)):
            number = len(self.weights)
            if args.type in QUANTISED and number:
                pack_random(lib.layer_pack, number, base, experts * hidden * width * (3 - number), scale, generator)
            else:
                fill_random(base, size, "bf16" if args.type in QUANTISED else args.type, scale, generator)
            self.weights.append(base)
            base += (size + 4095) // 4096 * 4096
        self.generator = generator
        self.activation = args.activation

    def prepare(self, tokens, threads):
        self.area, self.arena = anonymous(self.lib.layer_arena_size(tokens, threads))
        self.threads, self.tokens = threads, tokens
        self.out = np.zeros((tokens, self.shape[0]), np.float32)

    def run(self, x):
        start = time.perf_counter()
        status = self.lib.layer(x.ctypes.data, *self.weights, self.out.ctypes.data, self.tokens, self.arena,
                                self.threads)
        seconds = time.perf_counter() - start
        assert status == 0
        return seconds

    def input(self):
        x = self.generator.standard_normal((self.tokens, self.shape[0])).astype(np.float32)
        if self.activation == "bf16":
            return (x.view(np.uint32) >> 16).astype(np.uint16)
        return x


def load_ceilings(folder, target):
    library = folder / "ceilings.so"
    subprocess.run(["clang-22", "-O3", f"-march={target}", "-fopenmp", "-shared", "-fPIC", ROOT / "bench/ceilings.c",
                    ROOT / "bench/group_sums.c", "-o", library, "-L/usr/lib/llvm-22/lib"], check=True)
    lib = ctypes.CDLL(str(library))
    for name in ("ceiling_fma", "ceiling_dot_pairs", *(f"ceiling_{name}" for name in QUANTISED)):
        getattr(lib, name).restype = ctypes.c_double
        getattr(lib, name).argtypes = [ctypes.c_int, ctypes.c_double]
    lib.ceiling_read.restype = ctypes.c_double
    lib.ceiling_read.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    return lib


def best_read(lib, layer, threads):
    """Read bandwidth over the experts' own mapping, the best of the ways tried."""
    size = min(layer.gate_up_size, 512 << 20)
    return max(lib.ceiling_read(layer.weights[1], size, threads, streams, prefetch)
               for streams in (1, 4) for prefetch in (0, 1))


def compute_ceiling(lib, args, threads):
    """The fastest register-resident loop for the weights' type: VDPBF16PS takes no f32."""
    if args.type in QUANTISED:
        return getattr(lib, f"ceiling_{args.type}")(threads, 0.05)
    pairs = lib.ceiling_dot_pairs(threads, 0.02) if args.type == "bf16" else 0
    return max(lib.ceiling_fma(threads, 0.05), pairs)


def measure(lib, layer, args, tokens, threads):
    hidden, width, experts, k = layer.shape
    layer.prepare(tokens, threads)
    for _ in range(2):
        layer.run(layer.input())
    figures = []
    for attempt in range(args.rounds * 3):
        peak = lambda: compute_ceiling(lib, args, threads)
        before = peak(), best_read(lib, layer, threads)
        repeats = max(1, min(20, int(0.1 / max(1e-6, layer.run(layer.input())))))
        times = sorted(layer.run(layer.input()) for _ in range(repeats))
        after = peak(), best_read(lib, layer, threads)
        if any(abs(a - b) > args.agree / 100 * max(a, b) for a, b in zip(before, after)):
            continue
        # Fewer processors than threads: somebody else has one.
        if threads > 1 and before[0] < 0.8 * threads * args.one_thread_peak:
            continue
        seconds = times[len(times) // 2]
        flops = tokens * k * 6 * hidden * width
        # Distinct experts expected under uniform routing.
        distinct = experts * (1 - (1 - k / experts) ** tokens)
        touched = distinct * layer.expert_bytes
        top, read = sum(before[:1] + after[:1]) / 2, (before[1] + after[1]) / 2
        each = tokens * k / distinct
        floor = distinct * max(layer.expert_bytes / read, each * 6 * hidden * width / top)
        figures.append((seconds, flops / seconds / top, touched / seconds / read, floor / seconds, top, read))
        if len(figures) >= args.rounds:
            break
    if not figures:
        print(f"T={tokens:<5d} t={threads}  no round whose ceilings agree", flush=True)
        return
    median = [sorted(column)[len(figures) // 2] for column in zip(*figures)]
    seconds, compute, memory, floor, top, read = median
    print(f"T={tokens:<5d} t={threads}  {seconds * 1e3:9.3f} ms  {compute * 100:5.1f} % of {top / 1e9:6.1f} GFLOP/s  "
          f"{memory * 100:5.1f} % of {read / 1e9:5.1f} GB/s  {floor * 100:5.1f} % of floor  ({len(figures)} rounds)",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="olmoe", help="olmoe, qwen3, mixtral, tiny, or hidden,width,experts,k")
    parser.add_argument("--type", choices=("bf16", "f32", *QUANTISED), default="bf16")
    parser.add_argument("--activation", choices=("bf16", "f32"),
                        help="type of the layer's input; default: what moec gives a model with these weights here")
    parser.add_argument("-T", default="1,512")
    parser.add_argument("-t", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--agree", type=float, default=10)
    parser.add_argument("--target", default="native")
    parser.add_argument("--work", help="folder for the library and the weights file")
    parser.add_argument("--moec", default=ROOT / "build/bin/moec")
    args = parser.parse_args()
    if args.shape not in SHAPES:
        SHAPES[args.shape] = tuple(map(int, args.shape.split(",")))
    os.environ.setdefault("OMP_PROC_BIND", "close")
    args.activation = activation_type(args)
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        folder = pathlib.Path(folder)
        lib = load_ceilings(folder, args.target)
        layer = Layer(args, folder)
        print(f"{args.shape}: hidden {layer.shape[0]}, width {layer.shape[1]}, {layer.shape[2]} experts, "
              f"top-{layer.shape[3]}, {args.type}, input {args.activation}")
        args.one_thread_peak = compute_ceiling(lib, args, 1)
        for threads in map(int, args.t.split(",")):
            for tokens in map(int, args.T.split(",")):
                measure(lib, layer, args, tokens, threads)


if __name__ == "__main__":
    sys.exit(main())
