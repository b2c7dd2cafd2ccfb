#!/usr/bin/env python3
"""Routing drawn by an input, the floor that follows, and the skew that was asked for."""
import unittest

import numpy as np

import bench_path  # noqa: F401
from measure import routing


class FloorTest(unittest.TestCase):
    def test_one_row_an_expert_is_bytes(self):
        # 100 bytes at 10 a second against 8 FLOPs at 4 a second.
        self.assertEqual(routing.floor([1, 0, 1], 100, 8, 10, 4), 20)

    def test_many_rows_are_flops(self):
        self.assertEqual(routing.floor([10, 0, 10], 100, 8, 10, 4), 40)

    def test_the_maximum_is_each_experts_own(self):
        # Not max(300 / 10, 12 * 8 / 4) = 30: the busy expert computes 20 s, the others read 10 s each.
        self.assertEqual(routing.floor([10, 1, 1], 100, 8, 10, 4), 40)

    def test_no_rows_no_time(self):
        self.assertEqual(routing.floor([0, 0], 100, 8, 10, 4), 0)
        self.assertEqual(routing.touched([0, 3, 1], 100), 200)


class DrawnTest(unittest.TestCase):
    def test_load_counts_choices(self):
        gate = np.eye(4, dtype=np.float32)
        x = np.array([[3, 2, 1, 0], [0, 1, 2, 3]], np.float32)
        self.assertEqual(routing.load(x, gate, 2).tolist(), [1, 1, 1, 1])
        self.assertEqual(routing.load(x, gate, 1).tolist(), [1, 0, 0, 1])

    def test_uniform_is_even(self):
        router = routing.Router(64, 16, 4, "uniform")
        load = routing.load(router.input(4000), router.gate, 4)
        self.assertLess(load.max() / load.mean(), 1.3)

    def test_skewed_follows_zipf(self):
        for experts, top_k in ((64, 8), (8, 2)):
            router = routing.Router(256, experts, top_k, "skewed")
            load = np.sort(routing.load(router.input(4000), router.gate, top_k))[::-1] / 4000
            share = routing.zipf_share(experts, top_k)
            self.assertLess(np.abs(load - share).max(), 0.1, (experts, top_k))
            self.assertGreater(load[0] / load[-1], 5)

    def test_zipf_share(self):
        for experts, top_k in ((8, 2), (64, 8), (128, 8), (4, 4)):
            share = routing.zipf_share(experts, top_k)
            self.assertAlmostEqual(share.sum(), top_k)
            self.assertLessEqual(share.max(), 1 + 1e-12)
            self.assertTrue((np.diff(share) <= 1e-12).all())

    def test_inputs_differ(self):
        router = routing.Router(64, 16, 4, "skewed")
        self.assertFalse((router.input(2)[:, 1:] == router.input(2)[:, 1:]).any())


if __name__ == "__main__":
    unittest.main()
