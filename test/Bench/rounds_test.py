#!/usr/bin/env python3
"""When a round counts, and how many are made."""
import unittest

import bench_path  # noqa: F401
from measure import rounds


def make(before=(100.0, 10.0), after=(100.0, 10.0), steal=0.0, others=0.0, wall=10.0):
    kinds = ("compute", "read")
    return {"before": dict(zip(kinds, before)), "after": dict(zip(kinds, after)), "steal": steal, "others": others,
            "wall": wall}


class CountsTest(unittest.TestCase):
    def test_ceilings_must_agree_in_both_kinds(self):
        self.assertTrue(rounds.counts(make(after=(96.0, 10.0)), 0.05))
        self.assertFalse(rounds.counts(make(after=(94.0, 10.0)), 0.05))
        self.assertFalse(rounds.counts(make(after=(100.0, 9.4)), 0.05))
        self.assertTrue(rounds.counts(make(after=(94.0, 9.4)), 0.10))

    def test_order_of_before_and_after_does_not_matter(self):
        self.assertEqual(rounds.agreement({"read": 9.0}, {"read": 10.0}), rounds.agreement({"read": 10.0}, {"read": 9.0}))

    def test_stolen_time(self):
        self.assertTrue(rounds.counts(make(steal=0.009), 0.05))
        self.assertFalse(rounds.counts(make(steal=0.011), 0.05))

    def test_other_processes(self):
        self.assertFalse(rounds.counts(make(others=0.04), 0.05))
        self.assertTrue(rounds.counts(make(others=0.04), 0.05, others=0.5))

    def test_one_jiffy_spoils_no_short_round(self):
        self.assertTrue(rounds.counts(make(steal=0.05, wall=0.1), 0.05))

    def test_ceiling_is_the_mean(self):
        self.assertEqual(rounds.ceiling(make(after=(96.0, 8.0))), {"compute": 98.0, "read": 9.0})


class CollectTest(unittest.TestCase):
    def test_stops_when_enough_count(self):
        self.assertEqual(len(rounds.collect(make, 5, 0.05)), 5)

    def test_spoilt_rounds_are_kept_but_do_not_count(self):
        stolen = iter([0.5, 0.0] * 5)
        self.assertEqual(len(rounds.collect(lambda: make(steal=next(stolen)), 5, 0.05)), 10)

    def test_gives_up(self):
        self.assertEqual(len(rounds.collect(lambda: make(steal=0.5), 5, 0.05)), 5 * rounds.TRIES)

    def test_out_of_time_still_makes_as_many_as_are_wanted(self):
        self.assertEqual(len(rounds.collect(lambda: make(steal=0.5), 5, 0.05, seconds=1e-9)), 5)


if __name__ == "__main__":
    unittest.main()
