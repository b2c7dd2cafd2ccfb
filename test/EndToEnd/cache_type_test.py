#!/usr/bin/env python3
"""Runs a golden with every type of KV cache (-ctk, -ctv) and looks at what that changes.

usage: cache_type_test.py MOEC GOLDEN_DIR

Checks: logits lie within a bound of those with an f32 cache, and are not the same; keys and values follow their own flag;
chunks and threads change no bit; neither does code for that type alone (moec --kv); the card's types and memory follow; a
type without code is refused in one line.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

# In standard deviations of the logits: the median over 150 tokens of the largest of a token's, since a few tokens choose
# other experts. Relative rounding of one element: f16 2^-11,
# bf16 2^-8; q8_0 rounds to 1/254 of the largest element of a head.
BOUNDS = {"f32": 0, "f16": 3e-3, "bf16": 3e-2, "q8_0": 4e-2}
# Where activations are rounded to 16 bits, a small difference becomes one of their units.
ROUNDING = 3e-2
# Bytes of one element of a head of D.
BYTES = {"f32": lambda d: 4, "f16": lambda d: 2, "bf16": lambda d: 2, "q8_0": lambda d: (d + 4) / d}


def choice(keys, values):
    return ["-ctk", keys, "-ctv", values]


def logits(model, tokens, *options):
    out = model.with_suffix(".npy")
    subprocess.run([model, "logits", "--tokens", ",".join(map(str, tokens)), "--out", out, *options], check=True,
                   stderr=subprocess.DEVNULL)
    return np.load(out)


def card(model, *options):
    done = subprocess.run([model, "info", "--json", "-c", "128", *options], check=True, capture_output=True)
    return json.loads(done.stdout)


def check_type(model, tokens, wide, keys, values):
    flags = choice(keys, values)
    ours = logits(model, tokens, *flags)
    info = card(model, *flags)
    error, bound = np.median(np.abs(ours - wide).max(axis=1)) / wide.std(), BOUNDS[keys] + BOUNDS[values]
    if bound and info["activation_type"] != "f32":
        bound += ROUNDING
    print(f"{keys}, {values}: off by {error:.1e} of {bound:.1e} std")
    assert error <= bound and (error > 0) == (bound > 0), error
    for options in (["-t", "3"], ["--chunk", "1", "-t", "1"], ["--chunk", "7", "-t", "2"]):
        assert logits(model, tokens, *options, *flags).tobytes() == ours.tobytes(), options
    elements = info["layers"] * info["kv_heads"] * info["head_dim"]
    a_position = sum(elements * BYTES[kind](info["head_dim"]) for kind in (keys, values))
    assert (info["kv_type_k"], info["kv_type_v"]) == (keys, values), info
    assert info["memory"]["kv_bytes"] == 128 * a_position, info["memory"]
    return ours.tobytes()


def check_refusals(model, kind, missing):
    tokens = ["logits", "--tokens", "1,2", "--out", model.with_suffix(".npy")]
    for flags in ([f"--cache-type-k={kind}"], ["--cache-type-v", kind]):
        subprocess.run([model, *tokens, *flags], check=True, capture_output=True)
    for flag, value, status, expected in (("-ctk", missing, 1, f"moec --kv={kind},{missing}"),
                                          ("-ctv", missing, 1, f"moec --kv={kind},{missing}"),
                                          ("-ctk", "q4_0", 2, "q4_0")):
        done = subprocess.run([model, *tokens, flag, value], capture_output=True, text=True)
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == status and len(lines) == 1 and expected in lines[0], done
        print(lines[0])


def main():
    moec, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    vocab = json.loads((directory / "config.json").read_text())["vocab_size"]
    tokens = [(7 * i * i + 3) % vocab for i in range(150)]
    with tempfile.TemporaryDirectory() as folder:
        def compile_as(name, *options):
            subprocess.run([moec, directory, "-o", pathlib.Path(folder) / name, *options], check=True)
            return pathlib.Path(folder) / name

        every = compile_as("every")
        types = card(every)["kv_types"]
        assert sorted(types) == sorted(BOUNDS) and types[0] == card(every)["weight_type"], types
        wide = logits(every, tokens, *choice("f32", "f32"))
        bits = {(k, v): check_type(every, tokens, wide, k, v) for k in BOUNDS for v in BOUNDS}
        assert len(set(bits.values())) == len(bits), "two choices gave the same logits"
        assert logits(every, tokens).tobytes() == bits[types[0], types[0]], "the first type is the default"
        for kind in BOUNDS:
            alone = compile_as(kind, f"--kv={kind}")
            assert card(alone)["kv_types"] == [kind]
            assert logits(alone, tokens).tobytes() == bits[kind, kind], kind
            check_refusals(alone, kind, "f16" if kind == "f32" else "f32")


if __name__ == "__main__":
    main()
