#!/usr/bin/env python3
"""What moec says about bad input: one line that names file, field and what was expected.

usage: bad_input_test.py MOEC GOLDENS

Every case ends with status 1, exactly one line on stderr that starts with
`moec: error: ` (remarks may come before), and no file that was not there.
"""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

MOEC, GOLDENS = sys.argv[1], pathlib.Path(sys.argv[2])

# ---------------------------------------------------------------------------
# Inputs
# ---------------------------------------------------------------------------


def model(change=None, tensors=None, golden="olmoe"):
    """A copy of a golden checkpoint; `change` edits config.json, `tensors` the weights' file."""
    def make(folder):
        directory = folder / "model"
        shutil.copytree(GOLDENS / golden, directory)
        config = directory / "config.json"
        if callable(change):
            fields = json.loads(config.read_text())
            change(fields)
            config.write_text(json.dumps(fields))
        elif isinstance(change, (str, bytes)):
            config.write_bytes(change if isinstance(change, bytes) else change.encode())
        if tensors:
            tensors(directory)
        return directory
    return make


def field(name, value):
    return lambda fields: fields.__setitem__(name, value)


def without(name):
    return lambda fields: fields.pop(name)


def edit_header(change):
    """Edits the JSON header of model.safetensors."""
    def edit(directory):
        path = directory / "model.safetensors"
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])
    return edit


def weights_bytes(change):
    def edit(directory):
        path = directory / "model.safetensors"
        path.write_bytes(change(path.read_bytes()))
    return edit


def shape(name, dims):
    return edit_header(lambda header: header[name].__setitem__("shape", dims))


def remove_shard(directory):
    next(iter(sorted(directory.glob("model-0000*.safetensors")))).unlink()


def graph(text):
    def make(folder):
        path = folder / "graph.mlir"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path
    return make


X, GATE = "tensor<?x64xf32>", "tensor<8x64xf32>"
LAYER = (f"func.func @layer(%x: {X}, %gate: {GATE}, %gu: tensor<8x64x64xf32>, %down: tensor<8x64x32xf32>) -> {X} {{\n"
         "  %y = moe.layer %x router(%gate) experts(%gu, %down) #moe.router<top_k = 2> <silu>\n"
         f"      : ({X}, {GATE}, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> {X}\n"
         f"  return %y : {X}\n}}\n")


def function(arguments, body, results, name="f", more=""):
    return graph(f"func.func {more}@{name}({arguments}) -> ({results}) {{\n{body}\n}}\n")


ADD = f"  %y = lm.add %x, %x : ({X}, {X}) -> {X}\n  return %y : {X}"

# ---------------------------------------------------------------------------
# Cases: name, input, options, what the line must contain
# ---------------------------------------------------------------------------

OUT = ["-o", "out"]
LIB = ["--emit=lib,header", "-o", "libout.so"]
NONE = lambda folder: None
GOOD = model()

COMMAND_LINES = [
    ("no input", NONE, [], ["no input", "Hugging Face directory"]),
    ("two inputs", GOOD, ["other", *OUT], ["expected one input", "'other'"]),
    ("unknown option", GOOD, ["--frobnicate", *OUT], ["unknown option '--frobnicate'", "--help"]),
    ("misspelt option", GOOD, ["--traget=native", *OUT], ["'--traget'", "did you mean '--target'"]),
    ("misspelt flag", GOOD, ["--remark", *OUT], ["did you mean '--remarks'"]),
    ("option of a library", GOOD, ["--print-after-all", *OUT], ["unknown option '--print-after-all'"]),
    ("option without value", GOOD, ["--target"], ["--target: expected CPU"]),
    ("flag with a value", GOOD, ["--remarks=yes", *OUT], ["--remarks: takes no value", "'yes'"]),
    ("empty output", GOOD, ["-o", ""], ["-o: expected the name of a file"]),
    ("unknown kind", GOOD, ["--emit=zip", *OUT], ["--emit: unknown kind 'zip'", "expected exe, lib"]),
    ("empty kind", GOOD, ["--emit=lib,,header", *OUT], ["--emit: unknown kind ''"]),
    ("unknown phase", GOOD, ["--compile-to=soup"], ["--compile-to: unknown phase 'soup'", "buffers"]),
    ("phase and library", GOOD, ["--compile-to=moe", "--emit=lib"], ["--compile-to stand alone"]),
    ("no machine", GOOD, ["--target=", *OUT], ["--target: expected CPU"]),
    ("unknown machine", GOOD, ["--target=z80", *OUT], ["--target: unknown machine 'z80'", "x86-64-v3"]),
    ("old machine", GOOD, ["--target=x86-64-v2", *OUT], ["x86-64-v2", "AVX2", "required"]),
    ("machine of two architectures", GOOD, ["--target=generic", *OUT], ["'generic'", "x86-64-v3 or armv8-a"]),
    ("machine of 32 bits", GOOD, ["--target=armv7-a", *OUT], ["--target: unknown machine 'armv7-a'", "armv8-a"]),
    ("odd chunk", GOOD, ["--chunk=17", *OUT], ["--chunk: expected a multiple of 16", "'17'"]),
    ("one ceiling", GOOD, ["--ceilings=25", *OUT], ["--ceilings: expected GB/s,GFLOP/s", "'25'"]),
    *((f"ceiling {text}", GOOD, [f"--ceilings={text}", *OUT], ["--ceilings: expected GB/s,GFLOP/s", f"'{text}'"])
      for text in ("1e-320,300", "25,1e-320", "25,1e999", "nan,300", "25,inf", "-25,300", "25,300,1")),
    ("ceiling of nothing", GOOD, ["--ceilings=0,300", *OUT], ["--ceilings: expected GB/s,GFLOP/s", "'0,300'"]),
    ("format", GOOD, ["--quant=q8_0", *OUT],
     ["--quant: expected int8, int4, int4_min, mxfp4, int4_nl or int8_channel, got 'q8_0'"]),
    ("format of floats", GOOD, ["--quant=bf16", *OUT], ["--quant: expected int8", "'bf16'"]),
    ("no format", GOOD, ["--quant=", *OUT], ["--quant: expected int8", "''"]),
    ("activations", GOOD, ["--quant=int8", "--act=bf16", *OUT], ["--act: expected f32 or int8, got 'bf16'"]),
    ("no activations", GOOD, ["--quant=int8", "--act=", *OUT], ["--act: expected f32 or int8, got ''"]),
    ("activations of floats", GOOD, ["--act=f32", *OUT], ["--act: expected --quant=FORMAT"]),
    ("cache type", GOOD, ["--kv=q4_0", *OUT], ["--kv: expected f32, f16, bf16 or q8_0", "'q4_0'"]),
    ("cache type twice", GOOD, ["--kv=f16,q8_0,f16", *OUT], ["--kv: f16 comes twice"]),
    ("no cache type", GOOD, ["--kv=", *OUT], ["--kv: expected f32, f16, bf16 or q8_0, got ''"]),
    ("attention type", GOOD, ["--attention=f16", *OUT], ["--attention: expected f32 or bf16, got 'f16'"]),
    ("attention of f32 weights", GOOD, ["--attention=bf16", *OUT], ["--attention=bf16: expected bf16 weights", "found f32"]),
    ("negative chunk", GOOD, ["--chunk=-16", *OUT], ["--chunk: expected", "'-16'"]),
    ("huge chunk", GOOD, ["--chunk=99999999999999999999", *OUT], ["--chunk: expected"]),
    ("no threads", GOOD, ["-j0", *OUT], ["-j: expected a number of threads"]),
    ("threads in words", GOOD, ["-j", "two", *OUT], ["-j: expected", "'two'"]),
    ("weights from nowhere", GOOD, ["--weights=zeros", *OUT], ["--weights: expected external or random:SEED"]),
    ("seed in words", GOOD, ["--weights=random:x", *OUT], ["--weights: expected", "'random:x'"]),
    ("external weights of a listing", GOOD, ["--weights=external", "--emit=asm", *OUT], ["--weights=external"]),
    ("library of a model", GOOD, LIB, ["model", "--emit=lib", "expected --emit=exe"]),
    ("binary to standard output", GOOD, ["--emit=obj", "-o", "-"], ["-o -", "standard output"]),
]

OUTPUTS = [
    ("output in no directory", GOOD, ["-o", "nowhere/out"], ["nowhere/out", "there is no directory nowhere"]),
    ("output is a directory", GOOD, ["-o", "model"], ["model: is a directory"]),
    ("derived name is a directory", GOOD, [], ["model", "is a directory", "-o FILE"]),
    ("output below a file", GOOD, ["-o", "model/config.json/out"], ["there is no directory"]),
    ("output nobody can write", GOOD, ["-o", "/proc/out"], ["/proc/out: cannot be written"]),
    ("library nobody can write", graph(LAYER), ["--emit=lib", "-o", "/proc/out.so"], ["/proc/out.so"]),
    ("output is a pipe", lambda folder: os.mkfifo(folder / "pipe") or GOOD(folder), ["-o", "pipe"],
     ["pipe: is a device or a pipe"]),
    ("weights are a directory", lambda folder: (folder / "out.weights").mkdir() or GOOD(folder),
     ["--weights=external", *OUT], ["out.weights: is a directory"]),
    ("output is the config", GOOD, ["-o", "model/config.json"], ["model/config.json: is the input"]),
    ("output is the weights", GOOD, ["-o", "model/model.safetensors"], ["model.safetensors: is the input"]),
    ("output is the graph", graph(LAYER), ["--emit=obj", "-o", "graph.mlir"], ["graph.mlir: is the input"]),
    ("output name too long", GOOD, ["-o", "x" * 300], ["cannot be written", "File name too long"]),
]

NOT_MODELS = [
    ("no such directory", lambda folder: folder / "missing", OUT, ["missing: no such file or directory"]),
    ("empty directory", lambda folder: (folder / "model").mkdir() or folder / "model", OUT, ["config.json"]),
    ("a file of another kind", graph("hello"), OUT, ["a .mlir file has no model to run"]),
    ("empty config", model(""), OUT, ["config.json"]),
    ("config is not JSON", model("{not json"), OUT, ["config.json"]),
    ("config is a list", model("[1, 2]"), OUT, ["config.json", "object"]),
    ("config is binary", model(bytes(range(256))), OUT, ["config.json"]),
    ("config nested too deep", model("[" * 100000), OUT, ["config.json"]),
    ("another architecture", model(field("model_type", "llama")), OUT, ["config.json", "model_type", "llama"]),
    ("no architecture", model(without("model_type")), OUT, ["config.json", "model_type"]),
    ("no hidden size", model(without("hidden_size")), OUT, ["config.json", "hidden_size"]),
    ("hidden size in words", model(field("hidden_size", "big")), OUT, ["hidden_size"]),
    ("hidden size of zero", model(field("hidden_size", 0)), OUT, ["hidden_size"]),
    ("negative layers", model(field("num_hidden_layers", -2)), OUT, ["num_hidden_layers"]),
    ("heads that do not divide", model(field("num_key_value_heads", 3)), OUT, ["num_key_value_heads"]),
    ("more slots than experts", model(field("num_experts_per_tok", 9)), OUT, ["num_experts_per_tok"]),
    ("unknown activation", model(field("hidden_act", "swoosh")), OUT, ["hidden_act", "swoosh"]),
    ("unknown rope", model(field("rope_parameters", {"rope_type": "spiral", "rope_theta": 1e4})), OUT, ["spiral"]),
    ("quantised", model(field("quantization_config", {"quant_method": "gptq"})), OUT, ["quantization_config"]),
    ("random weights of a bad config", model(field("hidden_size", 1 << 60)), ["--weights=random:1", *OUT],
     ["hidden_size"]),
]

def file(name, text):
    return model(tensors=lambda directory: (directory / name).write_text(text))


TOKENIZERS = [
    ("tokenizer is no JSON", file("tokenizer.json", '{"a":'), OUT, ["tokenizer.json: not valid JSON"]),
    ("tokenizer is a list", file("tokenizer.json", "[]"), OUT, ["tokenizer.json: expected a JSON object"]),
    ("tokenizer without a model", file("tokenizer.json", "{}"), OUT, ["tokenizer.json", "model"]),
    ("tokenizer.model is text", file("tokenizer.model", "text"), OUT, ["tokenizer.model"]),
    ("generation config is no JSON", file("generation_config.json", "x"), OUT, ["generation_config.json: not valid"]),
    ("EOS outside the vocabulary", file("generation_config.json", '{"eos_token_id": 99999}'), OUT,
     ["generation_config.json: eos_token_id: 99999", "expected 0 to"]),
]

WEIGHTS = [
    ("no weights", model(tensors=lambda d: (d / "model.safetensors").unlink()), OUT, ["safetensors"]),
    ("empty weights", model(tensors=weights_bytes(lambda data: b"")), OUT, ["model.safetensors"]),
    ("truncated header", model(tensors=weights_bytes(lambda data: data[:100])), OUT, ["model.safetensors"]),
    ("truncated data", model(tensors=weights_bytes(lambda data: data[:-4])), OUT, ["model.safetensors"]),
    ("bytes too many", model(tensors=weights_bytes(lambda data: data + b"more")), OUT, ["model.safetensors"]),
    ("header not JSON", model(tensors=weights_bytes(lambda data: data[:8] + b"!" + data[9:])), OUT,
     ["model.safetensors"]),
    ("header of exabytes", model(tensors=weights_bytes(lambda data: b"\xff" * 8 + data[8:])), OUT,
     ["model.safetensors"]),
    ("tensor missing", model(tensors=edit_header(
        lambda h: h.__setitem__("lm_head.wait", h.pop("lm_head.weight")))), OUT, ["lm_head.weight"]),
    ("tensor transposed", model(tensors=shape("model.layers.1.mlp.experts.3.up_proj.weight", [64, 32])), OUT,
     ["model.layers.1.mlp.experts.3.up_proj.weight", "32"]),
    ("tensor of integers", model(tensors=edit_header(
        lambda h: h["model.norm.weight"].__setitem__("dtype", "I32"))), OUT, ["model.norm.weight", "I32"]),
    ("layers that the config lacks", model(field("num_hidden_layers", 1)), OUT, ["model.layers.1"]),
    ("shard missing", model(golden="qwen2_moe-sharded", tensors=remove_shard), OUT, ["model-0000"]),
]

GRAPHS = [
    ("random weights of a graph", graph(LAYER), ["--weights=random:1", *LIB], ["--weights=random: a graph"]),
    ("executable of a graph", graph(LAYER), OUT, ["graph.mlir: a .mlir file has no model to run"]),
    ("format of a graph", graph(LAYER), ["--quant=int8", *LIB], ["--quant: a graph says itself", "lm.format"]),
    ("activations of a graph", graph(LAYER), ["--act=f32", *LIB], ["--act: a graph says itself", "lm.activations"]),
    ("cache type of a graph", graph(LAYER), ["--kv=f16", *LIB], ["--kv: a graph says itself what its caches hold"]),
    ("attention of a graph", graph(LAYER), ["--attention=bf16", *LIB], ["--attention: a graph says itself"]),
    ("empty graph", graph(""), LIB, ["graph.mlir", "no public function"]),
    ("syntax error", graph(LAYER.replace("return", "retrun")), LIB, ["graph.mlir:4:"]),
    ("binary graph", graph(bytes(range(256))), LIB, ["graph.mlir:1:"]),
    ("unknown op", graph(LAYER.replace("moe.layer", "moe.lair")), LIB, ["graph.mlir:2:", "moe.lair"]),
    ("unknown attribute", graph(LAYER.replace("top_k", "top_q")), LIB, ["graph.mlir:2:"]),
    ("more slots than experts in a graph", graph(LAYER.replace("top_k = 2", "top_k = 9")), LIB, ["graph.mlir:2:"]),
    ("gate of another width", graph(LAYER.replace("8x64xf32", "8x63xf32")), LIB, ["graph.mlir:2:"]),
    ("no public function", graph(LAYER.replace("func.func", "func.func private")), LIB, ["no public function"]),
    ("declaration only", graph(f"func.func @f({X}) -> {X}"), LIB, ["graph.mlir", "public"]),
    ("op of another dialect", function(f"%x: {X}", f"  %y = arith.addf %x, %x : {X}\n  return %y : {X}", X), LIB,
     ["graph.mlir:2:", "arith.addf"]),
    ("ids that go straight through", function("%i: tensor<?x2xi32>", "  return %i : tensor<?x2xi32>",
                                              "tensor<?x2xi32>"), LIB, ["result 0 is an argument"]),
    ("dynamic columns", function("%x: tensor<?x?xf32>", "  return %x : tensor<?x?xf32>", "tensor<?x?xf32>"), LIB,
     ["graph.mlir:1:", "argument 0", "tensor<?x?xf32>"]),
    ("argument of another type", function("%x: memref<4xf32>", "  return", ""), LIB, ["argument 0", "memref<4xf32>"]),
    ("complex elements", function("%x: tensor<?x4xcomplex<f32>>", "  return", ""), LIB, ["argument 0", "complex"]),
    ("result of another type", function("%x: index", "  return %x : index", "index"), LIB, ["result 0", "index"]),
    ("two blocks", function(f"%x: {X}", f"  cf.br ^bb1\n^bb1:\n  return %x : {X}", X), LIB, ["expected one block"]),
    ("name that C refuses", function(f"%x: {X}", ADD, X, name='"a-b"'), LIB, ["'a-b'", "name that C accepts"]),
    ("name that C keeps", function(f"%x: {X}", ADD, X, name="double"), LIB, ["'double'"]),
    ("name of generated code", function(f"%x: {X}", ADD, X, name="kernel_add_0"), LIB, ["'kernel_add_0'"]),
    ("names that collide", graph("".join(
        f"func.func @{name}(%x: {X}) -> {X} {{\n{ADD}\n}}\n" for name in ("f", "f_pack"))), LIB, ["exported twice"]),
    ("weight in two layouts", function(
        f"%x: {X}, %w: tensor<64x64xf32>, %i: tensor<?xi32>",
        f"  %y = lm.linear %x, %w : ({X}, tensor<64x64xf32>) -> {X}\n"
        f"  %z = lm.embedding %i, %w : (tensor<?xi32>, tensor<64x64xf32>) -> {X}\n"
        f"  return %y, %z : {X}, {X}", f"{X}, {X}"), LIB, ["graph.mlir:", "layout"]),
    ("weight that was computed", function(
        f"%x: {X}, %v: tensor<64x64xf32>",
        "  %w = lm.add %v, %v : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>\n"
        f"  %y = lm.linear %x, %w : ({X}, tensor<64x64xf32>) -> {X}\n  return %y : {X}", X), LIB,
     ["graph.mlir:", "a weight must be an argument"]),
    ("call of a public function", graph(
        f"func.func @f(%x: {X}) -> {X} {{\n{ADD}\n}}\n"
        f"func.func @g(%x: {X}) -> {X} {{\n  %y = call @f(%x) : ({X}) -> {X}\n  return %y : {X}\n}}\n"), LIB,
     ["graph.mlir:"]),
    ("columns beyond counting", function(
        "%x: tensor<?x4611686018427387904xf32>", "  return %x : tensor<?x4611686018427387904xf32>",
        "tensor<?x4611686018427387904xf32>"), LIB, ["graph.mlir:", "at most 2^30"]),
    ("f64", function("%x: tensor<?x8xf64>", "  return %x : tensor<?x8xf64>", "tensor<?x8xf64>"), LIB,
     ["graph.mlir:", "f32, bf16, f16"]),
    ("op of another dialect", function(
        f"%x: {X}", f"  %y = math.exp %x : {X}\n  return %y : {X}", X), LIB, ["graph.mlir:2:"]),
    ("weight of a model in a library", graph(
        'lm.weights @w : tensor<64x64xf32>\n'
        f"func.func @f(%x: {X}) -> {X} {{\n  %w = lm.weight @w : tensor<64x64xf32>\n"
        f"  %y = lm.linear %x, %w : ({X}, tensor<64x64xf32>) -> {X}\n  return %y : {X}\n}}\n"), LIB,
     ["lm.weight", "model's step"]),
    ("graph is a directory", lambda folder: (folder / "graph.mlir").mkdir() or folder / "graph.mlir", LIB,
     ["is a directory"]),
    ("graph nobody can read", lambda folder: (folder / "graph.mlir").symlink_to("/proc/self/mem") or
     folder / "graph.mlir", LIB, ["graph.mlir"]),
]

CASES = COMMAND_LINES + OUTPUTS + NOT_MODELS + TOKENIZERS + WEIGHTS + GRAPHS

# ---------------------------------------------------------------------------
# Running them
# ---------------------------------------------------------------------------


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def judge(done, expected, before, after):
    """What is wrong with how a run ended, or nothing."""
    lines = done.stderr.splitlines()
    errors = [line for line in lines if line.startswith("moec: error: ")]
    if done.returncode != 1:
        return f"status {done.returncode}"
    if len(errors) != 1 or lines[-1] != errors[0]:
        return f"{len(errors)} lines of error"
    if any(not line.startswith("moec: ") for line in lines):
        return "a line that is not moec's"
    missing = [text for text in expected if text not in errors[0]]
    if missing:
        return f"no {missing} in it"
    if "loc(" in errors[0]:
        return "MLIR's own notation of a place"
    if after != before:
        return f"left {sorted(set(after) - set(before))}"
    if done.stdout:
        return "text on standard output"
    return None


def run_case(source, options, prefix=()):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        path = source(folder)
        before = files_of(folder)
        inputs = [] if path is None else [path.relative_to(folder)]
        done = subprocess.run([*prefix, MOEC, *inputs, *options], cwd=folder, capture_output=True, text=True,
                              errors="replace", timeout=120)
        return done, before, files_of(folder)


def full_disk_cases():
    """A limit on the size of files stands for a full disk: 3 MB are enough to link, not for the weights."""
    big = model(field("vocab_size", 40000))
    for blocks, name in ((1, "no room to link"), (8000, "no room for the weights")):
        yield (name, big, ["--weights=random:1", *OUT], ["File too large"],
               ["bash", "-c", f'ulimit -f {blocks}; exec "$@"', "bash"])
    yield ("no room for a header", graph(LAYER), LIB, ["libout", "File too large"],
           ["bash", "-c", 'ulimit -f 1; exec "$@"', "bash"])
    yield ("standard output is full", graph(LAYER), ["--compile-to=llvm"], ["standard output", "No space left"],
           ["bash", "-c", 'exec "$@" >/dev/full', "bash"])


def small_disk_case():
    """moec sees that the disk is too small before it starts; needs the right to mount."""
    mount = ["unshare", "-m", "bash", "-c",
             'mkdir small && mount -t tmpfs -o size=1m none small && "$@"; status=$?; umount small; rmdir small; exit $status',
             "bash"]
    probe = subprocess.run([*mount, "true"], cwd=tempfile.gettempdir(), capture_output=True)
    if probe.returncode == 0:
        yield ("disk too small", model(field("vocab_size", 40000)), ["--weights=random:1", "-o", "small/out"],
               ["small/out: its weights need 2", "MB, but only 1.05 MB are free"], mount)


def with_memory(kilobytes):
    return ["bash", "-c", f'ulimit -v {kilobytes}; exec "$@"', "bash"]


def little_memory():
    """What is wrong with how moec ends that is refused memory at several points, or nothing."""
    loads = lambda kilobytes: subprocess.run([*with_memory(kilobytes), MOEC, "--version"],
                                             capture_output=True).returncode == 0
    too_little, enough = 0, 4 << 20
    if not loads(enough):
        return None  # The sanitizers reserve far more.
    while enough - too_little > 2048:
        middle = (too_little + enough) // 2
        too_little, enough = (too_little, middle) if loads(middle) else (middle, enough)
    refused = 0
    for more in range(6, 60, 9):
        done, before, after = run_case(GOOD, OUT, with_memory(enough + more * 1024))
        # MLIR takes what malloc returns for memory; its operations are few among all that is allocated.
        wrong = after != before if done.returncode == -signal.SIGSEGV else judge(done, [], before, after)
        if done.returncode != 0 and wrong:
            return f"with {enough} + {more * 1024} kB: {wrong}\n{done.stderr[-2000:]}"
        refused += "moec: error: out of memory" in done.stderr
    return None if refused else "never out of memory"


def main():
    failures = 0
    cases = [(*case, ()) for case in CASES] + [*full_disk_cases(), *small_disk_case()]
    for name, source, options, expected, prefix in cases:
        done, before, after = run_case(source, options, prefix)
        wrong = judge(done, expected, before, after)
        if wrong:
            failures += 1
            print(f"FAILED {name}: {wrong}\n{done.stderr[-2000:]}", flush=True)
        elif "-v" in sys.argv:
            print(f"{name}: {done.stderr.splitlines()[-1][13:]}")
    if wrong := little_memory():
        failures += 1
        print(f"FAILED little memory: {wrong}")
    print(f"{len(cases) + 1 - failures} of {len(cases) + 1} cases")
    return int(failures != 0)


if __name__ == "__main__":
    sys.exit(main())
