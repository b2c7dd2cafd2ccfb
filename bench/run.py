#!/usr/bin/env python3
"""Measures moe-mlir beside this machine's ceilings; docs/benchmarks.md says how.

Prints a row for each cell as it is done, and writes the raw rounds as JSON. Ends with status 1 where a result is wrong or
a figure lies above its ceiling.
"""
import itertools
import pathlib
import sys
import tempfile

from measure import host
host.prepare()
from measure import ceilings, layer, model, parts, results, rounds, script, tables, weights, workloads  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = ("layer", "parts", "model")
CEILINGS = ("ceilings",)  # --only, of no cells


def arguments():
    parser, words = script.Parser(__doc__), script.words
    parser.add_argument("--quick", action="store_true", help="a smaller grid, 3 rounds a cell: under ten minutes")
    parser.add_argument("--only", type=words(KINDS + CEILINGS), default=KINDS,
                        help="of layer,parts,model; 'ceilings' for them alone")
    parser.add_argument("--shape", type=words(workloads.SHAPES), help="of " + ",".join(workloads.SHAPES))
    parser.add_argument("--type", type=words(weights.TYPES), help="of " + ",".join(weights.TYPES))
    parser.add_argument("--routing", type=words(workloads.ROUTINGS), help="of " + ",".join(workloads.ROUTINGS))
    parser.add_argument("-T", "--tokens", type=script.counts, help="tokens a call")
    parser.add_argument("-t", "--threads", type=script.counts, default=(1, 2))
    parser.add_argument("--rounds", type=script.count, help="rounds a cell that must count (15; --quick: 3)")
    parser.add_argument("--agree", type=script.amount, default=5, help="percent by which a round's ceilings may differ")
    parser.add_argument("--others", type=script.amount, default=100 * rounds.OTHERS,
                        help="percent of the processors that other processes may take in a round; more only to try things")
    parser.add_argument("--seconds", type=script.amount, help="give a cell up after so long (120; --quick: 3)")
    parser.add_argument("--target", default="native", help="moec's --target")
    parser.add_argument("--moec", type=script.program, default=str(ROOT / "build/bin/moec"))
    parser.add_argument("--work", type=pathlib.Path,
                        help="an existing folder for weights: about 6 GB, for the model 14 GB more")
    parser.add_argument("--layers", type=script.count, help="layers of the whole model (16; --quick: 4)")
    parser.add_argument("--out", type=script.output,
                        help="raw rounds (bench/results/own.json; --quick, --only ceilings: a file of build/bench)")
    args = parser.parse_args()
    args.rounds = args.rounds or (3 if args.quick else 15)
    args.seconds = args.seconds or (3 if args.quick else 120)
    args.layers = args.layers or (4 if args.quick else 16)
    args.out = args.out or ROOT / ("build/bench/ceilings.json" if args.only == CEILINGS else
                                   "build/bench/quick.json" if args.quick else "bench/results/own.json")
    args.threads = host.possible_threads(args.threads)
    script.check_work(args.work)
    return args


class Run:
    """What every kind of cell needs, and where their rounds go."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.ceilings = ceilings.Ceilings(folder, args.target)
        self.cells, self.faults = [], []

    def collect(self, make):
        return rounds.collect(make, self.args.rounds, self.args.agree / 100, self.args.others / 100, self.args.seconds)

    def add(self, name, cell):
        """Keeps a cell and prints its row."""
        self.cells.append({"name": name, **cell})
        figure = tables.figures(cell, self.args.rounds, self.args.others / 100)
        row = zip(tables.HEAD, tables.columns(figure))
        print(f"{name:44} " + "  ".join(f"{title} {text}" for title, text in row if text), flush=True)
        # --others lets rounds count that say nothing.
        if figure["rounds"] >= self.args.rounds and self.args.others <= 100 * rounds.OTHERS and not cell.get("cached"):
            self.fault(tables.above_ceiling(name, figure))
        if "error" in cell and not cell["error"] <= cell["tolerance"]:
            self.fault([f"{name}: error {cell['error']:.1e} against numpy, tolerance {cell['tolerance']:.0e}"])

    def fault(self, lines):
        self.faults += lines
        for line in lines:
            print("FAULT " + line, flush=True)

    def write(self):
        args = self.args
        if not self.cells and args.only != CEILINGS:
            return  # an older file is worth more
        results.write(args.out, {"machine": host.describe(), "command": results.command(["bench/run.py", *sys.argv[1:]]),
                                 "rounds": args.rounds, "agree": args.agree, "others": args.others,
                                 "ceilings": self.ceilings.tries,
                                 "faults": self.faults, "cells": self.cells})


def print_tries(tries):
    for threads, kinds in tries.items():
        for kind, rates in kinds.items():
            unit = "GB/s" if kind == "read" else "GFLOP/s"
            for name, rate in sorted(rates.items(), key=lambda item: -item[1]):
                print(f"{threads} thread(s)  {kind:10}  {rate / 1e9:7.1f} {unit:8} {name}")


def wanted_layers(args):
    return workloads.chosen(args, (workloads.quick_layers if args.quick else workloads.full_layers)(args.threads))


def run_layers(run, wanted):
    for (shape, kind), cells in itertools.groupby(wanted, lambda c: (c.shape, c.weights)):
        record = weights.TYPES[kind]
        if not layer.supported(run.args.moec, record, run.folder, run.args.target):
            continue
        with tempfile.TemporaryDirectory(dir=run.folder) as folder:
            made = layer.Layer(run.args.moec, shape, record, pathlib.Path(folder), run.args.target)
            for cell in cells:
                made.route(cell.routing)
                made.prepare(cell.tokens, cell.threads)
                error, tolerance = made.check()
                now = run.ceilings.both(record.recipes, cell.threads)
                found = run.collect(lambda: layer.make_round(made, now))
                run.add(f"{shape} {kind} {cell.routing} T={cell.tokens} t={cell.threads}",
                        {"kind": "layer", "shape": shape, "type": kind, "routing": cell.routing, "tokens": cell.tokens,
                         "threads": cell.threads, "cached": made.is_cached(), "recipe": made.recipe,
                         "activation": made.activation, "error": error, "tolerance": tolerance, "rounds": found})
        run.write()


# Of a kind: what gives its cells, and what measures them.
STEPS = {"layer": [(wanted_layers, run_layers)], "model": [(model.wanted, model.run)], "ceilings": [],
         "parts": [(parts.wanted_layers, parts.run_layers), (parts.wanted_attention, parts.run_attention)]}


def plan(args):
    """[(what measures, its cells)], of those that have any."""
    found = [(measure, cells) for kind in args.only for wanted, measure in STEPS[kind] if (cells := wanted(args))]
    if not found and args.only != CEILINGS:
        results.refuse_choice(sys.argv[1:], "--shape, --type and -T together make a grid of their own of layers and parts")
    return found


def main():
    args = arguments()
    steps = plan(args)
    with tempfile.TemporaryDirectory(dir=args.work) as name:
        layer.check_target(args.moec, pathlib.Path(name), args.target)
        run = Run(args, pathlib.Path(name))
        for threads in args.threads:
            run.ceilings.find_finalists(threads)
        print_tries(run.ceilings.tries)
        for measure, cells in steps:
            measure(run, cells)
            run.write()
        run.write()
    if steps and not run.cells:
        script.fail("no cell was measured")
    print(f"{len(run.cells)} cells, {len(run.faults)} faults; raw rounds in {args.out}")
    return 1 if run.faults else 0


if __name__ == "__main__":
    script.main(main)
