"""What a round is, when it counts, and how many a cell gets."""
import time

from . import host

STEAL = 0.01   # of all processors' time, taken by the hypervisor
OTHERS = 0.03  # of all processors' time, taken by other processes
TRIES = 4      # as many rounds as are wanted, times this, at most


def agreement(before, after):
    """How far the ceilings of before and after differ, as a share of the larger, for the worse kind."""
    return max(abs(before[kind] - after[kind]) / max(before[kind], after[kind]) for kind in before)


def counts(round_, agree, others=OTHERS):
    """Whether a round counts; `agree` and `others` are shares. Jiffies are coarse: one of them never spoils a round."""
    jiffy = 0.01 / max(round_["wall"], 1e-9)
    return (agreement(round_["before"], round_["after"]) <= agree
            and round_["steal"] <= max(STEAL, jiffy) and round_["others"] <= max(others, jiffy))


def ceiling(round_):
    """The round's ceilings: the means of before and after."""
    return {kind: (round_["before"][kind] + round_["after"][kind]) / 2 for kind in round_["before"]}


def one(ceilings, measured, child=None):
    """Ceilings, `measured()` (a dictionary of what it found), ceilings. `child`: id of a peer's process."""
    spent = lambda: host.processor_seconds(child) if child else 0.0
    clock, start, peer = host.Clock(), time.perf_counter(), spent()
    before = ceilings()
    found = measured()
    after = ceilings()
    wall = time.perf_counter() - start
    return {"before": before, "after": after, "wall": wall, **clock.shares(spent() - peer), **found}


def collect(make, wanted, agree, others=OTHERS, seconds=None):
    """Rounds made by `make()` until `wanted` of them count, TRIES times as many were made, or `seconds` passed."""
    rounds, start = [], time.perf_counter()
    while len(rounds) < wanted * TRIES and sum(counts(r, agree, others) for r in rounds) < wanted:
        rounds.append(make())
        if seconds and time.perf_counter() - start > seconds and len(rounds) >= wanted:
            break
    return rounds
