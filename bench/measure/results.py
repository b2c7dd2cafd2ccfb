"""Raw rounds as JSON: what was run, on what, and every round of every cell."""
import json

from . import script

PLACES = ("--moec", "--work", "--out")  # options that name places on one machine
# Those with a value that choose no cells.
MANNER = ("--rounds", "--agree", "--others", "--seconds", "--target", "--layers", "-t", "--threads")


def short(value):
    """Five digits are more than a clock is good for."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    return [short(item) for item in value] if isinstance(value, (list, tuple)) else value


def command(words, without=PLACES):
    """A command line as it is kept: without some options."""
    kept, words = [], list(words)
    while words:
        word = words.pop(0)
        if word.split("=")[0] not in without:
            kept.append(word)
        elif "=" not in word:
            words.pop(0)
    return " ".join(kept)


def refuse_choice(words, hint):
    """Ends a script whose options choose no cell."""
    script.fail(f"no cell is of {command(words, PLACES + MANNER)}; {hint}")


def write(path, results):
    """One cell a line, so that two runs can be compared with diff."""
    results = short(results)
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in results.items() if key != "cells"]
    cells = ",\n".join(json.dumps(cell) for cell in results["cells"])
    script.write_text(path, "{" + ",\n".join(lines) + ',\n"cells": [\n' + cells + "\n]}\n")


def read(*paths):
    """Results of several runs as one: each cell with what its run wanted, all else from the last."""
    runs = [read_plain(path, "machine", "command", "rounds", "others", "cells") for path in paths]
    for path, run in zip(paths, runs):
        if not run["cells"]:
            script.fail(f"{path}: has no cells")
        for cell in run["cells"]:
            cell["wanted"], cell["others"] = run["rounds"], run["others"] / 100
    merged = dict(runs[-1])
    merged["command"] = "`, `".join(run["command"].strip() for run in runs)
    merged["cells"] = [cell for run in runs for cell in run["cells"]]
    merged["faults"] = [line for run in runs for line in run.get("faults", [])]
    return merged


def read_plain(path, *names):
    """One run's results as they are, with at least these fields."""
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        script.fail(f"{path}: is no JSON: {error}")
    if not isinstance(found, dict):
        script.fail(f"{path}: holds no results")
    if missing := [name for name in names if name not in found]:
        script.fail(f"{path}: is not of this script: has no {', '.join(missing)}")
    return found
