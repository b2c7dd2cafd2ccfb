"""Models that compute the same function with other weights: outliers, other orders of channels, experts for a dense FFN.

Tensors are f32 arrays [out, in] under Hugging Face's names; configs are config.json's.
"""
import numpy as np

from . import formats

NORMS = {"input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
         "post_attention_layernorm": ("mlp.gate.", "gate_proj", "up_proj")}
QUANTISED = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight", "gate_proj.weight", "up_proj.weight",
             "down_proj.weight", "w1.weight", "w2.weight", "w3.weight")


def is_quantised(name):
    """Whether `moec --quant` and llama-quantize take this tensor: a matrix of a layer that is no router."""
    return name.endswith(QUANTISED)


def stand_for(tensors, kind):
    """What the weights are after quantisation, as floats."""
    return {name: formats.stands_for(tensor, kind) if is_quantised(name) else tensor for name, tensor in tensors.items()}


def outliers(tensors, share, low, high, seed):
    """`share` of the channels of each layer's norms, scaled by low..high (log-uniform), inversely in what reads them.

    Returns new tensors; at least one channel a norm.
    """
    generator, result = np.random.default_rng(seed), dict(tensors)
    for name in sorted(tensors):
        layer, _, norm = name.removesuffix(".weight").rpartition(".")
        if norm not in NORMS:
            continue
        channels = len(tensors[name])
        scale = np.ones(channels, np.float32)
        chosen = generator.choice(channels, max(1, round(share * channels)), replace=False)
        scale[chosen] = np.exp(generator.uniform(np.log(low), np.log(high), len(chosen)))
        result[name] = tensors[name] * scale
        for reader in tensors:
            if reader.startswith(layer + ".") and any(word in reader for word in NORMS[norm]):
                result[reader] = tensors[reader] / scale
    return result


def interleaved_to_halves(matrix, heads):
    """Rows of a query or key projection from GGUF's order of a rotary pair (2i, 2i+1) to (i, i + size/2)."""
    return matrix.reshape(heads, -1, 2, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)


def halves_to_interleaved(matrix, heads):
    """The reverse."""
    return matrix.reshape(heads, 2, -1, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)


def shuffle(config, tensors, seed):
    """A dense Llama with its channels in another order: those between layers, of each FFN and of each head of V.

    Weights that were quantised in groups of neighbours then have neighbours of other groups, and no format finds its own
    grid again. Returns new tensors.
    """
    generator = np.random.default_rng(seed)
    between = generator.permutation(config["hidden_size"])
    kv_heads, heads = config["num_key_value_heads"], config["num_attention_heads"]
    size = config["hidden_size"] // heads
    result = {name: tensor[..., between] for name, tensor in tensors.items()
              if not name.endswith(("o_proj.weight", "down_proj.weight"))}
    for layer in range(config["num_hidden_layers"]):
        attention, ffn = (f"model.layers.{layer}.{part}." for part in ("self_attn", "mlp"))
        inner = generator.permutation(config["intermediate_size"])
        for name in ("gate_proj", "up_proj"):
            result[f"{ffn}{name}.weight"] = result[f"{ffn}{name}.weight"][inner]
        result[f"{ffn}down_proj.weight"] = tensors[f"{ffn}down_proj.weight"][between][:, inner]
        orders = np.stack([generator.permutation(size) for _ in range(kv_heads)])
        rows = (orders + size * np.arange(kv_heads)[:, None]).ravel()
        columns = (orders.repeat(heads // kv_heads, axis=0) + size * np.arange(heads)[:, None]).ravel()
        result[f"{attention}v_proj.weight"] = result[f"{attention}v_proj.weight"][rows]
        result[f"{attention}o_proj.weight"] = tensors[f"{attention}o_proj.weight"][between][:, columns]
    return result


def experts(gate, up, down, count):
    """A dense FFN as `count` experts of equal shares: lists of gate, up [width, D] and down [D, width].

    With a router of zeros every share is 1 / count, which down takes back: exact where count is a power of two.
    """
    return np.split(gate, count), np.split(up, count), np.split(down * np.float32(count), count, axis=1)


def mixtral(config, tensors, count):
    """A dense Llama as a Mixtral that chooses all of its `count` experts."""
    width, rest = divmod(config["intermediate_size"], count)
    assert not rest, f"{count} experts do not divide {config['intermediate_size']}"
    result = {name: tensor for name, tensor in tensors.items() if ".mlp." not in name}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        parts = experts(*(tensors[f"{at}.mlp.{name}_proj.weight"] for name in ("gate", "up", "down")), count)
        result[f"{at}.block_sparse_moe.gate.weight"] = np.zeros((count, config["hidden_size"]), np.float32)
        for name, each in zip(("w1", "w3", "w2"), parts):
            for expert, matrix in enumerate(each):
                result[f"{at}.block_sparse_moe.experts.{expert}.{name}.weight"] = matrix
    return {**config, "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "intermediate_size": width,
            "num_local_experts": count, "num_experts_per_tok": count}, result
