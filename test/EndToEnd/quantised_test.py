#!/usr/bin/env python3
"""Compiles a golden with quantised weights (moec --quant) and looks at what that changes.

usage: quantised_test.py MOEC GOLDEN_DIR FORMAT [MOEC_OPTION...]

Checks: logits lie within a bound of those of the same weights as floats, and are not the same; chunks and threads
change no bit of logits and routing; two compilations give the same bytes; the card names format and recipe; memory follows.
With --act=f32 logits have the bits of a checkpoint in f32 whose weights are what numpy makes of them.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from measure import checkpoint, formats, recast, weights  # noqa: E402

# Root mean square over the logits' standard deviation, of tiny models with random weights: steps of 1/254 of a group's
# largest magnitude, of 1/16, of 1/30 of its range, of a quarter of a number, and of 1/254 of a row's largest.
BOUNDS = {"int8": 0.03, "int4": 0.3, "int4_min": 0.3, "mxfp4": 0.4, "int8_channel": 0.05, "int4_nl": 0.3}


def logits(model, tokens, *options):
    out, trace = model.with_suffix(".npy"), model.with_suffix(".trace")
    subprocess.run([model, "logits", "--tokens", ",".join(map(str, tokens)), "--out", out, "--trace-routing", trace,
                    *options], check=True, stderr=subprocess.DEVNULL)
    return np.load(out), routing(trace.read_bytes())


def routing(data):
    """The tensors of a trace, without `phase`, which says how a prompt was cut."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    return {name: data[8 + size + at["data_offsets"][0]:8 + size + at["data_offsets"][1]]
            for name, at in header.items() if name.startswith("layer.")}


def stands_for(matrix, kind):
    """What a matrix is after quantisation: columns behind its last are zeros."""
    rows, columns = matrix.shape
    padded = np.zeros((rows, -(-columns // formats.GROUP) * formats.GROUP), np.float32)
    padded[:, :columns] = matrix
    return formats.stands_for(padded, kind)[:, :columns]


def check_bits(moec, directory, kind, folder, options, tokens, expected):
    """Of the same model with weights that are f32."""
    config, tensors = checkpoint.read(directory)
    checkpoint.write(folder / "checkpoint", config, {
        name: stands_for(tensor, kind) if recast.is_quantised(name) else tensor for name, tensor in tensors.items()})
    model = folder / "dequantised"
    subprocess.run([moec, folder / "checkpoint", "-o", model, *options], check=True)
    actual, routes = logits(model, tokens)
    assert actual.tobytes() == expected[0].tobytes(), np.abs(actual - expected[0]).max()
    assert routes == expected[1]


def card(model):
    return json.loads(subprocess.run([model, "info", "--json"], check=True, capture_output=True).stdout)


def main():
    moec, directory, kind, *options = sys.argv[1], pathlib.Path(sys.argv[2]), *sys.argv[3:]
    act = [option for option in options if option.startswith("--act=")]
    # One type of cache, whatever the weights' is.
    options = [option for option in options if option not in act] + ["--kv=f32"] * bool(act)
    prompt = list(np.load(directory / "expected.npz")["p0_tokens"])
    tokens = (prompt * 100)[:100]
    with tempfile.TemporaryDirectory() as folder:
        floats, ours, again = (pathlib.Path(folder) / name for name in ("floats", "ours", "again"))
        subprocess.run([moec, directory, "-o", floats, *options], check=True)
        for path in (ours, again):
            subprocess.run([moec, directory, "-o", path, f"--quant={kind}", "-j", "1" if path == ours else "3",
                            *options, *act], check=True)
        expected, (actual, routes) = logits(floats, tokens)[0], logits(ours, tokens)
        error = np.sqrt(((actual - expected) ** 2).mean()) / expected.std()
        print(f"{kind}: off by {error:.2e} of {BOUNDS[kind]} std")
        assert 0 < error <= BOUNDS[kind], error
        for cut in (["-t", "3"], ["--chunk", "1", "-t", "1"], ["--chunk", "7", "-t", "2"], ["--chunk", "64"]):
            other, other_routes = logits(ours, tokens, *cut)
            assert other.tobytes() == actual.tobytes(), cut
            assert other_routes == routes, cut
        assert logits(again, tokens)[0].tobytes() == actual.tobytes()
        if act == ["--act=f32"]:
            check_bits(moec, directory, kind, pathlib.Path(folder), options, tokens, (actual, routes))
        info, before = card(ours), card(floats)
        assert info["quantisation"] == kind and before["quantisation"] == "none", info
        recipe = f"widen-f32-fma ({kind} weights, activations f32)" if act == ["--act=f32"] else weights.TYPES[kind].sums
        assert info["target"]["recipe"] == f"{recipe}, widen-f32-fma", info
        assert "bf16-dot-pairs" not in before["target"]["recipe"] or before["weight_type"] == "bf16", before
        assert info["memory"]["weights_bytes"] < before["memory"]["weights_bytes"]


if __name__ == "__main__":
    main()
