#!/usr/bin/env python3
"""Figures from rounds, through JSON and into a table."""
import pathlib
import tempfile
import unittest

import bench_path  # noqa: F401
from measure import results, tables


def make(seconds=1.0, after=10.0, **more):
    return {"before": {"compute": 100.0, "read": 10.0}, "after": {"compute": 100.0, "read": after}, "wall": 5.0,
            "steal": 0.0, "others": 0.0, "seconds": [seconds] * 3, "floors": [0.8] * 3, "bytes": [8] * 3, "flops": 40,
            **more}


class FiguresTest(unittest.TestCase):
    def test_shares(self):
        figure = tables.figures({"rounds": [make()] * 3}, 3)
        for kind, value in (("floor", 0.8), ("compute", 0.4), ("read", 0.8), ("seconds", 1.0), ("rounds", 3)):
            self.assertAlmostEqual(figure[kind], value)

    def test_too_few_rounds_are_taken_at_ten_percent(self):
        cell = {"rounds": [make(), make(after=9.3), make(after=9.3)]}
        self.assertEqual(tables.figures(cell, 1)["agree"], 0.05)
        figure = tables.figures(cell, 3)
        self.assertEqual((figure["rounds"], figure["agree"]), (3, 0.10))
        self.assertIn("(10 %)", tables.columns(figure)[-1])

    def test_no_round(self):
        figure = tables.figures({"rounds": [make(after=5.0), make(after=5.0, steal=0.1)]}, 1)
        self.assertEqual((figure["rounds"], figure["reasons"]), (0, "none of 2: ceilings 2, steal 1"))
        self.assertEqual(len(tables.columns(figure)), len(tables.HEAD))

    def test_above_the_ceiling(self):
        self.assertEqual(tables.above_ceiling("x", tables.figures({"rounds": [make()]}, 1)), [])
        lines = tables.above_ceiling("x", tables.figures({"rounds": [make(seconds=0.5)]}, 1))
        self.assertEqual(len(lines), 2)
        self.assertIn("160.0 % of its floor", lines[0])

    def test_share_of_a_layer(self):
        figure = tables.figures({"rounds": [make(whole=[4.0] * 3)]}, 1)
        self.assertEqual(figure["share"], 0.25)
        self.assertEqual(len(tables.columns(figure)), len(tables.HEAD))

    def test_peer(self):
        figure = tables.peer_figures({"rounds": [make(peer=[1.5])] * 15}, 15)
        self.assertEqual((figure["ratio"], figure["verdict"]), (1.5, "ahead"))
        self.assertEqual(len(tables.peer_columns(figure)), len(tables.PEER_HEAD))


class ResultsTest(unittest.TestCase):
    def test_command_names_no_places(self):
        words = ["bench/run.py", "--moec", "/a/moec", "--quick", "--out=/b", "-T", "1"]
        self.assertEqual(results.command(words), "bench/run.py --quick -T 1")

    def test_round_trip(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "deep/results.json"
            cell = {"name": "a", "rounds": [make(seconds=1.23456789)]}
            results.write(path, {"machine": {"cpus": 2}, "command": "x", "rounds": 1, "others": 3, "cells": [cell]})
            found, both = results.read(path), results.read(path, path)
        self.assertEqual(found["machine"], {"cpus": 2})
        self.assertEqual(found["cells"][0]["rounds"][0]["seconds"][0], 1.2346)
        self.assertEqual((found["cells"][0]["wanted"], found["cells"][0]["others"]), (1, 0.03))
        self.assertEqual(len(both["cells"]), 2)


if __name__ == "__main__":
    unittest.main()
