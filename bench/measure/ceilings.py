"""The machine's ceilings: every try at the start, the best two of each kind in every round."""
import ctypes
import itertools
import mmap
import pathlib
import shutil

import numpy as np

from . import host, script

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "ceilings"
STREAMS, AHEAD = (1, 2, 4, 8), (0, 2048)
REPEATS = 5      # of a try at the start; its median counts
ONLY_AVX2 = ("zmm", "vpdpbusd")
LACKING = {"native": (), "x86-64-v3": ONLY_AVX2, "haswell": ONLY_AVX2, "znver2": ONLY_AVX2, "znver3": ONLY_AVX2,
           "x86-64-v4": ("bf16-pairs", "vpdpbusd")}  # words in names of tries
FINALISTS = 2    # tries of a kind that are run in every round


def build(folder):
    clang = shutil.which("clang-22") or shutil.which("clang")
    if not clang:
        script.fail("needs clang for bench/ceilings")
    library = folder / "ceilings.so"
    host.run([clang, "-O3", "-fopenmp", "-shared", "-fPIC", *sorted(SOURCES.glob("*.c")), "-o", library,
              "-L/usr/lib/llvm-22/lib"], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.loop_rate.restype = loaded.read_rate.restype = ctypes.c_double
    loaded.loop_rate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_double]
    loaded.read_rate.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    loaded.loop_name.restype = loaded.loop_recipe.restype = ctypes.c_char_p
    return loaded


def address(buffer):
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def advise_huge_pages(area):
    try:
        area.madvise(mmap.MADV_HUGEPAGE)
    except OSError:
        pass


def huge_pages(size):
    """(owner, address): memory aligned to 2 MiB, in huge pages where the system gives them."""
    area = mmap.mmap(-1, size + (2 << 20), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    advise_huge_pages(area)
    return area, (address(area) + (2 << 20) - 1) // (2 << 20) * (2 << 20)


class FilePages:
    """A new file's pages, written and mapped as an executable's weights are: in huge pages where the system has such of
    files, read-only, with the runtime's advice. They are filled through another mapping."""

    def __init__(self, path, size):
        with open(path, "w+b") as file:
            pages = bytes(4 << 20)
            for start in range(0, size, len(pages)):
                file.write(pages[:size - start])
            file.flush()
            self.filled = mmap.mmap(file.fileno(), size)
            self.map = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
        advise_huge_pages(self.map)
        self.size, self.start = size, np.frombuffer(self.map, np.uint8).ctypes.data

    def settle(self):
        """Writes pages back now, since the system would amid the rounds, and keeps them in memory if it lets us."""
        self.filled.flush()
        ctypes.CDLL(None).mlock(ctypes.c_void_p(self.start), ctypes.c_size_t(self.size))


def fill(start, size):
    """Touches memory: every page distinct, or the system might share them."""
    view = np.ctypeslib.as_array(ctypes.cast(start, ctypes.POINTER(ctypes.c_uint64)), (size // 8,))
    view[:] = np.arange(len(view), dtype=np.uint64)


class Ceilings:
    """`target`: moec's; tries with instructions that it lacks are left out."""

    def __init__(self, folder, target="native"):
        if target not in LACKING:
            script.fail(f"--target: ceilings are known of {', '.join(LACKING)}; not of '{target}'")
        leave_out = LACKING[target]
        self.library = build(folder)
        # No power of two: streams that lie 64 MiB apart are read 10 to 15 % slower on Zen 3.
        self.bytes = max(256 << 20, 8 * host.last_level_cache()) + (3 << 20)
        self.file = FilePages(folder / "ceiling-pages", self.bytes)
        self.memory, anonymous = huge_pages(self.bytes)
        self.starts = {"file": self.file.start, "anonymous": anonymous}
        for start in (address(self.file.filled), anonymous):
            fill(start, self.bytes)
        self.file.settle()
        self.loops = {}  # recipe: {name: number}
        for i in range(self.library.loop_count()):
            name, recipe = self.library.loop_name(i).decode(), self.library.loop_recipe(i).decode()
            if self.library.loop_available(i) and not any(word in f"{recipe} {name}" for word in leave_out):
                self.loops.setdefault(recipe, {})[name] = i
        self.tries = {}  # threads: {kind: {try: rate}}, kind "read" or a recipe

    def read_once(self, way, threads):
        pages, streams, ahead = way
        return self.library.read_rate(self.starts[pages], self.bytes, threads, streams, ahead)

    def compute_once(self, loop, threads, seconds=0.01):
        return self.library.loop_rate(loop, threads, seconds)

    def find_finalists(self, threads):
        """Runs every try; once for each number of threads."""
        if threads in self.tries:
            return
        ways = {f"{pages} pages, {streams} streams, prefetch {ahead}": (pages, streams, ahead)
                for pages, streams, ahead in itertools.product(self.starts, STREAMS, AHEAD)}
        self.ways = ways
        median = lambda once, what: float(np.median([once(what, threads) for _ in range(REPEATS)]))
        found = {"read": {name: median(self.read_once, way) for name, way in ways.items()}}
        for recipe, loops in self.loops.items():
            found[recipe] = {name: median(self.compute_once, loop) for name, loop in loops.items()}
        self.tries[threads] = found

    def finalists(self, kind, threads):
        tries = self.tries[threads][kind]
        return sorted(tries, key=tries.get, reverse=True)[:FINALISTS]

    def read(self, threads):
        """The read ceiling now: each finalist twice, the best counts."""
        return max(self.read_once(self.ways[name], threads)
                   for name in self.finalists("read", threads) for _ in range(2))

    def compute(self, recipes, threads):
        """The compute ceiling of the fastest of several recipes, now."""
        recipes = [recipe for recipe in recipes if recipe in self.loops]
        best = max(recipes, key=lambda recipe: max(self.tries[threads][recipe].values()))
        return max(self.compute_once(self.loops[best][name], threads, 0.01)
                   for name in self.finalists(best, threads))

    def both(self, recipes, threads):
        """A function that gives the ceilings of a round."""
        self.find_finalists(threads)
        return lambda: {"compute": self.compute(recipes, threads), "read": self.read(threads)}
