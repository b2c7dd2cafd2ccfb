#!/usr/bin/env python3
"""Divergences and their intervals on cases worked out by hand; recast models against the functions that they keep."""
import math
import unittest

import numpy as np

import bench_path  # noqa: F401
from measure import divergence, formats, held_out, quality_page, recast, reference


def logits(*shares):
    """f32 [tokens, vocabulary] of probabilities; a constant a row changes nothing."""
    return (np.log(np.array(shares)) + np.arange(len(shares))[:, None]).astype(np.float32)


class DivergenceTest(unittest.TestCase):
    def test_by_hand(self):
        first = divergence.Reference(logits((.5, .25, .25), (.1, .8, .1)), [0, 2])
        found = first.against(logits((.25, .5, .25), (.1, .8, .1)))
        # .5 ln(.5 / .25) + .25 ln(.25 / .5) = .25 ln 2
        np.testing.assert_allclose(found["kl"], [.25 * math.log(2), 0], atol=1e-7)
        self.assertEqual(found["same"].tolist(), [False, True])
        np.testing.assert_allclose(found["nll"], [math.log(4), math.log(10)], rtol=1e-6)

    def test_rows_beyond_one_block(self):
        generator = np.random.default_rng(0)
        mine, other = (generator.standard_normal((2 * divergence.ROWS + 5, 7)).astype(np.float32) for _ in range(2))
        following = generator.integers(0, 7, len(mine))
        found = divergence.Reference(mine, following).against(other)
        p, q = (np.exp(each.astype(np.float64)) for each in (mine, other))
        p, q = (each / each.sum(axis=1, keepdims=True) for each in (p, q))
        np.testing.assert_allclose(found["kl"], (p * np.log(p / q)).sum(axis=1), rtol=1e-12)
        np.testing.assert_allclose(found["nll"], -np.log(q[np.arange(len(q)), following]), rtol=1e-12)

    def test_large_logits_do_not_overflow(self):
        rows = np.array([[2000, 0]], np.float32)
        self.assertEqual(divergence.Reference(rows, [0]).against(rows)["kl"].tolist(), [0])


class SummaryTest(unittest.TestCase):
    def test_figures(self):
        kl = np.arange(1, 201, dtype=float).reshape(20, 10)
        found = divergence.summary({"kl": kl, "same": kl > 50, "nll": np.full_like(kl, math.log(7))})
        self.assertEqual(found["kl"][0], 100.5)
        self.assertAlmostEqual(found["kl_99"][0], 198.01)
        self.assertEqual(found["same"][0], 0.75)
        np.testing.assert_allclose(found["perplexity"], [7] * 3)
        for name in ("kl", "kl_99", "same"):
            self.assertLessEqual(found[name][1], found[name][0])
            self.assertLessEqual(found[name][0], found[name][2])

    def test_intervals_are_of_windows_not_of_tokens(self):
        # All tokens of a window agree: 20 windows are 20 observations, however long they are.
        means = np.random.default_rng(1).standard_normal(20)
        short, long = (divergence.summary({name: np.repeat(means[:, None], tokens, axis=1) for name in ("kl", "same", "nll")})
                       for tokens in (2, 200))
        np.testing.assert_allclose(short["kl"], long["kl"])

    def test_ratio_draws_both_together(self):
        lower = np.random.default_rng(2).exponential(size=(30, 4))
        np.testing.assert_allclose(divergence.ratio(1.1 * lower, lower), [1.1] * 3)


def dense(generator, hidden=8, width=16, heads=4, kv_heads=2, layers=2):
    """(config, tensors) of a dense Llama with random weights."""
    config = {"hidden_size": hidden, "intermediate_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": kv_heads}
    size, shapes = hidden // heads, {"model.embed_tokens": (11, hidden), "model.norm": (hidden,)}
    for layer in range(layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in {
            "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,), "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (kv_heads * size, hidden), "self_attn.v_proj": (kv_heads * size, hidden),
            "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (width, hidden), "mlp.up_proj": (width, hidden),
            "mlp.down_proj": (hidden, width)}.items()}
    return config, {f"{name}.weight": generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def norm(x, weight):
    return x / np.sqrt((x * x).mean(axis=1, keepdims=True)) * weight


def evaluate(config, tensors, ids):
    """f64 logits of a Llama (dense) or Mixtral that chooses all experts; without positions."""
    tensors = {name.removesuffix(".weight"): tensor.astype(np.float64) for name, tensor in tensors.items()}
    x, heads = tensors["model.embed_tokens"][ids], config["num_attention_heads"]
    for layer in range(config["num_hidden_layers"]):
        at = lambda name: tensors[f"model.layers.{layer}.{name}"]
        y = norm(x, at("input_layernorm"))
        q, k, v = (y @ at(f"self_attn.{name}_proj").T for name in "qkv")
        x = x + reference.attention(q, k, v, heads, 0, 1.0) @ at("self_attn.o_proj").T
        y = norm(x, at("post_attention_layernorm"))
        if "num_local_experts" not in config:
            x = x + (reference.silu(y @ at("mlp.gate_proj").T) * (y @ at("mlp.up_proj").T)) @ at("mlp.down_proj").T
            continue
        expert = lambda e, name: at(f"block_sparse_moe.experts.{e}.{name}")
        x = x + reference.layer(y, at("block_sparse_moe.gate"), lambda e: np.concatenate([expert(e, "w1"), expert(e, "w3")]),
                                lambda e: expert(e, "w2"), config["num_experts_per_tok"])
    return norm(x, tensors["model.norm"]) @ tensors["model.embed_tokens"].T


class RecastTest(unittest.TestCase):
    def setUp(self):
        self.config, self.tensors = dense(np.random.default_rng(3))
        self.expected = evaluate(self.config, self.tensors, [1, 5, 2, 5])

    def compare(self, config, tensors):
        np.testing.assert_allclose(evaluate(config, tensors, [1, 5, 2, 5]), self.expected, rtol=1e-4, atol=1e-4)

    def test_experts_are_the_dense_function(self):
        config, tensors = recast.mixtral(self.config, self.tensors, 8)
        self.assertEqual(tensors["model.layers.1.block_sparse_moe.experts.7.w2.weight"].shape, (8, 2))
        self.compare(config, tensors)

    def test_channels_in_another_order(self):
        tensors = recast.shuffle(self.config, self.tensors, seed=4)
        name = "model.layers.0.mlp.down_proj.weight"
        self.assertFalse((tensors[name] == self.tensors[name]).all())
        self.compare(self.config, tensors)

    def test_outliers(self):
        tensors = recast.outliers(self.tensors, 0.01, 10, 60, seed=5)
        scale = tensors["model.layers.0.input_layernorm.weight"] / self.tensors["model.layers.0.input_layernorm.weight"]
        self.assertEqual((scale > 9.9).sum(), 1)
        self.assertEqual((scale == 1).sum(), 7)
        self.compare(self.config, tensors)

    def test_orders_of_rotary_pairs(self):
        rows = np.arange(8, dtype=np.float32)[:, None]
        self.assertEqual(recast.halves_to_interleaved(rows, 2).ravel().tolist(), [0, 2, 1, 3, 4, 6, 5, 7])
        self.assertEqual(recast.interleaved_to_halves(recast.halves_to_interleaved(rows, 2), 2).tolist(), rows.tolist())

    def test_only_matrices_of_layers_are_quantised(self):
        tensors = {name: np.random.default_rng(6).standard_normal((4, 32)).astype(np.float32)
                   for name in ("model.embed_tokens.weight", "lm_head.weight", "model.layers.0.mlp.gate.weight",
                                "model.layers.0.block_sparse_moe.gate.weight", "model.layers.0.mlp.experts.1.gate_proj.weight",
                                "model.layers.0.block_sparse_moe.experts.0.w2.weight")}
        changed = [name for name, tensor in recast.stand_for(tensors, "int4").items() if (tensor != tensors[name]).any()]
        self.assertEqual(changed, list(tensors)[-2:])
        np.testing.assert_array_equal(recast.stand_for(tensors, "int8")[changed[0]],
                                      formats.stands_for(tensors[changed[0]], "int8"))


class WindowsTest(unittest.TestCase):
    def test_they_cover_the_text_without_overlap(self):
        found = held_out.windows(np.arange(103), 4, 9)
        self.assertEqual(found.shape, (4, 10))
        self.assertEqual(len(np.unique(found)), 40)
        self.assertEqual((found.min(), found.max()), (0, 102))

    def test_too_little_text(self):
        with self.assertRaises(SystemExit):
            held_out.windows(np.arange(39), 4, 9)


class PageTest(unittest.TestCase):
    def test_rows_by_size_and_dear_formats(self):
        figures = {"kl": (.02, .01, .03), "kl_99": (.2, .1, .3), "same": (.9, .8, 1.), "perplexity": (12.5, 12, 13)}

        def cell(by, name, bits, **more):
            return {"model": "shipped", "by": by, "format": name, "dense": False, "bits": bits, "kl": [0.02] * 3,
                    "figures": {**figures, **more}}
        cells = [cell("llama.cpp", "Q4_0", 4.5), cell("moec", "f32", 32.0), cell("llama.cpp", "Q8_0", 8.5),
                 cell("moec", "int8", 8.5, added=(.5, .2, .8), peer=(1, .9, 1.1)),
                 cell("moec", "int4", 4.5, added=(.0, -.1, .2), peer=(.95, .9, .99))]
        about = {"bytes": 9000, "documents": 2, "tokens": 3000, "weights": 900, "quantised": 800, "windows": 5, "context": 10,
                 "sha256": "0" * 64, "command": "bench/quality.py run"}
        page = quality_page.page({"peers": {"llama.cpp": "of a package"}, "models": {"shipped": about}, "cells": cells})
        rows = [line.split(" | ")[1] for line in page.splitlines() if line.startswith(("| moec", "| llama"))]
        self.assertEqual(rows, ["`int8`", "`Q8_0`", "`int4`", "`Q4_0`"])
        self.assertIn("3 (of 5 meant; then time was up) windows of 10 tokens", " ".join(page.split()))
        self.assertIn("| 30 | 0.02 [0.01, 0.03] |", page)
        self.assertIn("| 0.95 [0.90, 0.99] | +0.0 % [-10.0 %, +20.0 %] |", page)
        self.assertIn("formats' weights: `int8`; perhaps of these (the interval holds 10 %): `int4`.", page)


if __name__ == "__main__":
    unittest.main()
