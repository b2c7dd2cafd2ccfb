"""Figures from raw rounds, and the tables that show them."""
import numpy as np

from . import intervals, rounds

AGREE = (0.05, 0.10)  # how far ceilings may be apart: the second only where the first leaves too few rounds


def valid(cell, wanted, others=rounds.OTHERS):
    """(rounds that count, agreement that they were asked for)."""
    for agree in AGREE:
        found = [r for r in cell["rounds"] if rounds.counts(r, agree, others)]
        if len(found) >= wanted:
            break
    return found, agree


def ratios(round_):
    """Of one round: shares of floor and ceilings, and the median call."""
    top = rounds.ceiling(round_)
    seconds = np.asarray(round_["seconds"])
    if "whole" in round_:
        return {"seconds": float(np.median(seconds)),
                "share": float(np.median(seconds) / np.median(round_["whole"]))}
    return {"floor": float(np.median(np.asarray(round_["floors"]) / seconds)),
            "compute": float(np.median(round_["flops"] / seconds / top["compute"])),
            "read": float(np.median(np.asarray(round_["bytes"]) / seconds / top["read"])),
            "seconds": float(np.median(seconds)), "compute_rate": top["compute"], "read_rate": top["read"],
            "flops": float(round_["flops"]), "bytes": float(np.median(round_["bytes"]))}


def figures(cell, wanted, others=rounds.OTHERS):
    """Medians over the rounds that count, the floor's interval, and how many there were."""
    found, agree = valid(cell, wanted, others)
    if not found:
        return {"rounds": 0, "reasons": rounds.reasons(cell["rounds"], agree, others)}
    each = [ratios(r) for r in found]
    result = {key: intervals.median([r[key] for r in each]) for key in each[0]}
    main = "share" if "share" in result else "floor"
    result["interval"] = intervals.interval([r[main] for r in each])
    return {**result, "rounds": len(found), "wanted": wanted, "made": len(cell["rounds"]), "agree": agree}


def above_ceiling(name, figure):
    """A line for each figure above 100 %."""
    return [f"{name}: {figure[kind] * 100:.1f} % of its {kind} {'ceiling' if kind != 'floor' else 'time'}: "
            "the ceiling is wrong"
            for kind in ("floor", "compute", "read") if figure.get(kind, 0) > 1]


def percent(value):
    return f"{value * 100:.1f}"


def count(figure):
    """How many rounds there were, and what is wrong with that."""
    text = str(figure["rounds"])
    if figure["rounds"] < figure["wanted"]:
        text += f" of {figure['wanted']}"
    return text if figure["agree"] == AGREE[0] else text + " (10 %)"


HEAD = ("ms", "GFLOP", "MB", "floor %", "95 %", "compute %", "of GFLOP/s", "read %", "of GB/s", "rounds")


def columns(figure):
    """Text for HEAD."""
    if not figure["rounds"]:
        return [""] * (len(HEAD) - 1) + [figure["reasons"]]
    low, high = figure["interval"]
    if "share" in figure:
        return [f"{figure['seconds'] * 1e3:.3f}", "", "", f"{percent(figure['share'])} of layer",
                f"{percent(low)}-{percent(high)}", "", "", "", "", count(figure)]
    return [f"{figure['seconds'] * 1e3:.3f}", f"{figure['flops'] / 1e9:.2f}", f"{figure['bytes'] / 1e6:.1f}",
            percent(figure["floor"]), f"{percent(low)}-{percent(high)}", percent(figure["compute"]),
            f"{figure['compute_rate'] / 1e9:.0f}", percent(figure["read"]), f"{figure['read_rate'] / 1e9:.1f}",
            count(figure)]


def markdown(head, rows):
    line = lambda cells: "| " + " | ".join(cells) + " |"
    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)]) + "\n"


PEER_HEAD = ("ours ms", "peer ms", "peer / ours", "95 %", "verdict", "ours floor %", "rounds")


def peer_figures(cell, wanted, others=rounds.OTHERS):
    """The peer's time over ours within a round, ours being the mean of before and after."""
    found, agree = valid(cell, wanted, others)
    if not found:
        return {"rounds": 0, "reasons": rounds.reasons(cell["rounds"], agree, others)}
    ours = [float(np.median(r["seconds"])) for r in found]
    theirs = [float(np.median(r["peer"])) for r in found]
    ratio = [their / our for their, our in zip(theirs, ours)]
    low, high = intervals.interval(ratio)
    return {"ours": intervals.median(ours), "peer": intervals.median(theirs), "ratio": intervals.median(ratio),
            "interval": (low, high), "rounds": len(found), "wanted": wanted, "agree": agree,
            "verdict": intervals.verdict(low, high) if len(found) >= wanted else "too few rounds",
            "floor": intervals.median([ratios(r)["floor"] for r in found])}


def peer_columns(figure):
    if not figure["rounds"]:
        return [""] * (len(PEER_HEAD) - 1) + [figure["reasons"]]
    low, high = figure["interval"]
    return [f"{figure['ours'] * 1e3:.3f}", f"{figure['peer'] * 1e3:.3f}", f"{figure['ratio']:.2f}",
            f"{low:.2f}-{high:.2f}", figure["verdict"], percent(figure["floor"]),
            count(figure)]
