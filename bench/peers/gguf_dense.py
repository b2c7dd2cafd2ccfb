"""Writes a dense Llama of a GGUF as a Hugging Face directory in f32, dequantised.

usage: gguf_dense.py MODEL.gguf OUT_DIR      runs in the peers' environment
"""
import pathlib
import sys

import gguf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from measure import checkpoint, recast  # noqa: E402

PARTS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
FIELDS = {"hidden_size": "embedding_length", "intermediate_size": "feed_forward_length",
          "num_hidden_layers": "block_count", "num_attention_heads": "attention.head_count",
          "num_key_value_heads": "attention.head_count_kv", "rms_norm_eps": "attention.layer_norm_rms_epsilon",
          "rope_theta": "rope.freq_base", "max_position_embeddings": "context_length", "vocab_size": "vocab_size"}


def name(tensor):
    """Hugging Face's name of a GGUF's tensor."""
    words = tensor.split(".")
    if words[0] == "blk":
        return f"model.layers.{words[1]}.{PARTS[words[2]]}.weight"
    return f"{WHOLE[words[0]]}.weight"


def main():
    reader = gguf.GGUFReader(sys.argv[1])
    field = lambda key: reader.fields[key].contents()
    if field("general.architecture") != "llama":
        raise SystemExit(f"gguf_dense.py: {sys.argv[1]} holds a {field('general.architecture')}, not a llama")
    config = {key: field(f"llama.{word}") for key, word in FIELDS.items()}
    tensors = {name(t.name): gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    for tensor in tensors:
        for kind, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if kind in tensor:
                tensors[tensor] = recast.interleaved_to_halves(tensors[tensor], config[heads])
    config |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
               "tie_word_embeddings": "lm_head.weight" not in tensors}
    checkpoint.write(pathlib.Path(sys.argv[2]), config, tensors)


if __name__ == "__main__":
    main()
