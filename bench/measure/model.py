"""A whole model: the shape of OLMoE-1B-7B with random weights, through the executable's own `bench`."""
import json
import pathlib
import shutil
import sys
import tempfile

from . import host, layer, rounds, weights
from .workloads import is_chosen

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test/EndToEnd"))
from compile_cost_test import OLMOE  # noqa: E402

PROMPT, GENERATE = 512, 64
TYPES = ("bf16", "int8", "int4")


class Costs:
    """FLOPs and bytes of the model, from its config."""

    def __init__(self, config, kind):
        hidden, width, self.layers = (config[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
        experts, top_k = config["num_experts"], config["num_experts_per_tok"]
        self.hidden = hidden
        router, expert = experts * hidden, 3 * hidden * width
        matrices = lambda used: self.layers * (4 * hidden * hidden + used * expert)  # q, k, v, o; experts
        self.active, self.head = matrices(top_k) + self.layers * router, config["vocab_size"] * hidden
        # Quantisation leaves router, embedding, head and cache as they are: bf16.
        self.plain = 2 if kind.is_quantised() else kind.bytes
        self.active_bytes = kind.bytes * matrices(top_k) + self.plain * self.layers * router
        self.bytes = kind.bytes * matrices(experts) + self.plain * (self.layers * router + 2 * self.head)

    def prompt_flops(self, tokens):
        """Causal attention; the head on the last row alone."""
        attention = 4 * self.hidden * self.layers * tokens * (tokens + 1) / 2
        return 2 * self.active * tokens + 2 * self.head + attention

    def token_bytes(self, position):
        """Weights that a token reads, and the cache before it."""
        return self.active_bytes + self.plain * (self.head + 2 * self.hidden * self.layers * position)


def obstacle(folder, size, on_disk=None):
    """Why there is no room for models of this size in all, or None; `on_disk`: with what is only there."""
    free, wanted = shutil.disk_usage(folder).free, 1.1 * (on_disk or size)
    if free < wanted:
        return f"{folder} has {free / 1e9:.0f} GB free, the model needs {wanted / 1e9:.0f} (--work names a folder)"
    lines = dict(line.split(":") for line in open("/proc/meminfo"))
    memory = int(lines["MemAvailable"].split()[0]) * 1024
    if memory < 1.05 * size:
        return f"{memory / 1e9:.0f} GB of memory are available, the model needs {1.05 * size / 1e9:.0f}"
    return None


def compile_model(args, folder, config, kind, *options):
    """(executable, recipe)."""
    source, executable = folder / "config.json", folder / "model"
    source.write_text(json.dumps(config))
    options = [*options, *([f"--quant={kind.name}"] if kind.is_quantised() else [])]
    said = host.run([args.moec, source, "--weights=random:1", "-o", executable, f"--target={args.target}", *options],
                    check=True, capture_output=True, text=True).stderr
    return executable, said.split("recipe ")[-1].split(",")[0].split()[0]


def speed(executable, prompt, generate, threads):
    """Seconds of one measured run, after one that warms up."""
    done = host.run([executable, "bench", "-p", prompt, "-n", generate, "-t", threads, "-r", 1, "-o", "json"],
                    check=True, capture_output=True, text=True)
    return max(prompt, generate) / json.loads(done.stdout)[0]["samples_ts"][0]


def make_round(ceilings, costs, seconds):
    """`seconds()`: of PROMPT tokens at once, or of GENERATE one by one, as costs say."""
    round_ = rounds.one(ceilings, lambda: {"seconds": [seconds()]})
    top = rounds.ceiling(round_)
    return {**round_, **costs, "floors": [max(costs["flops"] / top["compute"], costs["bytes"][0] / top["read"])]}


def workloads(costs, numbers):
    """(name, prompt, generate, {flops, bytes}) of these numbers of tokens; what is read only for a prompt is all weights."""
    reads = sum(costs.token_bytes(position) for position in range(GENERATE))
    if PROMPT in numbers:
        yield f"pp{PROMPT}", PROMPT, 0, {"flops": costs.prompt_flops(PROMPT), "bytes": [costs.bytes]}
    if GENERATE in numbers:
        yield f"tg{GENERATE}", 0, GENERATE, {"flops": GENERATE * 2 * (costs.active + costs.head), "bytes": [reads]}


def wanted(args):
    """[(weight type, numbers of tokens)] that the options choose."""
    numbers = {name: [tokens for tokens in (PROMPT, GENERATE) if is_chosen(args, "olmoe", name, tokens)]
               for name in (("bf16", "int4") if args.quick else TYPES)}
    return [(weights.TYPES[name], found) for name, found in numbers.items() if found]


def run_kind(run, kind, numbers):
    layers = run.args.layers
    config = OLMOE | {"num_hidden_layers": layers}
    costs = Costs(config, kind)
    reason = obstacle(run.folder, costs.bytes)
    if reason:
        print(f"whole model, {kind.name}: skipped: {reason}", flush=True)
        return
    with tempfile.TemporaryDirectory(dir=run.folder) as folder:
        executable, recipe = compile_model(run.args, pathlib.Path(folder), config, kind)
        for threads in run.args.threads:
            now = run.ceilings.both(kind.recipes, threads)
            for name, prompt, generate, work in workloads(costs, numbers):
                make = lambda: make_round(now, work, lambda: speed(executable, prompt, generate, threads))
                run.add(f"OLMoE-1B-7B, {layers} layers, {kind.name} {name} t={threads}",
                        {"kind": "model", "shape": "olmoe", "layers": layers, "type": kind.name, "test": name,
                         "tokens": prompt or generate, "threads": threads, "recipe": recipe, "rounds": run.collect(make)})


def run(run, wanted):
    for kind, numbers in wanted:
        if layer.supported(run.args.moec, kind, run.folder, run.args.target):
            run_kind(run, kind, numbers)
