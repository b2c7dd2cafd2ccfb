#!/usr/bin/env python3
"""Compiles a golden with another type of KV cache (moec --kv) and looks at what that changes.

usage: cache_type_test.py MOEC GOLDEN_DIR TYPE

Checks: logits lie within a bound of those with an f32 cache, and are not the same; chunks and threads change no bit;
the card's type and memory follow; -ctk and -ctv take the compiled type and refuse others in one line.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

# In standard deviations of the logits, the largest over 150 tokens. Relative rounding of one element: f16 2^-11,
# bf16 2^-8; q8_0 rounds to 1/254 of the largest element of a head.
BOUNDS = {"f16": 3e-3, "bf16": 3e-2, "q8_0": 4e-2}
# Bytes of one element of a head of D.
BYTES = {"f32": lambda d: 4, "f16": lambda d: 2, "bf16": lambda d: 2, "q8_0": lambda d: (d + 4) / d}


def logits(model, tokens, *options):
    out = model.with_suffix(".npy")
    subprocess.run([model, "logits", "--tokens", ",".join(map(str, tokens)), "--out", out, *options], check=True,
                   stderr=subprocess.DEVNULL)
    return np.load(out)


def card(model):
    return json.loads(subprocess.run([model, "info", "--json", "-c", "128"], check=True, capture_output=True).stdout)


def check_flags(model, kind):
    tokens = ["logits", "--tokens", "1,2", "--out", model.with_suffix(".npy")]
    for flags in (["-ctk", kind, "-ctv", kind], [f"--cache-type-k={kind}"], ["--cache-type-v", kind]):
        subprocess.run([model, *tokens, *flags], check=True, capture_output=True)
    for flag, value, status, expected in (("-ctk", "f32", 1, "moec --kv=f32"), ("-ctv", "f32", 1, "moec --kv=f32"),
                                          ("-ctk", "q4_0", 2, "q4_0")):
        done = subprocess.run([model, *tokens, flag, value], capture_output=True, text=True)
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == status and len(lines) == 1 and expected in lines[0], done
        print(lines[0])


def main():
    moec, directory, kind = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    prompt = list(np.load(directory / "expected.npz")["p0_tokens"])
    tokens = (prompt * 150)[:150]
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        for name in ("f32", kind):
            models[name] = pathlib.Path(folder) / name
            subprocess.run([moec, directory, "-o", models[name], f"--kv={name}"], check=True)
        wide, ours = logits(models["f32"], tokens), logits(models[kind], tokens)
        error = np.abs(ours - wide).max() / wide.std()
        print(f"{kind}: off by {error:.1e} of {BOUNDS[kind]:.1e} std")
        assert 0 < error <= BOUNDS[kind], error
        for options in (["-t", "3"], ["--chunk", "1", "-t", "1"], ["--chunk", "7", "-t", "2"]):
            assert logits(models[kind], tokens, *options).tobytes() == ours.tobytes(), options
        info = card(models[kind])
        layer = info["layers"] * info["kv_heads"] * info["head_dim"] * 2
        assert info["kv_type"] == kind
        assert info["memory"]["kv_bytes"] == 128 * layer * BYTES[kind](info["head_dim"]), info["memory"]
        check_flags(models[kind], kind)


if __name__ == "__main__":
    main()
