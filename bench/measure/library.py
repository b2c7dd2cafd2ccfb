"""Calls what `moec --emit=lib` makes: docs in the header that it writes."""
import ctypes
import functools
import json
import re
import time

import numpy as np

from . import ceilings, host, script, weights


def compile_graph(moec, text, folder, target, name="graph", *options):
    """(library, recipe): the loaded library of a graph, and the recipe of products that moec says it took."""
    source, library = folder / f"{name}.mlir", folder / f"{name}.so"
    source.write_text(text)
    said = host.run([moec, source, "--emit=lib", "-o", library, f"--target={target}", *options], check=True,
                    capture_output=True, text=True).stderr
    script.check_made(moec, library)
    recipe = re.search(r"recipe ([\w-]+)", said)
    return ctypes.CDLL(str(library)), recipe.group(1) if recipe else "unknown"


class PackedFile(ceilings.FilePages):
    """A file of packed weights."""

    def __init__(self, path, sizes):
        starts = np.cumsum([0] + [(size + 4095) // 4096 * 4096 for size in sizes])
        super().__init__(path, max(int(starts[-1]), 4096))
        self.starts = [int(start) for start in starts[:-1]]
        self.addresses = [self.start + start for start in self.starts]

    def place(self, number):
        """Where weight `number` is to be packed."""
        return ceilings.address(self.filled) + self.starts[number]


class Function:
    """One function of a library. Weights are packed into a file in `folder`."""

    def __init__(self, library, name, folder):
        get = lambda suffix: getattr(library, name + suffix)
        self.call, self.pack_weight = get(""), get("_pack")
        self.pack_weight.argtypes = [ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p]
        self.arena_size, self.packed_size, describe = get("_arena_size"), get("_packed_size"), get("_describe")
        self.arena_size.argtypes = [ctypes.c_int64] * 2
        self.arena_size.restype = self.packed_size.restype = ctypes.c_int64
        describe.restype = ctypes.c_char_p
        self.description = json.loads(describe())
        self.arguments = self.description["arguments"]
        self.sizes = [self.packed_size(i) for i in range(sum(a["kind"] == "weight" for a in self.arguments))]
        self.path, self.lent = folder / f"{name}.weights", None

    @functools.cached_property
    def file(self):
        """Made when it is first packed into: who borrows needs none."""
        return PackedFile(self.path, self.sizes)

    def packed(self, number):
        """Address of a packed weight."""
        return (self.lent or self.file.addresses)[number]

    def pack(self, number, logical):
        """Packs an array in its library form."""
        status = self.pack_weight(number, logical.ctypes.data, self.file.place(number))
        assert status == 0, f"packing weight {number}: status {status}"

    def outputs(self, tokens):
        """Arrays for the results; 'tokens * 2' in a description is a number of rows."""
        arrays = []
        for result in self.description["results"]:
            factor = int(result["shape"][0].split("*")[1]) if "*" in result["shape"][0] else 1
            dtype = {"f32": np.float32, "i32": np.int32}.get(result["type"], np.uint16)
            arrays.append(np.zeros([tokens * factor, *result["shape"][1:]], dtype))
        return arrays

    def borrow(self, lender, numbers):
        """Takes another function's packed weights `numbers`: equal ops have equal layouts."""
        assert self.sizes == [lender.sizes[number] for number in numbers]
        self.lent = [lender.packed(number) for number in numbers]

    def prepare(self, tokens, threads, positions=None, copies=1):
        """Allocates and touches what calls of this size need; `copies`: sets of states, taken in turn."""
        self.tokens, self.threads, self.positions = tokens, threads, positions
        self.area, self.arena = self.zeroed(self.arena_size(tokens, threads))
        sizes = [argument["bytes_per_position"] * positions for argument in self.arguments if argument["kind"] == "state"]
        self.state_sets = [[self.zeroed(size) for size in sizes] for _ in range(copies)]
        self.turn = 0
        self.results = self.outputs(tokens)

    @staticmethod
    def zeroed(size):
        area, start = ceilings.huge_pages(size)
        ctypes.memset(start, 0, size)
        return area, start

    def run(self, *rows_and_scalars):
        """Seconds of one call; arrays and integers stand for the arguments that are neither weight nor state."""
        states = iter(self.state_sets[self.turn % len(self.state_sets)])
        given, packed = iter(rows_and_scalars), iter(range(len(self.sizes)))
        self.turn += 1
        words = []
        for argument in self.arguments:
            if argument["kind"] == "weight":
                words.append(ctypes.c_void_p(self.packed(next(packed))))
            elif argument["kind"] == "state":
                words.append(ctypes.c_void_p(next(states)[1]))
            else:
                value = next(given)
                words.append(ctypes.c_void_p(value.ctypes.data) if isinstance(value, np.ndarray)
                             else ctypes.c_int64(value))
        words += [ctypes.c_void_p(result.ctypes.data) for result in self.results]
        words.append(ctypes.c_int64(self.tokens))
        if self.positions is not None:
            words.append(ctypes.c_int64(self.positions))
        words += [ctypes.c_void_p(self.arena), ctypes.c_int64(self.threads)]
        start = time.perf_counter()
        status = self.call(*words)
        seconds = time.perf_counter() - start
        assert status == 0, f"{self.description['name']}: status {status}"
        return seconds


def tensor(*dims, kind):
    """tensor<8x64xf32>; None is a dynamic dimension; `kind`: an element type or a WeightType."""
    element = kind.element if isinstance(kind, weights.WeightType) else kind
    return "tensor<" + "x".join("?" if dim is None else str(dim) for dim in dims) + f"x{element}>"
