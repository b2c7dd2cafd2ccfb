"""A small Qwen3-MoE in plain PyTorch; its parameters map one to one on the names
of the published checkpoints of that architecture."""
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "decoder_sparse_step": 1,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 192,
    "initializer_range": 0.02,
    "intermediate_size": 384,
    "max_position_embeddings": 512,
    "max_window_layers": 5,
    "mlp_only_layers": [],
    "moe_intermediate_size": 96,
    "norm_topk_prob": True,
    "num_attention_heads": 6,
    "num_experts": 16,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 5,
    "num_key_value_heads": 2,
    "output_router_logits": False,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "router_aux_loss_coef": 0.01,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 2048,
}


def rms_norm(x, weight, eps=CONFIG["rms_norm_eps"]):
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


class Rows(torch.autograd.Function):
    """x[index] for an index without repetitions."""

    @staticmethod
    def forward(ctx, x, index):
        ctx.save_for_backward(index)
        ctx.n = len(x)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, g):
        (index,) = ctx.saved_tensors
        return g.new_zeros(ctx.n, g.shape[1]).index_copy_(0, index, g), None


class Experts(nn.Module):
    """Routed feed-forward layer.  The rows of a batch are brought together by
    expert in one padded array, so that two batched products do the work."""

    def __init__(self, c):
        super().__init__()
        d, f, e = c["hidden_size"], c["moe_intermediate_size"], c["num_experts"]
        self.e, self.k = e, c["num_experts_per_tok"]
        self.router = nn.Parameter(torch.randn(e, d) * 0.02)
        self.gate = nn.Parameter(torch.randn(e, f, d) * d ** -0.5)
        self.up = nn.Parameter(torch.randn(e, f, d) * d ** -0.5)
        self.down = nn.Parameter(torch.randn(e, d, f) * f ** -0.5 * 0.2)

    def forward(self, x, dtype):
        n, d = x.shape
        p = F.softmax(x @ self.router.T, -1)
        w, chosen = p.topk(self.k, -1)
        w = w / w.sum(-1, keepdim=True)
        flat = chosen.reshape(-1)
        counts = torch.bincount(flat, minlength=self.e)
        order = flat.argsort(stable=True)
        # Few different sizes, as each makes the libraries prepare new code.
        unit = 256 if n > 2048 else 16
        cap = -(-int(counts.max()) // unit) * unit
        first = counts.cumsum(0) - counts
        by_expert = flat[order]
        # Row of the padded array that holds each pair of a token and an expert.
        row = by_expert * cap + torch.arange(n * self.k) - first[by_expert]
        row = torch.empty_like(row).index_copy(0, order, row)
        h = x.to(dtype)[:, None].expand(n, self.k, d).reshape(-1, d)
        h = torch.zeros(self.e * cap, d, dtype=dtype).index_copy(0, row, h)
        h = h.view(self.e, cap, d)
        gu = h @ torch.cat((self.gate, self.up), 1).to(dtype).transpose(1, 2)
        g, u = gu.chunk(2, -1)
        y = (F.silu(g) * u) @ self.down.to(dtype).transpose(1, 2)
        y = Rows.apply(y.view(-1, d), row).view(n, self.k, d)
        out = (y.float() * w[..., None]).sum(1)
        self.counts = counts
        self.chosen = chosen
        share = counts.float() / (n * self.k)
        # Equal to one where the load is even.
        self.balance = self.e * (share * p.mean(0)).sum()
        return out


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, hd = c["hidden_size"], c["head_dim"]
        self.h, self.kv, self.hd = c["num_attention_heads"], c["num_key_value_heads"], hd
        self.norm1 = nn.Parameter(torch.ones(d))
        self.norm2 = nn.Parameter(torch.ones(d))
        self.q_norm = nn.Parameter(torch.ones(hd))
        self.k_norm = nn.Parameter(torch.ones(hd))
        self.q = nn.Parameter(torch.randn(self.h * hd, d) * d ** -0.5)
        self.k = nn.Parameter(torch.randn(self.kv * hd, d) * d ** -0.5)
        self.v = nn.Parameter(torch.randn(self.kv * hd, d) * d ** -0.5)
        self.o = nn.Parameter(torch.randn(d, self.h * hd) * d ** -0.5 * 0.2)
        self.mlp = Experts(c)

    def forward(self, x, cos, sin, dtype):
        b, t, d = x.shape
        z = rms_norm(x, self.norm1).to(dtype)
        qkv = z @ torch.cat((self.q, self.k, self.v)).to(dtype).T
        qkv = qkv.view(b, t, -1, self.hd)
        q, k, v = qkv.split((self.h, self.kv, self.kv), 2)

        def rotate(y):
            lo, hi = y.chunk(2, -1)
            return torch.cat((lo * cos - hi * sin, hi * cos + lo * sin), -1).to(dtype)

        rep = self.h // self.kv
        q = rotate(rms_norm(q, self.q_norm)).transpose(1, 2)
        k = rotate(rms_norm(k, self.k_norm)).repeat_interleave(rep, 2).transpose(1, 2)
        v = v.repeat_interleave(rep, 2).transpose(1, 2)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        a = a.transpose(1, 2).reshape(b, t, -1)
        x = x + (a @ self.o.to(dtype).T).float()
        z = rms_norm(x, self.norm2).view(b * t, d)
        return x + self.mlp(z, dtype).view(b, t, d)


class Model(nn.Module):
    def __init__(self, config=CONFIG):
        super().__init__()
        c = self.config = config
        d, v = c["hidden_size"], c["vocab_size"]
        self.embed = nn.Parameter(torch.randn(v, d) * 0.3)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = nn.Parameter(torch.ones(d))
        self.head = nn.Parameter(torch.randn(v, d) * 0.01)
        half = c["head_dim"] // 2
        freq = c["rope_theta"] ** (-torch.arange(half) / half)
        angle = torch.arange(c["max_position_embeddings"])[:, None] * freq
        self.register_buffer("cos", angle.cos()[:, None], persistent=False)
        self.register_buffer("sin", angle.sin()[:, None], persistent=False)

    def forward(self, ids, dtype=torch.float32):
        x = F.embedding(ids, self.embed)
        t = ids.shape[1]
        for layer in self.layers:
            x = layer(x, self.cos[:t], self.sin[:t], dtype)
        return rms_norm(x, self.norm).to(dtype) @ self.head.to(dtype).T


def published_names(model):
    """Pairs of a published tensor name and the part of a parameter it stands for."""
    yield "model.embed_tokens.weight", model.embed
    for i, layer in enumerate(model.layers):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", layer.norm1
        for x in "qkvo":
            yield p + f"self_attn.{x}_proj.weight", getattr(layer, x)
        yield p + "self_attn.q_norm.weight", layer.q_norm
        yield p + "self_attn.k_norm.weight", layer.k_norm
        yield p + "post_attention_layernorm.weight", layer.norm2
        yield p + "mlp.gate.weight", layer.mlp.router
        for e in range(layer.mlp.e):
            for x in ("gate", "up", "down"):
                yield p + f"mlp.experts.{e}.{x}_proj.weight", getattr(layer.mlp, x)[e]
    yield "model.norm.weight", model.norm
    yield "lm_head.weight", model.head


@torch.no_grad()
def load(folder):
    from safetensors.torch import load_file

    folder = Path(folder)
    model = Model(json.loads((folder / "config.json").read_text()))
    tensors = load_file(folder / "model.safetensors")
    for name, part in published_names(model):
        part.copy_(tensors.pop(name))
    assert not tensors, sorted(tensors)
    return model.eval()


@torch.no_grad()
def save(model, tokenizer_json, folder):
    """Writes a checkpoint folder in bfloat16."""
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: t.to(torch.bfloat16).contiguous() for n, t in published_names(model)},
              folder / "model.safetensors", metadata={"format": "pt"})
    end = "<|endoftext|>"
    files = {
        "config.json": model.config,
        "generation_config.json": {
            "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
            "do_sample": False, "max_new_tokens": 128,
        },
        "tokenizer_config.json": {
            "add_prefix_space": False, "bos_token": None, "eos_token": end,
            "pad_token": end, "unk_token": None, "clean_up_tokenization_spaces": False,
            "model_max_length": model.config["max_position_embeddings"],
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": {"0": {
                "content": end, "lstrip": False, "normalized": False,
                "rstrip": False, "single_word": False, "special": True}},
        },
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")
    (folder / "tokenizer.json").write_bytes(Path(tokenizer_json).read_bytes())
