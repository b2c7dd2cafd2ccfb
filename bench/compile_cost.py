#!/usr/bin/env python3
"""Times compilation.

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
from measure import script  # noqa: E402


def median(moec, output, *arguments):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([moec, *arguments, "-o", output], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    script.check_made(moec, output)
    return statistics.median(times)


def main():
    parser = script.Parser(__doc__)
    parser.add_argument("moec", nargs="?", type=script.program, default=str(ROOT / "build/bin/moec"), metavar="MOEC",
                        help="build/bin/moec")
    moec = parser.parse_args().moec
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        golden = ROOT / "test/EndToEnd/golden/olmoe"
        print(f"tiny golden to executable: {median(moec, folder / 'model', golden):.2f} s")
        for layers in (16, 32):
            config = folder / "config.json"
            config.write_text(json.dumps(OLMOE | dict(num_hidden_layers=layers)))
            seconds = median(moec, folder / "model.o", config, "--weights=random:1", "--emit=obj")
            print(f"OLMoE-1B-7B's shape, {layers} layers, to object: {seconds:.2f} s")


if __name__ == "__main__":
    script.main(main)
