#!/usr/bin/env python3
"""What `moec --remarks` says of each op, and where `bench --profile` says that time went.

usage: profile_test.py MOEC GOLDENS

Structure and sums only: no time is compared with another run's.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

MOEC, GOLDENS = sys.argv[1], pathlib.Path(sys.argv[2])
READ, PEAK = 10, 100  # GB/s and GFLOP/s


PADDED = """
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<19x64xf32>) -> tensor<?x19xf32> {
  %y = lm.linear %x, %w : (tensor<?x64xf32>, tensor<19x64xf32>) -> tensor<?x19xf32>
  return %y : tensor<?x19xf32>
}
func.func @gated(%x: tensor<?x64xf32>, %w: tensor<42x64xf32>) -> tensor<?x21xf32> {
  %y = lm.gated_linear %x, %w <silu> : (tensor<?x64xf32>, tensor<42x64xf32>) -> tensor<?x21xf32>
  return %y : tensor<?x21xf32>
}
func.func @wide(%x: tensor<?x64xf32>, %w: tensor<240x64xf32>) -> tensor<?x120xf32> {
  %y = lm.gated_linear %x, %w <silu> : (tensor<?x64xf32>, tensor<240x64xf32>) -> tensor<?x120xf32>
  return %y : tensor<?x120xf32>
}
"""


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def ok(*command):
    done = run(*command)
    assert done.returncode == 0, (command, done)
    return done


def compile_model(source, folder, *options):
    model = folder / f"{source.name}.model"
    remarks = ok(MOEC, source, "-o", model, "--remarks", *options).stderr
    return model, [line for line in remarks.splitlines() if line.startswith("moec: remark: ")]


def near(a, b):
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1e-9)


def check_sums(profile, layers):
    """Parts, layers and parts of layers are three views of one step."""
    for view in ("parts", "layers", "parts_of_layers"):
        rows = profile[view]
        assert near(sum(row["ms"] for row in rows) + profile["leaving_ms"], profile["ms"]), view
        assert near(sum(row["share"] for row in rows) + profile["leaving_ms"] / profile["ms"], 1), view
        assert all(row["ms"] > 0 and row["floor_ms"] >= 0 for row in rows), view
        for total in ("bytes", "flops", "floor_ms"):
            assert near(sum(row[total] for row in rows), sum(row[total] for row in profile["parts"])), (view, total)
    assert [row["layer"] for row in profile["layers"]] == [-1, *range(layers)]
    assert sum(part["count"] for part in profile["parts"]) == len(profile["parts_of_layers"])


def check_floors(profile):
    """Of parts whose calls cost the same, floors can be had from the sums."""
    for row in profile["parts_of_layers"]:
        if row["name"] in ("attention", "experts.gate_up", "experts.down"):
            continue
        floor = 1e3 * max(row["bytes"] / (READ * 1e9), row["flops"] / (PEAK * 1e9))
        assert near(row["floor_ms"], floor), (row, floor)


def check_experts(profile, config):
    experts, top_k = config.get("num_experts") or config["num_local_experts"], config["num_experts_per_tok"]
    for row in profile["layers"]:
        if row["layer"] >= 0:
            assert top_k <= row["experts"] <= experts, row
    rows = [row for row in profile["parts_of_layers"] if row["name"].startswith("experts.")]
    assert len(rows) == 2 * config["num_hidden_layers"]
    for row in rows:
        assert row["bytes"] > 0 and row["flops"] > 0, row


def check_golden(name, folder):
    source = GOLDENS / name
    config = json.loads((source / "config.json").read_text())
    model, _ = compile_model(source, folder)
    for threads in (1, 3):
        out = ok(model, "bench", "-p", 40, "-n", 4, "-r", 2, "-t", threads, "--profile", "-o", "json", "--bandwidth", READ,
                 "--peak", PEAK).stdout
        prompt, token = [entry["profile"] for entry in json.loads(out)]
        assert (prompt["unit"], prompt["units"], prompt["calls"]) == ("prompt", 1, 1), prompt
        assert (token["unit"], token["units"], token["calls"]) == ("token", 4, 4), token
        for profile in (prompt, token):
            check_sums(profile, config["num_hidden_layers"])
            check_floors(profile)
            check_experts(profile, config)
        # One token chooses top_k experts, no more.
        assert all(row["experts"] == config["num_experts_per_tok"] for row in token["layers"] if row["layer"] >= 0)
        names = {row["name"] for row in token["parts"]}
        assert {"embed", "input_norm", "attn.q", "attention", "router", "experts.gate_up", "head"} <= names, names
        head = next(row for row in prompt["parts"] if row["name"] == "head")
        assert head["flops"] == 2 * config["hidden_size"] * config["vocab_size"], head


def check_tables(folder):
    model, _ = compile_model(GOLDENS / "olmoe-bf16", folder)
    plain = ok(model, "bench", "-p", 16, "-n", 2, "-r", 1).stdout
    text = ok(model, "bench", "-p", 16, "-n", 2, "-r", 1, "--profile").stdout
    assert [len(line.split("|")) for line in text.splitlines()[:4]] == [len(line.split("|")) for line in plain.splitlines()]
    for expected in ("Where the time of pp16 went", "Where the time of tg2 went", "| experts.gate_up | grouped_matmul | 2 |",
                     "| outside of layers | - |", "| leaving the step |", "| all |"):
        assert expected in text, (expected, text)
    tables = [block.splitlines() for block in text.split("\n\n") if block.lstrip().startswith("| ")]
    assert len(tables) == 5, text
    for table in tables:
        assert len({line.count("|") for line in table if line}) == 1, table
    # Ceilings that are not known leave no floor, and none is made up.
    text = ok(model, "bench", "-p", 16, "-n", 0, "-r", 1, "--profile", "--peak", 0, "--bandwidth", 0).stdout
    assert "read - GB/s" in text and "bf16" in text, text
    for flags, expected in ((["--peak", "5"], "--peak"), (["--bandwidth", "5"], "--bandwidth"),
                            (["--profile", "--peak", "fast"], "--peak: expected a number"),
                            (["--profile", "--bandwidth=-1"], "--bandwidth: expected a number")):
        done = run(model, "bench", *flags)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and expected in done.stderr, done
        print(done.stderr.strip())


def check_loops_of_some_calls(folder):
    """Attention over segments takes a loop more than the parts say; and several chunks are several calls."""
    source = folder / "long"
    source.mkdir()
    config = json.loads((GOLDENS / "olmoe" / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 4096}))
    model, _ = compile_model(source, folder, "--weights=random:1")
    out = ok(model, "bench", "-p", 1100, "-n", 1100, "-r", 1, "-t", 3, "--profile", "-o", "json", "--bandwidth", READ, "--peak",
             PEAK).stdout
    prompt, token = [entry["profile"] for entry in json.loads(out)]
    assert (prompt["calls"], token["calls"]) == (3, 1100)
    for profile in (prompt, token):
        check_sums(profile, config["num_hidden_layers"])
    flops = {}
    for profile in (prompt, token):
        [row] = [row for row in profile["parts"] if row["name"] == "attention"]
        flops[profile["unit"]] = row["flops"] * profile["units"]
    # Whichever way a text comes, a token sees what is before it.
    assert near(flops["prompt"], flops["token"]), flops


def check_recording(folder):
    """What a profile asks of the step is its routing, which changes no bit. (That a listener changes none: StepPartsTest.)"""
    model, _ = compile_model(GOLDENS / "olmoe-bf16", folder)
    plain, recorded = folder / "plain.npy", folder / "recorded.npy"
    tokens = ",".join(str(7 * i % 120) for i in range(50))
    ok(model, "logits", "--tokens", tokens, "--out", plain)
    ok(model, "logits", "--tokens", tokens, "--out", recorded, "--trace-routing", folder / "trace")
    assert np.load(plain).tobytes() == np.load(recorded).tobytes()


def check_remarks(folder):
    _, lines = compile_model(GOLDENS / "olmoe-bf16", folder)
    text = "\n".join(lines)
    assert len(lines) < 60, text
    for expected in ("layers 0-1: attn.q: 'lm.linear' by ", "layers 0-1: attention: 'lm.attention' by widen-f32-fma, ",
                     "cache of bf16|f32|f16|q8_0", "layers 0-1: router: 'moe.route' by ", "choice of 3 of 8", "+ gather + silu gate",
                     "step: head: 'lm.linear' by ", "a token ", "512 tokens ", "attn.q, attn.k, attn.v: missed: one product",
                     "attn.q, attn.k, attn.v, attn.o: missed: one token's work is one thread's: a weight of fewer than 16 ",
                     "add: missed: a loop of its own",
                     "router: missed: 24 of 32 columns that it reads are padding", "layers 0-1: without products: "):
        assert expected in text, (expected, text)
    # The head's time for a token, by the rate that is given: 128 x 64 numbers of 2 bytes.
    _, timed = compile_model(GOLDENS / "olmoe-bf16", folder, "--ceilings=0.001,1000")
    assert any("step: head: " in line and "a token 16.4 kB and 16.4 kFLOP, 16.384 ms" in line for line in timed), timed
    # Layers that differ are said apart.
    _, lines = compile_model(GOLDENS / "qwen2_moe", folder)
    assert any("layers 0, 2: " in line for line in lines) and any("layer 1: " in line for line in lines), lines
    # Tiles are as large as the registers of a machine hold, by format.
    for machine, options, expected in (
            ("x86-64-v3", [], "tiles of up to 6 rows (f32, bf16), 4 (f16)"),
            ("armv8-a", [], "tiles of up to 6 rows (f32), 5 (bf16), 4 (f16)"),
            ("armv8-a", [], "(others), tiles of up to 4 rows (int8, int4, int4_min, mxfp4, int8_channel), 2 (int4_nl)"),
            ("armv8-a", ["--quant=int8", "--act=f32"], "tiles of up to 4 rows (int8, int4), 3 (int4_min, mxfp4, int4_nl, int8_channel)")):
        done = ok(MOEC, GOLDENS / "olmoe", f"--target={machine}", "--emit=obj", "-o", folder / "tiles.o", "--remarks",
                  *options)
        assert expected + "\n" in done.stderr, (machine, expected, done.stderr)
    # What is padded: gate and up each to whole panels, and panels to pairs.
    graph = folder / "padded.mlir"
    graph.write_text(PADDED)
    done = ok(MOEC, graph, "--emit=obj", "--target=x86-64-v3", "-o", folder / "padded.o", "--remarks")
    for expected in ("@gated: gated_linear: missed: 22 of 64 columns that it reads are padding",
                     "@gated: gated_linear: missed: one token's work is one thread's: a weight of fewer than 16 panels",
                     "@linear: linear: missed: 13 of 32 columns that it reads are padding",
                     "@wide: gated_linear: missed: 16 of 256 columns that it reads are padding"):
        assert expected in done.stderr, (expected, done.stderr)
    assert "@wide: gated_linear: missed: one token" not in done.stderr, done.stderr
    # A graph says its functions by name.
    graph = folder / "layer.mlir"
    shutil.copy(pathlib.Path(MOEC).parents[2] / "examples" / "layer" / "layer.mlir", graph)
    done = ok(MOEC, graph, "--emit=obj", "-o", folder / "layer.o", "--remarks")
    assert "moec: remark: @" in done.stderr and "'moe.grouped_matmul' by " in done.stderr, done.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        check_remarks(folder)
        check_golden("olmoe-bf16", folder)
        check_golden("qwen3_moe", folder)
        check_tables(folder)
        check_recording(folder)
        check_loops_of_some_calls(folder)


if __name__ == "__main__":
    main()
