#!/usr/bin/env python3
"""What a whole model costs, against numbers that its publishers give."""
import unittest

import bench_path  # noqa: F401
from measure import model, weights


class CostsTest(unittest.TestCase):
    def test_olmoe_has_seven_billion_parameters_one_of_them_active(self):
        costs = model.Costs(model.OLMOE, weights.TYPES["bf16"])
        # Published: 6.92 and 1.28 billion, norms included, an embedding counted as active.
        self.assertAlmostEqual(costs.bytes / 2 / 1e9, 6.92, places=2)
        self.assertAlmostEqual((costs.active + 2 * costs.head) / 1e9, 1.28, places=2)

    def test_a_token_reads_what_is_active(self):
        costs = model.Costs(model.OLMOE, weights.TYPES["bf16"])
        self.assertEqual(costs.token_bytes(0), 2 * (costs.active + costs.head))
        cache = 2 * 2 * 2048 * 16
        self.assertEqual(costs.token_bytes(10) - costs.token_bytes(0), 10 * cache)

    def test_quantised_head_stays(self):
        bf16, int4 = (model.Costs(model.OLMOE, weights.TYPES[name]) for name in ("bf16", "int4"))
        self.assertEqual(bf16.active, int4.active)
        self.assertLess(int4.bytes, bf16.bytes * 0.35)
        self.assertGreater(int4.bytes, bf16.bytes * 4.5 / 16)

    def test_prompt(self):
        costs = model.Costs(model.OLMOE, weights.TYPES["bf16"])
        self.assertAlmostEqual(costs.prompt_flops(512) / (2 * 512 * costs.active), 1.02, places=1)


if __name__ == "__main__":
    unittest.main()
