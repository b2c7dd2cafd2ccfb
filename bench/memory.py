#!/usr/bin/env python3
"""Memory and start-up of moec and of what it makes, beside what the disk can do.

usage: bench/memory.py [--layers N] [--work FOLDER] [--moec MOEC]

Writes a random checkpoint of OLMoE's shape with fewer layers, compiles it, and starts the executable, each time with the
files that are read dropped from the page cache. Prints a table. Nothing else should use the disk meanwhile.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test/EndToEnd"))
from compile_cost_test import OLMOE  # noqa: E402
from measure import script  # noqa: E402

BLOCK = 8 << 20
ALLOWED = 200 << 20  # beside weights and KV cache


def tensors(config):
    """(name, shape) of a checkpoint, as transformers names them."""
    hidden, width, vocab = (config[key] for key in ("hidden_size", "intermediate_size", "vocab_size"))
    yield "model.embed_tokens.weight", (vocab, hidden)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm"):
            yield f"{layer}{norm}.weight", (hidden,)
        for name in "qkvo":
            yield f"{layer}self_attn.{name}_proj.weight", (hidden, hidden)
        yield f"{layer}mlp.gate.weight", (config["num_experts"], hidden)
        for e in range(config["num_experts"]):
            for name, shape in (("gate", (width, hidden)), ("up", (width, hidden)), ("down", (hidden, width))):
                yield f"{layer}mlp.experts.{e}.{name}_proj.weight", shape
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (vocab, hidden)


def noise():
    """A block of small bf16 numbers, of which no two pages are alike."""
    values = np.random.default_rng(0).standard_normal(BLOCK // 2, np.float32) * 0.02
    return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()


def write_blocks(path, start, size):
    """Seconds of writing `start` and `size` bytes of noise, all on the disk."""
    block = noise()
    began = time.perf_counter()
    with open(path, "wb") as file:
        file.write(start)
        while size:
            size -= file.write(memoryview(block)[:min(size, BLOCK)])
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


def write_checkpoint(folder, config):
    """Bytes and seconds."""
    (folder / "config.json").write_text(json.dumps(config))
    header, offset = {}, 0
    for name, shape in tensors(config):
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    seconds = write_blocks(folder / "model.safetensors", len(text).to_bytes(8, "little") + text, offset)
    return offset, seconds


def drop(path):
    """Its pages, which must be on the disk, from the page cache."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(path):
    """Seconds of reading a file that is not cached."""
    drop(path)
    began = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while file.read(BLOCK):
            pass
    return time.perf_counter() - began


class Run:
    """A process: seconds until its first output and its end, and its peaks of memory in bytes: anonymous memory apart, since
    pages of mapped files are the page cache's."""

    def __init__(self, command):
        said = tempfile.TemporaryFile()
        began = time.perf_counter()
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=said)
        self.anonymous, over = 0, threading.Event()
        watcher = threading.Thread(target=self.watch, args=(over,))
        watcher.start()
        try:
            self.follow(began)
        finally:
            self.process.kill()  # nothing where it has ended
            self.process.wait()
            over.set()
            watcher.join()
        if self.process.returncode:
            said.seek(0)
            reason = (said.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            script.fail(f"{command[0]} failed: {reason}")

    def follow(self, began):
        """To the end."""
        self.process.stdout.read(1)
        self.first = time.perf_counter() - began
        self.process.stdout.read()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.seconds = time.perf_counter() - began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.resident = usage.ru_maxrss * 1024

    def watch(self, over):
        """Samples; a peak between two of them is missed."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status")
        while not over.wait(0.005):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except OSError:
                return
            if "RssAnon" in fields:
                self.anonymous = max(self.anonymous, int(fields["RssAnon"].split()[0]) * 1024)


def rate(size, seconds):
    return f"{size / 1e9 / seconds:.2f} GB/s"


def mib(size):
    return f"{size / 2 ** 20:.0f} MiB"


def compile_rows(args, folder, checkpoint, write_seconds):
    size = checkpoint.stat().st_size
    read_seconds = read(checkpoint)
    drop(checkpoint)
    made = Run([args.moec, folder, "-o", folder / "model"])
    script.check_made(args.moec, folder / "model")
    yield "disk: write and fsync a file of the checkpoint's size", f"{write_seconds:.2f} s, {rate(size, write_seconds)}", ""
    yield "disk: read it", f"{read_seconds:.2f} s, {rate(size, read_seconds)}", ""
    yield "moec: checkpoint to executable, cold", f"{made.seconds:.2f} s, {rate(size, made.seconds)}", \
        f"{made.seconds / max(read_seconds, write_seconds):.2f} times the slower of the two"
    yield "moec: peak of anonymous memory", mib(made.anonymous), f"{made.anonymous / size:.1%} of the checkpoint"
    yield "moec: peak resident", mib(made.resident), "with the mapped checkpoint"


def start_rows(model):
    card = json.loads(subprocess.run([model, "info", "--json"], check=True, capture_output=True).stdout)["memory"]
    size = model.stat().st_size
    read_seconds = read(model)
    drop(model)
    command = [model, "generate", "--tokens", "1,2,3", "-n", "1", "--greedy", "--ignore-eos", "--no-perf"]
    cold, warm = Run(command), Run(command)
    promise = card["weights_bytes"] + card["kv_bytes"] + ALLOWED
    yield "disk: read the executable", f"{read_seconds:.2f} s, {rate(size, read_seconds)}", ""
    yield "first token, cold", f"{cold.first:.2f} s", f"{cold.first / read_seconds:.2f} times reading the file"
    yield "first token, file in the page cache", f"{warm.first:.2f} s", ""
    for name, run in (("cold", cold), ("warm", warm)):
        yield f"peak resident, {name}", mib(run.resident), \
            f"{'within' if run.resident <= promise else 'BEYOND'} weights + KV + 200 MiB = {mib(promise)}"
        yield f"peak of anonymous memory, {name}", mib(run.anonymous), ""


def main():
    parser = script.Parser(__doc__.splitlines()[0])
    parser.add_argument("--moec", type=script.program, default=str(ROOT / "build/bin/moec"))
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build",
                        help="an existing folder, where the files go: twice the checkpoint")
    parser.add_argument("--layers", type=script.count, default=3, help="0.84 GB each, and 0.41 GB")
    parser.add_argument("--hidden", type=script.count, help="of a smaller model, to try this script")
    args = parser.parse_args()
    script.check_work(args.work)
    config = OLMOE | dict(num_hidden_layers=args.layers)
    if args.hidden:
        config |= dict(hidden_size=args.hidden, intermediate_size=args.hidden, vocab_size=1000)
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        folder = pathlib.Path(folder)
        size, seconds = write_checkpoint(folder, config)
        print(f"{args.layers} layers of OLMoE's shape, {size / 1e9:.2f} GB of bf16, {len(os.sched_getaffinity(0))} CPUs\n")
        print("| what | found | beside |\n|---|---:|---|")
        for part in (compile_rows(args, folder, folder / "model.safetensors", seconds), start_rows(folder / "model")):
            for row in part:
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    script.main(main)
