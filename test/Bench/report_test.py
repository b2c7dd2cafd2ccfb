#!/usr/bin/env python3
"""The page that bench/report.py writes from raw rounds of every kind of cell."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import bench_path
import report
from measure import results, weights, workloads

REPORT = pathlib.Path(bench_path.FOLDER) / "report.py"


def make(**more):
    ceilings = {"compute": 1e11, "read": 1e10}
    return {"before": ceilings, "after": ceilings, "wall": 5.0, "steal": 0.0, "others": 0.0, "seconds": [1e-3],
            "floors": [8e-4], "bytes": [1e6], "flops": 1e7, **more}


def layer(**more):
    return {"kind": "layer", "name": "l", "shape": "olmoe", "type": "bf16", "routing": "uniform", "tokens": 1,
            "threads": 1, "activation": "bf16", "recipe": "bf16-dot-pairs", "error": 1e-3, "tolerance": 2e-2,
            "rounds": [make()] * 3, **more}


def run(cells, **more):
    tries = {"1": {"read": {"file pages": 1e10}, "f32-fma": {"zmm": 1e11}}}
    return {"machine": {"cpus": 2, "isa": ["avx2"]}, "command": "bench/run.py", "rounds": 3, "agree": 5, "others": 3,
            "ceilings": tries, "faults": [], "cells": cells, **more}


class ReportTest(unittest.TestCase):
    def test_a_page_for_each_machine(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for path in ("own-a.json", "peers-a.json", "zen3/own.json", "empty/peers.json"):
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_text("{}")
            self.assertEqual(report.pages_of(folder, pathlib.Path("docs/performance.md")),
                             {folder: pathlib.Path("docs/performance.md"),
                              folder / "zen3": pathlib.Path("docs/performance-zen3.md")})

    def test_every_section(self):
        own = run([layer(), layer(routing="skewed"), layer(threads=2),
                   {"kind": "part", "part": "routing", "shape": "olmoe", "type": "bf16", "tokens": 1, "threads": 1,
                    "rounds": [make(whole=[1e-2])] * 3},
                   {"kind": "attention", "phase": "decode", "shape": "olmoe", "cache": "bf16", "products": "f32",
                    "context": 512, "threads": 1, "rounds": [make()] * 3},
                   {"kind": "model", "layers": 16, "type": "bf16", "test": "pp512", "threads": 1, "rounds": [make()] * 3}],
                  faults=["something above its ceiling"])
        peers = run([{"peer": "p", "workload": "layer olmoe", "format": "bf16", "ours": "bf16", "tokens": 1,
                      "threads": 1, "rounds": [make(peer=[2e-3])] * 3}], peers={"p": "its version"})
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder) / name for name in ("own.json", "peers.json", "page.md")]
            results.write(paths[0], own)
            results.write(paths[1], peers)
            subprocess.run([sys.executable, REPORT, "--own", paths[0], "--peers", paths[1], "--out", paths[2]], check=True)
            page = paths[2].read_text()
        for title in ("Ceilings", "One MoE layer: olmoe, bf16", "Cells against each other", "A whole model",
                      "Parts of a layer", "Attention", "Faults", "Beside peers", "Every try at a ceiling"):
            self.assertIn(f"## {title}", page)
        self.assertIn("| 80.0 | 80.0-80.0 |", page)
        self.assertIn("| 2.00 | 2.00-2.00 | ahead |", page)
        self.assertIn("10.0 of layer", page)


class WorkloadsTest(unittest.TestCase):
    def test_grids_name_what_there_is(self):
        for cells in (list(workloads.full_layers((1, 2))), list(workloads.quick_layers((1, 2)))):
            self.assertEqual(len(cells), len(set(cells)))
            for cell in cells:
                self.assertIn(cell.shape, workloads.SHAPES)
                self.assertIn(cell.weights, weights.TYPES)

    def test_a_full_run_has_every_number_of_tokens_and_both_routings(self):
        for shape, types in workloads.FULL.items():
            for kind in types:
                found = {(c.tokens, c.routing) for c in workloads.full_layers((1,))
                         if (c.shape, c.weights) == (shape, kind)}
                self.assertEqual(found, {(t, r) for t in workloads.TOKENS for r in ("uniform", "skewed")})


if __name__ == "__main__":
    unittest.main()
