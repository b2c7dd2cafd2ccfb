#!/usr/bin/env python3
"""Bits of 16-bit floats, tensors that are never held whole, and the numpy layer they are checked by."""
import unittest

import numpy as np

import bench_path  # noqa: F401
from measure import reference, weights


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
            tensor = weights.Random((3, 700, 650), element, 0.5, seed=4)
            whole = weights.from_bits(tensor.logical(), element)
            for expert in range(3):
                self.assertTrue((tensor.expert(expert) == whole[expert]).all(), (element, expert))
            self.assertFalse((whole[0] == whole[1]).all())


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
