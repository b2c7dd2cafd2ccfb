"""What the peers' Python programs share: words, times and the protocol of bench/measure/peer.py."""
import json
import pathlib
import sys
import time

import numpy


def arguments():
    """HIDDEN WIDTH EXPERTS TOP_K FORMAT THREADS"""
    *sizes, form, threads = sys.argv[1:7]
    return *map(int, sizes), form, int(threads)


class Sweep:
    """As bench/measure/host.py's: no call finds what the one before it read."""

    def __init__(self):
        text = pathlib.Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
        size = int(text.read_text()[:-2]) << 10 if text.exists() else 32 << 20
        self.lines = numpy.ones(size * 3 // 2 // 8, numpy.uint64)

    def __call__(self):
        self.lines.sum()


class Turns:
    """A layer's calls; it has fresh(tokens), an input, call(input), a result, and error(input, result) of the first row."""

    def __init__(self, layer):
        self.layer, self.sweep = layer, Sweep()

    def prepare(self, tokens, calls):
        self.tokens, self.calls = tokens, calls
        self.draw()
        return {"error": float(self.layer.error(self.inputs[0], self.layer.call(self.inputs[0])))}

    def draw(self):
        self.inputs = [self.layer.fresh(self.tokens) for _ in range(self.calls)]
        return {}

    def run(self):
        seconds = []
        for x in self.inputs:
            self.sweep()
            start = time.perf_counter()
            self.layer.call(x)
            seconds.append(time.perf_counter() - start)
        return seconds


def serve(layer, about):
    turns = Turns(layer)
    print(json.dumps({"about": about}), flush=True)
    for line in sys.stdin:
        word, *numbers = line.split()
        print(json.dumps(getattr(turns, word)(*map(int, numbers))), flush=True)
