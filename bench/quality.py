#!/usr/bin/env python3
"""Quality of weight formats: how far predictions move from those of the same model in f32, ours beside llama.cpp's.

run     makes models and texts under build/quality, evaluates windows of held-out text in every format, writes
        bench/results/quality.json. Asks for bench/peers.py setup --peer llama.cpp, and for Debian's and PyPI's packages.
        What was made and measured of a window is kept; --resume goes on from there.
report  writes docs/quality.md from that; measures nothing.
"""
import concurrent.futures
import pathlib
import queue
import shutil
import sys
import time

import numpy as np

from measure import divergence, evaluators, held_out, host, peer_setup, quality_page, results, script, subjects

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIELDS = ("kl", "same", "nll")


def measure_window(formats, ids, path):
    """Scores of each format, {key: {kl, same, nll}}; those in the file `path` are kept, the others are added to it."""
    found = evaluators.read_arrays(path) if path.exists() else {}
    missing = [form for form in formats if f"{form.key()} kl" not in found]
    if missing:
        reference = divergence.Reference(formats[evaluators.REFERENCE].logits(ids[:-1]), ids[1:])
        for form in missing:
            logits = reference.logits if form == evaluators.REFERENCE else formats[form].logits(ids[:-1])
            found |= {f"{form.key()} {field}": value for field, value in reference.against(logits).items()}
        with script.whole(path) as made:
            np.savez(made, **found)
    return found


class Windows:
    """Evaluates windows, as many at once as there are jobs, each with processes of its own."""

    def __init__(self, args, model, folder):
        self.args, self.model, self.folder = args, model, folder
        self.sets, self.end = queue.SimpleQueue(), time.monotonic() + 60 * args.minutes

    def formats_of(self, number, formats):
        """What is evaluated on this window."""
        return [form for form in formats if number % self.args.checks_every == 0 or not form.is_check()]

    def one(self, number, ids, formats):
        """A window's scores; None where time is up and there is none."""
        path = self.folder / f"{number:04}.npz"
        if time.monotonic() > self.end:
            return evaluators.read_arrays(path) if path.exists() else None
        made = self.sets.get()
        try:
            wanted = {form: made[form] for form in self.formats_of(number, formats)}
            return measure_window(wanted, ids, path)
        finally:
            self.sets.put(made)
            print(f"\r{self.model.folder.name}: window {number + 1}", end="", flush=True)

    def all(self, windows, formats):
        """[scores of a window], of those that were evaluated; their order is random, so time leaves a fair sample."""
        args = self.args
        sets = [{form: self.model.evaluator(form, args.context, args.threads) for form in formats} for _ in range(args.jobs)]
        for made in sets:
            self.sets.put(made)
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            found = list(pool.map(lambda i: self.one(i, windows[i], formats), range(len(windows))))
        print()
        for made in sets:
            for evaluator in made.values():
                evaluator.close()
        return [each for each in found if each]


def scores(found, form):
    """{kl, same, nll} of a format, each [windows that have it, tokens]."""
    having = [each for each in found if f"{form.key()} kl" in each]
    return {field: np.stack([each[f"{form.key()} {field}"] for each in having]) for field in FIELDS}


def against(found, form, other):
    """Ratio of mean KLs, (value, low, high), on the windows that have both."""
    both = [each for each in found if f"{other.key()} kl" in each]
    return divergence.ratio(scores(both, form)["kl"], scores(both, other)["kl"])


def cell(subject, model, form, found):
    mine = scores(found, form)
    figures = divergence.summary(mine)
    if form.by == "moec" and form != evaluators.REFERENCE:
        alone = evaluators.Format("weights", form.name)
        peer = evaluators.Format(evaluators.PEER, evaluators.SAME_SIZE[form.name])
        figures["added"] = [value - 1 for value in against(found, form, alone)]
        figures["peer"] = against(found, form, peer)
    return {"model": subject.name, "by": form.by, "format": form.name, "dense": form.dense, "bits": model.bits(form),
            "figures": figures, "kl": mine["kl"].mean(axis=1).tolist(),
            "same": mine["same"].sum(axis=1).tolist(), "nll": mine["nll"].mean(axis=1).tolist()}


def run_subject(args, subject):
    """(cells, what model and text were)"""
    if not args.resume:
        shutil.rmtree(args.work / subject.name, ignore_errors=True)
    model = subjects.make(subject, args.work, args.moec)
    documents = subject.documents(args.work)
    ids = np.array(subjects.tokens(subject, model, documents))
    windows = held_out.windows(ids, args.windows, args.context)
    folder = model.folder / f"windows-{args.windows}x{args.context}"
    folder.mkdir(exist_ok=True)
    found = Windows(args, model, folder).all(windows, subject.formats)
    if not found:
        script.fail(f"{subject.name}: no window was evaluated in {args.minutes} minutes")
    cells = [cell(subject, model, form, found) for form in subject.formats]
    return cells, held_out.digest(documents) | {
        "tokens": len(ids), "weights": model.size, "quantised": model.quantised,
        "windows": args.windows, "context": args.context,
        "command": results.command(["bench/quality.py", *sys.argv[1:]])}


def run(args):
    if not evaluators.LOGITS.exists():
        script.fail("no llama.cpp in build/peers; run bench/peers.py setup --peer llama.cpp first")
    if args.out.exists():
        results.read_plain(args.out, "cells", "models")  # said before hours are measured
    held_out.unpack_packages(args.work / "debian")
    for name in args.model:
        measured, about = run_subject(args, subjects.SUBJECTS[name])
        # Read only now: another run may have written another model's meanwhile.
        kept = results.read_plain(args.out, "cells", "models") if args.out.exists() else {"cells": [], "models": {}}
        cells = [each for each in kept["cells"] if each["model"] != name] + measured
        results.write(args.out, {"machine": host.describe(), "peers": peer_setup.known_versions(),
                                 "models": kept["models"] | {name: about}, "cells": cells})
        print(f"{len(measured)} cells of {name} in {args.out}")


def report(args):
    found = results.read_plain(args.results, "peers", "models", "cells")
    try:
        page = quality_page.page(found)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        script.fail(f"{args.results}: holds other results than expected: {type(error).__name__} {error}")
    script.write_text(args.out, page)


def arguments():
    parser = script.Parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("run")
    made.set_defaults(function=run)
    made.add_argument("--model", type=script.words(subjects.SUBJECTS), default=tuple(subjects.SUBJECTS),
                      help="of " + ",".join(subjects.SUBJECTS))
    made.add_argument("--windows", type=script.count, default=200)
    made.add_argument("--context", type=script.count, default=256, help="tokens that are predicted in a window")
    made.add_argument("--checks-every", type=script.count, default=1, metavar="N",
                      help="llama.cpp's f32, and weights without rounded activations, on every Nth window only")
    made.add_argument("--minutes", type=script.amount, default=float("inf"), help="begin no window of a model after so long")
    made.add_argument("--jobs", type=script.count, default=len(host.CPUS), help="windows at once")
    made.add_argument("--threads", type=script.count, default=1, help="of each evaluation")
    made.add_argument("--resume", action="store_true", help="keep what was measured before")
    made.add_argument("--moec", type=script.program, default=str(ROOT / "build/bin/moec"))
    made.add_argument("--work", type=pathlib.Path, default=ROOT / "build/quality")
    made.add_argument("--out", type=script.output, default=ROOT / "bench/results/quality.json")
    page = commands.add_parser("report")
    page.set_defaults(function=report)
    page.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results/quality.json")
    page.add_argument("--out", type=script.output, default=ROOT / "docs/quality.md")
    return parser.parse_args()


def main():
    args = arguments()
    return args.function(args)


if __name__ == "__main__":
    script.main(main)
