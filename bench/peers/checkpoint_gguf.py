"""Writes a Hugging Face directory in f32 (llama, mixtral, qwen3_moe) as a GGUF in f32.

usage: checkpoint_gguf.py DIR OUT.gguf [VOCABULARY.gguf]      runs in the peers' environment

The vocabulary is another GGUF's, or made up: ids are all that is fed to it then.
"""
import pathlib
import sys

import gguf
import numpy as np

import make_gguf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from measure import checkpoint, recast  # noqa: E402

ARCHITECTURES = {"llama": "llama", "mixtral": "llama", "qwen3_moe": "qwen3moe"}
PARTS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
         "block_sparse_moe.gate": "ffn_gate_inp"}
EXPERTS = {"gate_proj": "gate", "up_proj": "up", "down_proj": "down", "w1": "gate", "w3": "up", "w2": "down"}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def place(name):
    """(GGUF's name without .weight, expert or None) of a Hugging Face tensor."""
    name = name.removesuffix(".weight")
    if name in WHOLE:
        return WHOLE[name], None
    layer, part = name.removeprefix("model.layers.").split(".", 1)
    if ".experts." in part:
        *_, expert, kind = part.split(".")
        return f"blk.{layer}.ffn_{EXPERTS[kind]}_exps", int(expert)
    return f"blk.{layer}.{PARTS[part]}", None


def in_gguf(config, tensors):
    """{GGUF's name: array}: experts stacked, rotary pairs as neighbours where the architecture has them so."""
    result, stacks = {}, {}
    for name, tensor in tensors.items():
        found, expert = place(name)
        if ARCHITECTURES[config["model_type"]] == "llama" and found.endswith(("attn_q", "attn_k")):
            heads = config["num_attention_heads" if found.endswith("q") else "num_key_value_heads"]
            tensor = recast.halves_to_interleaved(tensor, heads)
        if expert is None:
            result[found] = tensor
        else:
            stacks.setdefault(found, {})[expert] = tensor
    return result | {name: np.stack([stack[e] for e in range(len(stack))]) for name, stack in stacks.items()}


def describe(writer, config):
    experts = config.get("num_experts") or config.get("num_local_experts")
    make_gguf.describe(writer, config | {"num_experts": experts}, gguf.LlamaFileType.ALL_F32)
    if size := config.get("head_dim"):
        writer.add_key_length(size)
        writer.add_value_length(size)
        writer.add_rope_dimension_count(size)
    if width := config.get("moe_intermediate_size"):
        writer.add_expert_feed_forward_length(width)


def copy_vocabulary(writer, path):
    for key, field in gguf.GGUFReader(path).fields.items():
        if key.startswith("tokenizer.ggml."):
            kind = field.types[0]
            writer.add_key_value(key, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)


def main():
    config, tensors = checkpoint.read(pathlib.Path(sys.argv[1]))
    writer = gguf.GGUFWriter(sys.argv[2], ARCHITECTURES[config["model_type"]])
    describe(writer, config)
    if len(sys.argv) > 3:
        copy_vocabulary(writer, sys.argv[3])
    else:
        make_gguf.add_vocabulary(writer, config["vocab_size"])
    for name, tensor in in_gguf(config, tensors).items():
        writer.add_tensor(f"{name}.weight", np.ascontiguousarray(tensor))
    make_gguf.finish(writer)


if __name__ == "__main__":
    main()
