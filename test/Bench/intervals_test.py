#!/usr/bin/env python3
"""Median, bootstrap interval, verdict."""
import unittest

import numpy as np

import bench_path  # noqa: F401
from measure import intervals


class IntervalTest(unittest.TestCase):
    def test_equal_values_have_a_point(self):
        self.assertEqual(intervals.interval([2.0] * 15), (2.0, 2.0))

    def test_same_values_same_interval(self):
        values = np.random.default_rng(1).normal(1, 0.1, 15)
        self.assertEqual(intervals.interval(values), intervals.interval(values))

    def test_lies_around_the_median_and_within_the_values(self):
        values = np.random.default_rng(2).normal(1, 0.1, 15)
        low, high = intervals.interval(values)
        self.assertLessEqual(min(values), low)
        self.assertLessEqual(low, intervals.median(values))
        self.assertLessEqual(intervals.median(values), high)
        self.assertLessEqual(high, max(values))

    def test_covers_the_true_median(self):
        generator = np.random.default_rng(3)
        inside = 0
        for _ in range(300):
            low, high = intervals.interval(generator.normal(1, 0.1, 15), resamples=400)
            inside += low <= 1 <= high
        # 95 % nominally; the bootstrap of a median is a little off with few values.
        self.assertGreater(inside, 300 * 0.88)

    def test_an_outlier_does_not_move_it(self):
        low, high = intervals.interval([1.0] * 14 + [50.0])
        self.assertEqual((low, high), (1.0, 1.0))


class VerdictTest(unittest.TestCase):
    def test_verdicts(self):
        for low, high, expected in ((1.2, 1.4, "ahead"), (0.6, 0.9, "behind"), (0.97, 1.03, "level"),
                                    (0.9, 1.2, "open"), (1.01, 1.04, "level"), (1.01, 1.06, "ahead"),
                                    (0.96, 0.99, "level"), (0.9, 0.99, "behind")):
            self.assertEqual(intervals.verdict(low, high), expected, (low, high))


if __name__ == "__main__":
    unittest.main()
