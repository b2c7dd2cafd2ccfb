#!/usr/bin/env python3
"""Bits of 16-bit floats, tensors that are never held whole, and the numpy layer they are checked by."""
import unittest

import numpy as np

import bench_path  # noqa: F401
from measure import formats, reference, weights


class BitsTest(unittest.TestCase):
    def test_bf16_rounds_to_even(self):
        values = np.array([1.0, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20], np.float32)
        back = weights.from_bits(weights.to_bits(values, "bf16"), "bf16")
        self.assertEqual(back.tolist(), [1.0, 1.0, 1 + 2 ** -6, 1 + 2 ** -7])

    def test_f16(self):
        values = np.array([0.1, -3.0], np.float32)
        back = weights.from_bits(weights.to_bits(values, "f16"), "f16")
        self.assertEqual(back.tolist(), values.astype(np.float16).astype(np.float32).tolist())


class RandomTest(unittest.TestCase):
    def test_experts_are_slices_of_the_whole(self):
        for element in ("f32", "bf16", "f16"):
            tensor = weights.Random((3, 700, 650), weights.TYPES[element], 0.5, seed=4)
            whole = weights.from_bits(tensor.logical(), element)
            for expert in range(3):
                self.assertTrue((tensor.expert(expert) == whole[expert]).all(), (element, expert))
            self.assertFalse((whole[0] == whole[1]).all())


class FormatsTest(unittest.TestCase):
    def setUp(self):
        self.matrix = np.random.default_rng(5).standard_normal((16, 64)).astype(np.float32)

    def test_errors_are_within_half_a_step(self):
        largest = np.abs(self.matrix).reshape(16, 2, 32).max(-1).repeat(32, axis=1)
        for name, steps in (("int8", 1 / 127 / 2), ("int4", 1 / 8), ("int4_min", 2 / 15 / 2), ("mxfp4", 1 / 4),
                            ("int4_nl", 1 / 7)):
            error = np.abs(formats.stands_for(self.matrix, name) - self.matrix)
            self.assertTrue((error <= largest * steps * 1.01).all(), name)

    def test_what_a_format_holds_stays_as_it_is(self):
        codes = np.tile(np.array([0, .5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6, 0], np.float32), 2)[None]
        self.assertEqual(formats.stands_for(codes * 8, "mxfp4").tolist(), (codes * 8).tolist())
        whole = np.arange(-8, 8, dtype=np.float32).repeat(2)[None]
        self.assertEqual(formats.stands_for(whole, "int4").tolist(), whole.tolist())
        self.assertEqual(formats.stands_for(whole, "int4_min").tolist(), whole.tolist())

    def test_int4_nl_finds_its_own_numbers(self):
        whole = np.concatenate([formats.IQ4_NL, formats.IQ4_NL[::-1]])[None]
        for scale in (1, -0.25):
            self.assertEqual(formats.stands_for(whole * np.float32(scale), "int4_nl").tolist(), (whole * scale).tolist())

    def test_int4_nl_is_nearer_than_int4(self):
        error = lambda name: ((formats.stands_for(self.matrix, name) - self.matrix) ** 2).sum()
        self.assertLess(error("int4_nl"), 0.8 * error("int4"))

    def test_a_channel_has_one_scale(self):
        error = np.abs(formats.stands_for(self.matrix, "int8_channel") - self.matrix)
        self.assertTrue((error <= np.abs(self.matrix).max(-1, keepdims=True) / 254 * 1.01).all())
        whole = np.arange(-127, 129, dtype=np.float32).clip(-127, 127)[None]
        self.assertEqual(formats.stands_for(whole, "int8_channel").tolist(), whole.tolist())

    def test_zeros(self):
        for name in ("int8", "int4", "int4_min", "mxfp4", "int8_channel", "int4_nl"):
            self.assertEqual(np.abs(formats.stands_for(np.zeros((2, 32), np.float32), name)).max(), 0)

    def test_ties_of_mxfp4_take_the_even_code(self):
        # Scale 1: halves between codes 1|2 (.5, 1) and 2|3 (1, 1.5), 4|5 (2, 3), 5|6 (3, 4), 6|7 (4, 6).
        values = np.zeros((1, 32), np.float32)
        values[0, :6] = 6, .75, 1.25, 2.5, 3.5, 5
        self.assertEqual(formats.stands_for(values, "mxfp4")[0, :6].tolist(), [6, 1, 1, 2, 4, 4])


class ReferenceTest(unittest.TestCase):
    def test_one_expert_is_its_ffn_times_its_share(self):
        generator = np.random.default_rng(0)
        x, gate = generator.standard_normal((2, 4)), np.zeros((2, 4))
        both, down = generator.standard_normal((2, 6, 4)), generator.standard_normal((2, 4, 3))
        found = reference.layer(x, gate, both.__getitem__, down.__getitem__, 1)
        inner = x @ both[0, :3].T
        expected = 0.5 * ((inner / (1 + np.exp(-inner))) * (x @ both[0, 3:].T)) @ down[0].T
        self.assertLess(reference.error(found, expected), 1e-12)

    def test_first_row_of_attention_is_the_first_value(self):
        generator = np.random.default_rng(0)
        q, k, v = (generator.standard_normal((3, 8)) for _ in range(3))
        found = reference.attention(q, k, v, 2, 0, 0.5)
        self.assertLess(reference.error(found[0], v[0]), 1e-12)


if __name__ == "__main__":
    unittest.main()
