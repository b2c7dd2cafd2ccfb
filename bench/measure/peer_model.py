"""Whole models beside ours: the shape of OLMoE-1B-7B with random weights, by each peer's own library."""
import dataclasses
import json
import pathlib
import subprocess
import tempfile
import typing

from . import host, layer, model, peer_setup, rounds, script, weights

FORMATS = {"bf16": "bf16", "int8": "q8_0", "int4": "q4_0"}  # ours: a GGUF's


def llama_seconds(path, prompt, generate, threads):
    """As model.speed, by llama-bench."""
    done = host.run([peer_setup.LLAMA.build() / "bin/llama-bench", "-m", path, "-p", prompt, "-n", generate, "-t", threads,
                     "-r", 1, "-o", "json"], check=True, capture_output=True, text=True)
    return max(prompt, generate) / json.loads(done.stdout)[0]["samples_ts"][0]


def ik_seconds(path, prompt, generate, threads):
    """As model.speed, by our program for it."""
    done = host.run([peer_setup.BUILD / "ik_model", path, prompt, generate, threads],
                    check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["seconds"]


class PeerFailure(Exception):
    """Why a peer's models are given up; what fails of ours ends the run."""


def of_peer(action):
    try:
        return action()
    except (subprocess.CalledProcessError, OSError) as error:
        raise PeerFailure(script.failure(error)) from error


@dataclasses.dataclass(frozen=True)
class Engine:
    """What runs a peer's whole models."""
    architecture: str  # of the GGUF
    seconds: typing.Callable


ENGINES = {"llama.cpp": Engine("olmoe", llama_seconds), "ik_llama.cpp": Engine("qwen3moe", ik_seconds)}


def fitting_layers(args, folder, kind):
    """The most layers, up to --layers, of which both models fit on disk and in memory; 0 if none."""
    for layers in sorted({args.layers, 8, 4}, reverse=True):
        if layers > args.layers:
            continue
        size, plain = (model.Costs(model.OLMOE | {"num_hidden_layers": layers}, each).bytes
                       for each in (kind, weights.TYPES["bf16"]))
        # A GGUF is quantised from one of bf16.
        reason = model.obstacle(folder, 2 * size, 2 * size + (plain if kind.is_quantised() else 0))
        if not reason:
            return layers
        print(f"whole models of {layers} layers, {kind.name}: skipped: {reason}", flush=True)
    return 0


def make_gguf(folder, form, architecture):
    """A GGUF of config.json's shape; like ours with embedding and head in bf16."""
    path = folder / "bf16.gguf"
    host.run([peer_setup.TOOLS.python(), peer_setup.SOURCES / "make_gguf.py", folder / "config.json", path, architecture],
             check=True, capture_output=True)
    if form == "bf16":
        return path
    made = folder / f"{form}.gguf"
    if "llama.cpp" not in peer_setup.known_versions():
        raise PeerFailure("llama.cpp's llama-quantize makes its file: bench/peers.py setup --peer llama.cpp")
    host.run([peer_setup.LLAMA.build() / "bin/llama-quantize", "--pure", "--token-embedding-type", "bf16",
              "--output-tensor-type", "bf16", path, made, form.upper()], check=True, capture_output=True)
    path.unlink()
    return made


def make_round(now, work, ours, theirs):
    def measured():
        first, other = ours(), theirs()
        return {"seconds": [first, ours()], "peer": [other]}
    round_ = rounds.one(now, measured)
    top = rounds.ceiling(round_)
    floor = max(work["flops"] / top["compute"], work["bytes"][0] / top["read"])
    return {**round_, "flops": work["flops"], "bytes": work["bytes"] * 2, "floors": [floor] * 2}


def run_peer(run, name, folder, executable, costs, kind, numbers):
    """All workloads beside one peer; its file lasts as long."""
    engine, form = ENGINES[name], FORMATS[kind.name]
    path = of_peer(lambda: make_gguf(folder, form, engine.architecture))
    for threads in run.args.threads:
        now = run.ceilings.both(kind.recipes, threads)
        for test, prompt, generate, work in model.workloads(costs, numbers):
            run.add(lambda: make_round(now, work, lambda: model.speed(executable, prompt, generate, threads),
                                       lambda: of_peer(lambda: engine.seconds(path, prompt, generate, threads))),
                    peer=name, format=form, ours=kind.name, workload=f"OLMoE-1B-7B, {costs.layers} layers, {test}",
                    tokens=prompt or generate, threads=threads)
            run.write()
    path.unlink()


def run_kind(run, names, kind, numbers):
    layers = fitting_layers(run.args, run.folder, kind)
    if not layers:
        return
    config = model.OLMOE | {"num_hidden_layers": layers}
    with tempfile.TemporaryDirectory(dir=run.folder) as folder:
        folder = pathlib.Path(folder)
        # The peers' default cache.
        executable, _ = model.compile_model(run.args, folder, config, kind, "--kv=f16")
        for name in names:
            try:
                run_peer(run, name, folder, executable, model.Costs(config, kind), kind, numbers)
            except PeerFailure as why:
                print(f"{name} {FORMATS[kind.name]}: given up: {why}", flush=True)


def wanted(args):
    """[(peers, weight type, numbers of tokens)] that the options choose."""
    names = [name for name in ENGINES if name in args.peer and name in peer_setup.known_versions()]
    return [(names, kind, numbers) for kind, numbers in model.wanted(args) if names]


def run(run, wanted):
    for names, kind, numbers in wanted:
        if layer.supported(run.args.moec, kind, run.folder, run.args.target):
            run_kind(run, names, kind, numbers)
