"""Writes a GGUF of OLMoE-1B-7B's shape with random bf16 weights and a made-up vocabulary.

usage: make_gguf.py CONFIG.json OUT.gguf ARCHITECTURE      runs in the peers' environment

ARCHITECTURE is olmoe, or qwen3moe for a library without it: q and k then have a norm for each head, not one for all, and
the chosen experts' shares are renormalised.

Layers share their values, the experts of a layer those of four; every one has bytes of its own in the file.
"""
import json
import sys

import gguf
import numpy as np

DISTINCT = 4


def bf16(generator, shape, scale):
    """Rows of bytes, as the writer takes raw data."""
    bits = (generator.standard_normal(shape, np.float32) * np.float32(scale)).view(np.uint32)
    return ((bits + 0x8000) >> 16).astype(np.uint16).view(np.uint8)


def describe(writer, config, file_type):
    heads = config["num_attention_heads"]
    writer.add_name("bench")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    if config["num_experts"]:
        writer.add_expert_count(config["num_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(file_type)


def add_vocabulary(writer, size):
    special = [b"<unk>", b"<s>", b"</s>"]
    single = [b"<0x%02X>" % i for i in range(256)]
    rest = [b"t%d" % i for i in range(size - len(special) - len(single))]
    kinds = gguf.TokenType
    writer.add_tokenizer_model("llama")
    writer.add_token_list(special + single + rest)
    writer.add_token_scores([0.0] * size)
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL] + [kinds.BYTE] * 256 + [kinds.NORMAL] * len(rest))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


def describe_heads(writer, config):
    """What qwen3moe says besides."""
    size = config["hidden_size"] // config["num_attention_heads"]
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_expert_feed_forward_length(config["intermediate_size"])


def add_weights(writer, config, generator, normed):
    """`normed`: how many values of q and k a norm takes."""
    hidden, width, experts = (config[key] for key in ("hidden_size", "intermediate_size", "num_experts"))
    add = lambda name, data: writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType.BF16)
    ones = lambda count: np.ones(count, np.float32)

    def stacked(rows, columns):
        some = [bf16(generator, (rows, columns), columns ** -0.5) for _ in range(DISTINCT)]
        return np.stack([some[e % DISTINCT] for e in range(experts)])
    table = bf16(generator, (config["vocab_size"], hidden), 1)
    squares = {name: bf16(generator, (hidden, hidden), hidden ** -0.5) for name in ("q", "k", "v", "output")}
    inner, outer = stacked(width, hidden), stacked(hidden, width)
    add("token_embd.weight", table)
    add("output.weight", table)
    writer.add_tensor("output_norm.weight", ones(hidden))
    for layer in range(config["num_hidden_layers"]):
        at = f"blk.{layer}."
        for name, count in (("attn", hidden), ("ffn", hidden), ("attn_q", normed), ("attn_k", normed)):
            writer.add_tensor(f"{at}{name}_norm.weight", ones(count))
        for name, data in squares.items():
            add(f"{at}attn_{name}.weight", data)
        router = generator.standard_normal((experts, hidden), np.float32) * np.float32(hidden ** -0.5)
        writer.add_tensor(f"{at}ffn_gate_inp.weight", router)
        for name, data in (("gate", inner), ("up", inner), ("down", outer)):
            add(f"{at}ffn_{name}_exps.weight", data)


def finish(writer):
    """Writes all that was added."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    with open(sys.argv[1]) as file:
        config = json.load(file)
    architecture, normed = sys.argv[3], config["hidden_size"]
    writer = gguf.GGUFWriter(sys.argv[2], architecture)
    describe(writer, config, gguf.LlamaFileType.MOSTLY_BF16)
    if architecture == "qwen3moe":
        describe_heads(writer, config)
        normed //= config["num_attention_heads"]
    add_vocabulary(writer, config["vocab_size"])
    add_weights(writer, config, np.random.default_rng(0), normed)
    finish(writer)


if __name__ == "__main__":
    main()
