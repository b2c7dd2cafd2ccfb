#!/usr/bin/env python3
"""Compiles one golden checkpoint and compares the executable with the oracle.

usage: checkpoint_test.py MOEC GOLDEN_DIR [MOEC_OPTION ...]

Checks (README, promises):
  - logits of every prompt: f32 within 2e-4 of the logits' standard deviation;
    16-bit: no farther from the f32 evaluation of the same weights than 1.25
    times transformers' own 16-bit result (at least 3e-2);
  - the greedy continuation, with the cache;
  - the expert ids and weights of prompt and continuation;
  - the routing contract: the same bits of logits and routing whether the prompt
    is fed whole or in chunks of 1, 3, 7 and 64, by 1, 2 or 3 threads.
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    types = {"I32": np.int32, "F32": np.float32, "U8": np.uint8}
    tensors = {}
    for name, info in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        raw = data[8 + size + begin:8 + size + end]
        tensors[name] = np.frombuffer(raw, types[info["dtype"]]).reshape(info["shape"])
    return tensors


class Model:
    def __init__(self, executable, folder):
        self.executable, self.folder = executable, folder

    def logits(self, tokens, *options):
        out, trace = self.folder / "logits.npy", self.folder / "routing.safetensors"
        subprocess.run([self.executable, "logits", "--tokens", ",".join(map(str, tokens)), "--out", out,
                        "--trace-routing", trace, *options], check=True, stderr=subprocess.DEVNULL)
        return np.load(out), read_safetensors(trace)

    def generate(self, tokens, count):
        done = subprocess.run([self.executable, "generate", "--tokens", ",".join(map(str, tokens)), "-n", str(count),
                               "--greedy", "--ignore-eos"], check=True, capture_output=True, text=True)
        return [int(word) for word in done.stdout.split()]


def check_prompt(model, golden, prefix):
    tokens = golden[prefix + "tokens"]
    reference = golden.get(prefix + "logits_f32", golden[prefix + "logits"])
    std = reference.std()
    logits, _ = model.logits(tokens)
    error = np.abs(logits - reference).max() / std
    allowed = 2e-4
    if prefix + "logits_f32" in golden:
        allowed = max(3e-2, 1.25 * np.abs(golden[prefix + "logits"] - reference).max() / std)
    assert logits.shape == reference.shape, (logits.shape, reference.shape)
    assert error <= allowed, f"{prefix}: logits off by {error:.2e} std, allowed {allowed:.2e}"
    greedy = list(golden[prefix + "greedy"])
    assert model.generate(tokens, len(greedy)) == greedy, f"{prefix}: greedy tokens differ"

    # Routing of prompt and continuation, from one call on both.
    full = list(tokens) + greedy[:-1]
    _, trace = model.logits(full)
    layers = sorted(key for key in golden if key.startswith(prefix) and key.endswith("_experts"))
    assert layers
    for key in layers:
        layer = int(key.split("_")[1][1:])
        experts, weights = golden[key], golden[key.replace("_experts", "_weights")]
        ours, our_weights = trace[f"layer.{layer}.ids"], trace[f"layer.{layer}.weights"]
        assert (np.sort(ours) == np.sort(experts)).all(), f"{key}: experts differ"
        sorted_weights = lambda ids, w: np.take_along_axis(w, np.argsort(ids), -1)
        # A 16-bit oracle's weights carry its own rounding; there the logits' bound speaks for them.
        if prefix + "logits_f32" not in golden:
            assert np.allclose(sorted_weights(ours, our_weights), sorted_weights(experts, weights), atol=1e-4), key
    print(f"{prefix} T={len(tokens)}: {error:.1e} of {allowed:.1e} std")
    return full


def check_contract(model, tokens):
    whole, routing = model.logits(tokens)
    for options in (["-t", "1"], ["-t", "2"], ["-t", "3"], ["--chunk", "1"], ["--chunk", "3", "-t", "2"],
                    ["--chunk", "7", "-t", "1"], ["--chunk", "64", "-t", "2"]):
        logits, other = model.logits(tokens, *options)
        assert logits.tobytes() == whole.tobytes(), f"{options}: logits differ in their bits"
        for name in routing:
            assert other[name].tobytes() == routing[name].tobytes(), f"{options}: {name} differs in its bits"
    print(f"contract: {len(tokens)} tokens, the same bits in 7 ways")


def main():
    moec, directory, *options = sys.argv[1:]
    directory = pathlib.Path(directory)
    golden = dict(np.load(directory / "expected.npz"))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        executable = folder / "model"
        subprocess.run([moec, directory, "-o", executable, *options], check=True)
        model = Model(executable, folder)
        index = 0
        while f"p{index}_tokens" in golden:
            full = check_prompt(model, golden, f"p{index}_")
            index += 1
        assert index
        # A prompt over several attention blocks, longer than any golden.
        long = (list(full) * 8)[:150]
        check_contract(model, long)


if __name__ == "__main__":
    main()
