#!/usr/bin/env python3
"""Times compilation: bench/compile_cost.py [MOEC]

Medians of five runs: a tiny golden checkpoint to an executable, and the shape
of OLMoE-1B-7B (16 and 32 layers) to an object, which is everything but writing
its weights. Nothing else should run meanwhile.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test/EndToEnd"))
from compile_cost_test import OLMOE  # noqa: E402


def median(command):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    moec = sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/bin/moec"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        golden = ROOT / "test/EndToEnd/golden/olmoe"
        print(f"tiny golden to executable: {median([moec, golden, '-o', folder / 'model']):.2f} s")
        for layers in (16, 32):
            config = folder / "config.json"
            config.write_text(json.dumps(OLMOE | dict(num_hidden_layers=layers)))
            seconds = median([moec, config, "--weights=random:1", "--emit=obj", "-o", folder / "model.o"])
            print(f"OLMoE-1B-7B's shape, {layers} layers, to object: {seconds:.2f} s")


if __name__ == "__main__":
    main()
