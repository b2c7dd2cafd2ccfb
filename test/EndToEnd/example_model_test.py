#!/usr/bin/env python3
"""Compiles the example model and uses it: example_model_test.py MOEC MODEL_DIR

Two-digit sums (of which it gets nearly all right), streaming text, the model
card, the tokenizer's round trip, and the routing contract in bf16 on real text.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

from checkpoint_test import Model, check_contract

SUMS = [(23, 45), (31, 27), (64, 13), (52, 36), (71, 18), (44, 33), (85, 12), (26, 61), (93, 24), (38, 57)]


def main():
    moec, directory = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        executable = folder / "model"
        subprocess.run([moec, directory, "-o", executable], check=True)

        def run(*arguments):
            return subprocess.run([executable, *arguments], check=True, capture_output=True, text=True).stdout

        right = sum(run("run", "-p", f"{a}+{b}=", "-n", "4", "--temp", "0").startswith(str(a + b)) for a, b in SUMS)
        assert right >= 8, f"{right} of {len(SUMS)} sums right"

        seeded = [run("run", "-p", "And the LORD said unto", "-n", "40", "--seed", "7") for _ in range(2)]
        assert seeded[0] == seeded[1] and len(seeded[0]) > 40, "the same seed gave another text"

        card = json.loads(run("info", "--json"))
        model = card.get("model", card)
        assert model["experts"] == 16 and model["top_k"] == 4 and model["parameters_total"] == 5719424, model

        text = "In the beginning God created the heaven and the earth.\ndef f(x):\n    return x + 1\n12+34=46\n"
        tokens = [int(word) for word in run("tokenize", "-p", text * 3).split()]
        check_contract(Model(executable, folder), tokens)
        print(f"{right} of {len(SUMS)} sums right, {len(tokens)} tokens")


if __name__ == "__main__":
    main()
