#!/usr/bin/env python3
"""Libraries for AArch64, run by qemu: packed weights and results have the bits of AVX2's. Products of rows of bf16 by
BFDOT, which AVX2 has not, have those of their emulation; attention with a q8_0 cache, where bytes are multiplied four at a
time, those of the same emulated on x86-64.

usage: aarch64_test.py MOEC GOLDENS CLANG RUNTIME    RUNTIME: lib/Runtime
"""
import ctypes
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

import library_test
from library_test import aligned, bf16

MOEC, GOLDENS, CLANG, RUNTIME = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], pathlib.Path(sys.argv[4])
CROSS = ["--target=aarch64-linux-gnu", "-fuse-ld=lld", "-O1"]
SYSROOT = pathlib.Path("/usr/aarch64-linux-gnu")
# A machine, what runs its code, and how it multiplies bytes; those with BFDOT.
MACHINES = (("armv8-a", "cortex-a57", "smull"), ("cortex-a76", "cortex-a76", "sdot"), ("armv8.6-a", "max", "usdot"),
            ("neoverse-n2", "max", "usdot"))
WITH_PAIRS = ("armv8.6-a", "neoverse-n2")
TOKENS = (0, 1, 3, 17)
EXPERTS, HIDDEN, WIDTH, TOP_K = 5, 72, 40, 3


def layer(name, element, format=""):
    """A layer of odd sizes."""
    x = f"tensor<?x{HIDDEN}xf32>"
    gate, down = f"tensor<{EXPERTS}x{HIDDEN}xf32>", f"tensor<{EXPERTS}x{HIDDEN}x{WIDTH}x{element}>"
    gate_up = f"tensor<{EXPERTS}x{2 * WIDTH}x{HIDDEN}x{element}>"
    attribute = f" {{lm.format = #lm.format<{format}>}}" if format else ""
    return f"""
func.func @{name}(%x: {x}, %gate: {gate}, %gate_up: {gate_up}{attribute}, %down: {down}{attribute}) -> {x} {{
  %y = moe.layer %x router(%gate) experts(%gate_up, %down)
      #moe.router<top_k = {TOP_K}, renormalize = l1> <silu> : ({x}, {gate}, {gate_up}, {down}) -> {x}
  return %y : {x}
}}
"""


# Of an odd number of pairs, of a last half one, and of two weights at once.
PAIRS = """
func.func @pairs(%x: tensor<?x37xbf16>, %w: tensor<50x37xbf16>) -> tensor<?x50xf32> {
  %y = lm.linear %x, %w : (tensor<?x37xbf16>, tensor<50x37xbf16>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
func.func @more_pairs(%x: tensor<?x128xbf16>, %w: tensor<50x128xbf16>) -> tensor<?x50xf32> {
  %y = lm.linear %x, %w : (tensor<?x128xbf16>, tensor<50x128xbf16>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
func.func @gated_pairs(%x: tensor<?x36xbf16>, %w: tensor<42x36xbf16>) -> tensor<?x21xf32> {
  %y = lm.gated_linear %x, %w <silu> : (tensor<?x36xbf16>, tensor<42x36xbf16>) -> tensor<?x21xf32>
  return %y : tensor<?x21xf32>
}
"""


# A head size that is no multiple of what lies side by side.
CACHE = """
func.func @attend_q8_0(%q: tensor<?x60xf32>, %k: tensor<?x30xf32>, %v: tensor<?x30xf32>, %cache: !lm.state<2x15xi8>,
                       %at: index) -> tensor<?x60xf32> {
  %y = lm.attention %q append(%k, %v) state(%cache) at %at {heads = 4 : i64, scale = 0.25 : f64}
      : (tensor<?x60xf32>, tensor<?x30xf32>, tensor<?x30xf32>, !lm.state<2x15xi8>, index) -> tensor<?x60xf32>
  return %y : tensor<?x60xf32>
}
"""


LAYERS = {f"layer_{kind}": kind for kind in ("f32", "bf16", "f16")}
QUANTISED = {f"layer_{kind}": kind for kind in ("int8", "int4", "int4_min", "mxfp4", "int8_channel", "int4_nl")}
GRAPH = (library_test.GRAPH + "".join(layer(name, kind) for name, kind in LAYERS.items()) +
         "".join(layer(name, "f32", kind) for name, kind in QUANTISED.items()))


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, (command, done.stderr)
    return done


class Case:
    """A call: arguments, results' shapes, cache positions."""

    def __init__(self, function, arguments, results, positions=None):
        self.function, self.arguments, self.results, self.positions = function, arguments, results, positions

    def here(self, library, tokens):
        """Packed weights and results of the library on this machine."""
        function = library_test.Function(library, self.function)
        passed, packed = [], []
        for kind, value in self.arguments:
            if kind == "pack":
                packed.append(function.pack(value, len(packed)))
                value = packed[-1]
            elif kind == "state":
                value = aligned(value)
            elif kind == "in":
                value = aligned(value.nbytes, value.dtype) if not value.size else value
            passed.append(value)
        results = [np.zeros(max(1, size), np.uint8) for size in self.results]
        function(*passed, *results, tokens=tokens, positions=self.positions)
        return [p.tobytes() for p in packed], [r.tobytes()[:size] for r, size in zip(results, self.results)]

    def there(self, command, folder, tokens, threads):
        """The same by the library of another machine."""
        packed, results, passed = [], [], []
        for i, (kind, value) in enumerate(self.arguments):
            file = folder / f"argument{i}"
            if kind in ("in", "pack"):
                file.write_bytes(value.tobytes())
            if kind == "pack":
                passed.append(f"pack:{len(packed)}:{file}")
                packed.append(pathlib.Path(f"{file}.packed"))
            else:
                passed.append(f"{kind}:{file if kind == 'in' else value}")
        for i, size in enumerate(self.results):
            results.append(folder / f"result{i}")
            passed.append(f"out:{size}:{results[-1]}")
        counts = f"{tokens}" if self.positions is None else f"{tokens}:{self.positions}"
        run(*command, self.function, counts, threads, *passed)
        return [p.read_bytes() for p in packed], [r.read_bytes() for r in results]


def stored(array, element):
    return bf16(array) if element == "bf16" else array.astype(np.float16 if element == "f16" else np.float32)


def extremes(rows, columns, magnitude):
    """One magnitude, signs by patterns of four columns, another for each row: sums of integers are as large as they can be."""
    row, column = np.indices((rows, columns))
    return np.where(row >> column % 4 & 1, -magnitude, magnitude).astype(np.float32)


def cases(tokens, random):
    linear = lambda name, columns, rows, out, element="f32": Case(
        name, [("in", random(tokens, columns)), ("pack", stored(random(rows, columns), element))], [tokens * out * 4])
    yield linear("linear_f32", 37, 19, 19)
    yield linear("linear_bf16", 37, 50, 50, "bf16")
    yield linear("gated_f16", 36, 42, 21, "f16")
    yield linear("linear_int8", 72, 50, 50)
    yield linear("linear_int4", 72, 50, 50, "bf16")
    yield linear("gated_int4_min", 72, 42, 21, "f16")
    yield linear("linear_mxfp4", 72, 50, 50)
    yield linear("linear_int8_channel", 72, 50, 50)
    yield linear("linear_int4_nl", 72, 50, 50)
    for kind, element in (("int8", "f32"), ("int4", "bf16"), ("mxfp4", "f32"), ("int8_channel", "f32")):
        yield Case(f"linear_{kind}", [("in", extremes(tokens, 72, 1)), ("pack", stored(extremes(50, 72, 1.5), element))],
                   [tokens * 50 * 4])
    yield Case("choose", [("in", random(tokens, 8))], [tokens * 12, tokens * 12])
    yield Case("attend", [("in", random(tokens, 32)), ("in", random(tokens, 16)), ("in", random(tokens, 16)),
                          ("state", 128 * 64), ("int", 0)], [tokens * 128], positions=64)
    for name, kind in {**LAYERS, **QUANTISED}.items():
        weights = [random(EXPERTS, HIDDEN), stored(random(EXPERTS, 2 * WIDTH, HIDDEN), kind),
                   stored(random(EXPERTS, HIDDEN, WIDTH), kind)]
        yield Case(name, [("in", random(tokens, HIDDEN)), *(("pack", w) for w in weights)], [tokens * HIDDEN * 4])


def cache_cases(tokens, random):
    yield Case("attend_q8_0", [("in", random(tokens, 60)), ("in", random(tokens, 30)), ("in", random(tokens, 30)),
                               ("state", 2 * 2 * (16 + 4) * 64), ("int", 0)], [tokens * 240], positions=64)


def wild(random, *shape):
    """Numbers of every size: some products are lost beside others, cancel, overflow or are denormal."""
    scales = np.array([1, 1, 8, 2.0**-70, 1, 2.0**-128, 1, 2.0**62, 0, -0.0], np.float32)
    i, k = np.indices(shape)
    numbers = random(*shape) * scales[(7 * i + k * (k + i)) % len(scales)]
    numbers[-1:] = np.copysign(np.float32(2.0**-64), numbers[:1])
    return numbers


def pair_cases(tokens, random):
    for name, columns, rows, out in (("pairs", 37, 50, 50), ("more_pairs", 128, 50, 50), ("gated_pairs", 36, 42, 21)):
        # The same rows for all counts of them.
        x, w = wild(random, TOKENS[-1], columns), wild(random, rows, columns)
        # The last product, by a line alone where columns are odd, leaves a sum of -2^-127: -0.
        last = columns - 1
        x[1], x[1, last - 2:], w[1, last - 2:] = 0, 2.0**-63, 2.0**-63
        x[1, last - 1], x[1, last] = 0, -1.5 * 2.0**-63
        yield Case(name, [("in", bf16(x[:tokens])), ("pack", bf16(w))], [tokens * out * 4])


def build(folder, machine, word, graph="graph", emulates=False):
    done = run(MOEC, folder / f"{graph}.mlir", "--emit=lib,asm", f"--target={machine}", "-o", folder / "libgraph.so",
               *(["--emulate-isa"] if emulates else []))
    recipe = "bf16-odd-pairs" if machine in WITH_PAIRS else "widen-f32-fma"
    assert f"target {machine} (NEON), recipe {recipe}" in done.stderr, done.stderr
    listing = (folder / "libgraph.s").read_text()
    assert f"\t{word}\t" in listing, (machine, word)
    for multiply in ("bfdot", "bfmmla"):
        assert (f"\t{multiply}\t" in listing) == (graph == "pairs" and not emulates), (machine, multiply)
    return folder / "libgraph.so"


def qemu(folder, cpu, library):
    return ["qemu-aarch64", "-L", SYSROOT, "-cpu", cpu, "-E", f"LD_LIBRARY_PATH={folder}", folder / "call_library",
            library]


def compare(folder, graph, here, cases=cases, machines=MACHINES):
    for machine, cpu, word in machines:
        library = build(folder, machine, "fmla" if graph == "float_rows" else word, graph)
        command = qemu(folder, cpu, library)
        generator, count = np.random.default_rng(0), 0
        random = lambda *shape: generator.standard_normal(shape).astype(np.float32)
        for tokens in TOKENS:
            for case in cases(tokens, random):
                packed, results = case.here(here, tokens)
                for threads in (1, 2) if tokens == TOKENS[-1] else (1,):
                    assert case.there(command, folder, tokens, threads) == (packed, results), (
                        machine, case.function, tokens, threads)
                count += 1
        print(graph, machine, count, "calls", flush=True)


def compare_pairs(folder, machine, cpu):
    """BFDOT and its emulation, for all row counts the same bits of a row."""
    found = {}
    for emulates, word in ((False, "bfdot"), (True, "fmul")):
        command = qemu(folder, cpu, build(folder, machine, word, "pairs", emulates))
        for tokens in (*range(8), TOKENS[-1]):
            generator = np.random.default_rng(0)
            for case in pair_cases(tokens, lambda *shape: generator.standard_normal(shape).astype(np.float32)):
                for threads in (1, 2) if tokens == TOKENS[-1] else (1,):
                    packed, (result,) = case.there(command, folder, tokens, threads)
                    result = np.frombuffer(result, np.uint32)
                    # No recipe says which NaN a NaN is.
                    result = np.where(result & 0x7fffffff > 0x7f800000, 0x7fc00000, result).tobytes()
                    found.setdefault(case.function, []).append((packed, result))
    for function, calls in found.items():
        packed, rows = calls[-1]
        assert function != "pairs" or np.frombuffer(rows, np.uint32)[50 + 1] == 0x80000000
        assert len(calls) == 20 and len(set(np.frombuffer(rows, np.uint32).tolist())) > 100, (function, len(calls))
        for i, call in enumerate(calls):
            assert call == (packed, rows[:len(call[1])]), (machine, function, i)
        print("pairs", machine, function, len(calls), "calls", flush=True)


def cross_executables(folder):
    for target in ("cortex-a76", "x86-64-v3,cortex-a76"):
        done = subprocess.run([MOEC, GOLDENS / "olmoe", f"--target={target}", "-o", folder / "none"],
                              capture_output=True, text=True)
        assert done.returncode == 1 and not (folder / "none").exists(), done
        assert done.stderr == ("moec: error: --target: executables are made for x86-64 only, not for cortex-a76 "
                               "(NEON); expected --emit=obj, asm, llvm or mlir, or lib and header of a .mlir "
                               "file\n"), done.stderr
    run(MOEC, GOLDENS / "olmoe", "--target=cortex-a76", "--emit=obj", "-o", folder / "olmoe.o")
    assert (folder / "olmoe.o").read_bytes()[18] == 183  # EM_AARCH64


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "graph.mlir").write_text(GRAPH)
        (folder / "float_rows.mlir").write_text("module attributes {lm.activations = #lm.format<f32>} {" + GRAPH + "}\n")
        (folder / "pairs.mlir").write_text(PAIRS)
        (folder / "cache.mlir").write_text(CACHE)
        cross_executables(folder)
        missing = [what for what in (shutil.which("qemu-aarch64"), SYSROOT / "include" / "stdio.h") if not what or
                   not pathlib.Path(what).exists()]
        if missing:
            print("not run: qemu-aarch64 or the headers of libc6-dev-arm64-cross are missing")
            for machine, _, word in MACHINES:
                build(folder, machine, word)
            for machine in WITH_PAIRS:
                build(folder, machine, "bfdot", "pairs")
            sys.exit(77)
        source = pathlib.Path(__file__).with_name("call_library.c")
        run(CLANG, *CROSS, "-std=c11", "-Wall", "-Wextra", "-Werror", source, "-o", folder / "call_library")
        # The runtime's own threads stand for OpenMP's library.
        run(CLANG, *CROSS, "--driver-mode=g++", "-std=c++23", "-shared", "-fPIC", "-Wl,-soname,libomp.so.5",
            *sorted((RUNTIME / "OpenMP").glob("*.cpp")), "-static-libstdc++", "-o", folder / "libomp.so.5")
        for machine, cpu, _ in MACHINES:
            if machine in WITH_PAIRS:
                compare_pairs(folder, machine, cpu)
        for graph in ("graph", "float_rows"):
            here = folder / f"lib{graph}_here.so"
            run(MOEC, folder / f"{graph}.mlir", "--emit=lib", "--target=x86-64-v3", "-o", here)
            compare(folder, graph, ctypes.CDLL(str(here)))
        for fours, options in ((False, []), (True, ["--emulate-isa"])):
            here = folder / f"libcache_here{len(options)}.so"
            run(MOEC, folder / "cache.mlir", "--emit=lib", "--target=x86-64-v3", *options, "-o", here)
            machines = [(machine, cpu, word if fours else "fmla") for machine, cpu, word in MACHINES
                        if fours == (word != "smull")]
            compare(folder, "cache", ctypes.CDLL(str(here)), cache_cases, machines)


if __name__ == "__main__":
    main()
