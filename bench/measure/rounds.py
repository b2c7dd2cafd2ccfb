"""What a round is, when it counts, and how many a cell gets."""
import time

from . import host

STEAL = 0.01   # of all processors' time, taken by the hypervisor
OTHERS = 0.03  # of all processors' time, taken by other processes
TRIES = 4      # as many rounds as are wanted, times this, at most


def agreement(before, after):
    """How far the ceilings of before and after differ, as a share of the larger, for the worse kind."""
    return max(abs(before[kind] - after[kind]) / max(before[kind], after[kind]) for kind in before)


def spoilt_by(round_, agree, others=OTHERS):
    """Why a round does not count; `agree` and `others` are shares. One jiffy, the clock's step, never spoils a round."""
    jiffy = 0.01 / max(round_["wall"], 1e-9)
    found = {"ceilings": agreement(round_["before"], round_["after"]) > agree,
             "steal": round_["steal"] > max(STEAL, jiffy), "others": round_["others"] > max(others, jiffy)}
    return [reason for reason, holds in found.items() if holds]


def counts(round_, agree, others=OTHERS):
    return not spoilt_by(round_, agree, others)


def reasons(rounds, agree, others=OTHERS):
    """How many rounds each reason spoilt, as text."""
    spoilt = [reason for round_ in rounds for reason in spoilt_by(round_, agree, others)]
    kinds = ", ".join(f"{reason} {spoilt.count(reason)}" for reason in sorted(set(spoilt)))
    return f"none of {len(rounds)}: {kinds}"


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
