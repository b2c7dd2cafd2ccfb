#!/usr/bin/env python3
"""Makes the checkpoints under golden/ and what transformers computes from them.

  make_goldens.py [--out DIR] [--list] [NAME ...]

A golden is a directory with a checkpoint of ~100,000 random parameters (config.json,
model.safetensors) and, per prompt i, the oracle's answers in expected.npz:

  p{i}_tokens           [T] i32     the prompt
  p{i}_logits           [T,V] f32   one call on the prompt, no cache
  p{i}_greedy           [16] i32    greedy continuation, with the cache
  p{i}_decode_logits    [16,V] f32  row j chose greedy[j]
  p{i}_logits_f32       [T,V] f32   16-bit goldens only: the same rounded weights, evaluated in f32
  p{i}_L{l}_experts     [T+15,k]    chosen experts of layer l, one call on prompt + greedy[:15];
  p{i}_L{l}_weights     [T+15,k]    their weights, in the same order (the order itself means nothing);
  p{i}_L{l}_router_logits [T+15,E]  the logits before the choice

expected.json describes how it was made and how far apart the oracle's own evaluations lie.
golden/rope.json holds inverse frequencies of rotary embeddings for the unit tests.

A prompt is a golden only if no rounding could change a decision in it: it is searched among
random ones so that slightly different weights choose the same experts and tokens everywhere.
"""
import argparse
import copy
import dataclasses
import json
import math
import os
import pathlib
import platform
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
import transformers

transformers.logging.disable_progress_bar()
NEW_TOKENS = 16
PROMPT_LENGTHS = (1, 5, 17)
# What a prompt should have: the smallest difference between a chosen and a left-out router logit, and
# between the best and the second token in standard deviations of the logits. 16-bit models round more.
MIN_ROUTER_GAP = {"f32": 0.01, "f16": 0.01, "bf16": 0.03}
MIN_TOKEN_GAP = {"f32": 0.02, "f16": 0.03, "bf16": 0.1}
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}

COMMON = dict(vocab_size=128, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
              intermediate_size=32, max_position_embeddings=256, bos_token_id=None, eos_token_id=None,
              pad_token_id=None)
ARCHITECTURES = {
    "mixtral": dict(num_local_experts=8, num_experts_per_tok=2),
    "olmoe": dict(num_experts=8, num_experts_per_tok=3, num_key_value_heads=4, clip_qkv=2.0),
    # Layer 1 is dense: both kinds of layer in one model.
    "qwen2_moe": dict(num_hidden_layers=3, intermediate_size=48, moe_intermediate_size=32,
                      shared_expert_intermediate_size=40, num_experts=8, num_experts_per_tok=3,
                      mlp_only_layers=[1]),
    "qwen3_moe": dict(intermediate_size=48, moe_intermediate_size=32, num_experts=8, num_experts_per_tok=3,
                      head_dim=16, norm_topk_prob=True),
}
FEW = dict(num_experts=4, num_experts_per_tok=2)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
LINEAR = dict(rope_type="linear", rope_theta=10000.0, factor=2.0)


@dataclasses.dataclass
class Golden:
    architecture: str
    overrides: dict = dataclasses.field(default_factory=dict)
    dtype: str = "f32"
    fused: bool = False            # names of the modules in memory instead of the published ones
    shard: str = "5GB"
    published_config: bool = False  # spell config.json as checkpoints from before transformers 5 do


def goldens():
    table = {}
    for architecture in ARCHITECTURES:
        table[architecture] = Golden(architecture)
        table[architecture + "-bf16"] = Golden(architecture, dtype="bf16")
    odd = dict(hidden_size=72, num_experts=5, num_experts_per_tok=3, intermediate_size=20)
    table |= {
        "olmoe-f16": Golden("olmoe", FEW, dtype="f16"),
        "olmoe-odd": Golden("olmoe", odd),
        "olmoe-odd-bf16": Golden("olmoe", odd, dtype="bf16"),
        "olmoe-norm-topk": Golden("olmoe", {**FEW, "norm_topk_prob": True}),
        "olmoe-fused": Golden("olmoe", FEW, fused=True),
        "mixtral-fused": Golden("mixtral", dict(num_local_experts=4), fused=True),
        "mixtral-window": Golden("mixtral", dict(num_local_experts=4, sliding_window=8)),
        "qwen2_moe-window": Golden("qwen2_moe", {**FEW, "use_sliding_window": True, "sliding_window": 6,
                                                 "max_window_layers": 2}),
        "qwen2_moe-sharded": Golden("qwen2_moe", FEW, shard="200KB"),
        "qwen3_moe-tied": Golden("qwen3_moe", {**FEW, "tie_word_embeddings": True}),
        "qwen3_moe-bias": Golden("qwen3_moe", {**FEW, "attention_bias": True}),
        "qwen3_moe-linear": Golden("qwen3_moe", {**FEW, "rope_parameters": LINEAR}),
        "qwen3_moe-llama3": Golden("qwen3_moe", {**FEW, "rope_parameters": LLAMA3}),
        "qwen3_moe-yarn": Golden("qwen3_moe", {**FEW, "rope_parameters": YARN}, published_config=True),
    }
    return table


# ------------------------------------------------------------------------------------ checkpoints
def make_config(golden):
    fields = {**COMMON, **ARCHITECTURES[golden.architecture], **golden.overrides}
    return transformers.AutoConfig.for_model(golden.architecture, **copy.deepcopy(fields))


def draw_weights(model, seed):
    """Large enough that every part matters to the logits, with no norm weight or bias left trivial."""
    generator = torch.Generator().manual_seed(seed)
    tied = model.config.tie_word_embeddings
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight") or "layernorm" in name:
                parameter.copy_(1 + 0.2 * noise)
                if tied and name == "model.norm.weight":
                    # Otherwise a tied head mostly repeats the token it has just read.
                    parameter.mul_(torch.randint(0, 2, parameter.shape, generator=generator) * 2.0 - 1)
            elif name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            elif "embed_tokens" in name:
                parameter.copy_(noise)
            else:
                spread = 2.5 if name.endswith("mlp.gate.weight") else 1.5    # routers: logits well apart
                parameter.copy_(noise * spread / math.sqrt(parameter.shape[-1]))
    model.tie_weights()


def spell_as_published(path):
    """config.json in the words of transformers 4."""
    config = json.loads(path.read_text())
    scaling = config.pop("rope_parameters")
    config["rope_theta"] = scaling.pop("rope_theta")
    scaling["type"] = scaling.pop("rope_type")
    config["rope_scaling"] = scaling
    config["torch_dtype"] = config.pop("dtype")
    if "num_local_experts" in config and config["model_type"] == "qwen3_moe":
        config["num_experts"] = config.pop("num_local_experts")
    config["head_dim"] = None if config["model_type"] == "mixtral" else config["head_dim"]
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write_checkpoint(golden, directory, seed):
    model = transformers.AutoModelForCausalLM.from_config(make_config(golden)).float().eval()
    draw_weights(model, seed)
    model.to(TYPES[golden.dtype])
    model.generation_config.eos_token_id = model.generation_config.bos_token_id = None
    model.save_pretrained(directory, save_original_format=not golden.fused, max_shard_size=golden.shard)
    if golden.published_config:
        spell_as_published(directory / "config.json")


# -------------------------------------------------------------------------------------- the oracle
class Oracle:
    """A model whose calls return logits and, of every sparse layer, what its router decided."""

    def __init__(self, model):
        self.model = model.eval()
        self.decisions = {}
        for name, module in model.named_modules():
            if type(module).__name__.endswith("TopKRouter"):
                layer = int(name.split("layers.")[1].split(".")[0])
                module.register_forward_hook(self.recorder(f"L{layer:02d}"))

    def recorder(self, key):
        def record(module, inputs, output):
            logits, weights, experts = output
            self.decisions[key] = (experts.clone(), weights.float(), logits.float())
        return record

    @torch.no_grad()
    def run(self, tokens):
        """tokens [B,T] -> logits [B,T,V], {layer: (experts, weights, router logits), each [B*T,...]}"""
        self.decisions = {}
        logits = self.model(input_ids=tokens, use_cache=False).logits.float()
        return logits, dict(sorted(self.decisions.items()))

    @torch.no_grad()
    def decode(self, tokens):
        """Greedy decoding with the cache: tokens [B,16] and the logits that chose them [B,16,V]."""
        output = self.model(input_ids=tokens, use_cache=True)
        chosen, logits = [], []
        while True:
            logits.append(output.logits[:, -1].float())
            chosen.append(logits[-1].argmax(-1, keepdim=True))
            if len(chosen) == NEW_TOKENS:
                return torch.cat(chosen, 1), torch.stack(logits, 1)
            output = self.model(input_ids=chosen[-1], past_key_values=output.past_key_values, use_cache=True)


def perturbed(model, seed, relative):
    """The model in f32, every weight off by a little."""
    result = copy.deepcopy(model).float()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.mul_(1 + relative * torch.randn(parameter.shape, generator=generator))
    result.tie_weights()
    return result


def router_gap(logits, k):
    best = logits.sort(-1, descending=True).values
    return best[..., k - 1] - best[..., k]


def choices(decisions, batch):
    """[B, everything that was chosen], order within a token removed."""
    return torch.cat([experts.sort(-1).values.reshape(batch, -1) for experts, _, _ in decisions.values()], 1)


# ------------------------------------------------------------------------------------- the prompts
def assess(oracles, tokens):
    """For each row of tokens: how many choices the other oracles (slightly different weights; f32 instead of 16
    bits) make differently, the smallest router gap and token gap, and the number of distinct greedy tokens."""
    batch = tokens.shape[0]
    greedy, decode_logits = oracles[0].decode(tokens)
    full = torch.cat([tokens, greedy[:, :-1]], 1)
    logits, decisions = oracles[0].run(full)
    changed = torch.zeros(batch, dtype=torch.long)
    decided = [decisions]
    for other in oracles[1:]:
        other_logits, other_decisions = other.run(full)
        changed += (choices(decisions, batch) != choices(other_decisions, batch)).sum(-1)
        tail = other_logits[:, tokens.shape[1] - 1:].argmax(-1)
        changed += (tail != greedy).sum(-1)
        # A 16-bit oracle may keep apart what is a tie in f32: both must have a gap.
        decided.append(other_decisions)
    gaps = [router_gap(r, e.shape[-1]).reshape(batch, -1).min(-1).values
            for one in decided for e, _, r in one.values()]
    best = decode_logits.topk(2, -1).values
    token_gap = ((best[..., 0] - best[..., 1]) / decode_logits.std(-1)).min(-1).values
    distinct = torch.tensor([len(set(row)) for row in greedy.tolist()])
    return changed, torch.stack(gaps).min(0).values, token_gap, distinct


def find_prompt(oracles, dtype, vocabulary, length, generator):
    """The best of up to 20 batches of random prompts; stops at the first batch with a good one."""
    best = None
    for _ in range(20):
        tokens = torch.randint(3, vocabulary, (192 if length > 1 else vocabulary - 3, length), generator=generator)
        changed, gap, token_gap, distinct = assess(oracles, tokens)
        score = (-changed.float() + (gap / MIN_ROUTER_GAP[dtype]).clamp(max=1)
                 + (token_gap / MIN_TOKEN_GAP[dtype]).clamp(max=1) + 0.5 * (distinct / 6).clamp(max=1))
        row = int(score.argmax())
        if best is None or score[row] > best[0]:
            best = (float(score[row]), tokens[row:row + 1], int(changed[row]), float(gap[row]), float(token_gap[row]))
        if best[0] >= 2.5:
            break
    return best[1:]


# --------------------------------------------------------------------------------- expected results
def largest(difference):
    return float(difference.abs().max())


def answer(oracles, low, tokens):
    """The arrays of one prompt, and how far the oracle's evaluations of the same thing lie apart."""
    oracle = oracles[0]
    length = tokens.shape[1]
    greedy, decode_logits = oracle.decode(tokens)
    logits, _ = oracle.run(tokens)
    full_logits, decisions = oracle.run(torch.cat([tokens, greedy[:, :-1]], 1))
    arrays = dict(tokens=tokens[0].to(torch.int32), logits=logits[0], greedy=greedy[0].to(torch.int32),
                  decode_logits=decode_logits[0])
    facts = dict(length=length, tokens=tokens[0].tolist(), greedy=greedy[0].tolist(), logit_std=float(logits.std()),
                 cached_minus_uncached=largest(full_logits[:, length - 1:] - decode_logits),
                 full_minus_prefill=largest(full_logits[:, :length] - logits))
    if low:
        arrays["logits_f32"] = oracles[1].run(tokens)[0][0]
        facts["minus_f32"] = largest(arrays["logits_f32"] - logits[0])
    for layer, (experts, weights, router_logits) in decisions.items():
        arrays[layer + "_experts"] = experts.to(torch.int32)
        arrays[layer + "_weights"] = weights
        arrays[layer + "_router_logits"] = router_logits
    return {name: array.numpy() for name, array in arrays.items()}, facts


def load_oracle(directory):
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype="auto")
    oracle = Oracle(model)
    try:
        oracle.run(torch.zeros(1, 3, dtype=torch.long))
    except RuntimeError as error:
        # The default grouped matmul of 16-bit types wants rows that are a multiple of 16 bytes.
        if "16 bytes" not in str(error):
            raise
        model.set_experts_implementation("eager")
    return oracle


def make(name, golden, out, seed=0):
    torch.manual_seed(seed)
    directory = out / name
    directory.mkdir(parents=True, exist_ok=True)
    for stale in [*directory.glob("*.safetensors"), *directory.glob("*.index.json")]:
        stale.unlink()
    write_checkpoint(golden, directory, seed)
    oracle = load_oracle(directory)
    low = golden.dtype != "f32"
    others = [perturbed(oracle.model, seed + 1, 0.0 if low else 0.004), perturbed(oracle.model, seed + 2, 0.003)]
    oracles = [oracle, *map(Oracle, others)]

    generator = torch.Generator().manual_seed(seed + 3)
    arrays, prompts = {}, []
    for index, length in enumerate(PROMPT_LENGTHS):
        tokens, changed, gap, token_gap = find_prompt(oracles, golden.dtype, oracle.model.config.vocab_size,
                                                      length, generator)
        found, facts = answer(oracles, low, tokens)
        arrays |= {f"p{index}_{key}": array for key, array in found.items()}
        prompts.append({**facts, "unstable_choices": changed, "router_gap": gap, "token_gap_over_std": token_gap})
    np.savez_compressed(directory / "expected.npz", **arrays)
    description = dict(
        name=name, architecture=golden.architecture, seed=seed, dtype=golden.dtype, overrides=golden.overrides,
        parameters=sum(p.numel() for p in oracle.model.parameters()),
        versions=dict(transformers=transformers.__version__, torch=torch.__version__.split("+")[0],
                      numpy=np.__version__, python=platform.python_version()),
        prompts=prompts)
    (directory / "expected.json").write_text(json.dumps(description, indent=1) + "\n")
    print(f"{name:20s} {description['parameters']:7d}", *(
        f"[T={p['length']} changed={p['unstable_choices']} gap={p['router_gap']:.3f} "
        f"token={p['token_gap_over_std']:.3f} cached={p['cached_minus_uncached'] / p['logit_std']:.0e}"
        + (f" f32={p['minus_f32'] / p['logit_std']:.2f}" if low else "") + "]" for p in prompts), flush=True)


# ------------------------------------------------------------------------- rotary embeddings alone
def rope_cases():
    """(rope parameters, head size, max_position_embeddings, declared context length)"""
    for head_dim, theta in ((16, 10000.0), (128, 1000000.0), (18, 500000.0)):
        default = dict(rope_type="default", rope_theta=theta)
        yarn = dict(rope_type="yarn", rope_theta=theta, factor=4.0, original_max_position_embeddings=4096)
        yield default, head_dim, 4096, 4096
        yield {**default, "rope_type": "linear", "factor": 3.0}, head_dim, 4096, 4096
        for context in (1000, 4096, 10000):
            yield {**default, "rope_type": "dynamic", "factor": 2.5}, head_dim, 4096, context
        yield yarn, head_dim, 16384, 4096
        yield {**yarn, "mscale": 0.8, "mscale_all_dim": 1.1}, head_dim, 16384, 4096
        yield {**yarn, "attention_factor": 1.25, "beta_fast": 16.0, "beta_slow": 2.0}, head_dim, 16384, 4096
        yield {**yarn, "truncate": False, "factor": 32.0}, head_dim, 16384, 4096
        yield dict(rope_type="llama3", rope_theta=theta, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=8192), head_dim, 16384, 4096


def write_rope(path):
    cases = []
    for parameters, head_dim, positions, context in rope_cases():
        config = transformers.AutoConfig.for_model(
            "qwen3_moe", **{**COMMON, **ARCHITECTURES["qwen3_moe"], "head_dim": head_dim,
                            "max_position_embeddings": positions, "rope_parameters": dict(parameters)})
        model_class = transformers.models.qwen3_moe.modeling_qwen3_moe.Qwen3MoeRotaryEmbedding
        embedding = model_class(config)
        # A call of `context` positions, which is what recomputes the frequencies of type dynamic.
        embedding(torch.zeros(1), torch.tensor([[context - 1]]))
        cases.append(dict(rope_parameters=parameters, head_dim=head_dim, max_position_embeddings=positions,
                          context=context, attention_factor=float(embedding.attention_scaling),
                          inv_freq=[float(f"{x:.9g}") for x in embedding.inv_freq.tolist()]))
    lines = ",\n".join(json.dumps(case) for case in cases)
    path.write_text(f"[\n{lines}\n]\n")
    print(f"{path.name}: {len(cases)} cases")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which goldens, or rope; default: all")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "golden")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    table = goldens()
    if arguments.list:
        print("\n".join([*table, "rope"]))
        return
    unknown = set(arguments.names) - {*table, "rope"}
    if unknown:
        sys.exit(f"unknown: {' '.join(sorted(unknown))}; --list shows all")
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or [*table, "rope"]:
        if name == "rope":
            write_rope(arguments.out / "rope.json")
        else:
            make(name, table[name], arguments.out)


if __name__ == "__main__":
    main()
