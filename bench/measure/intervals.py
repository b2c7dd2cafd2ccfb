"""Medians with bootstrap intervals, and what an interval says."""
import numpy as np

# Ratios within this distance of 1 are the same speed.
LEVEL = 0.05


def interval(values, confidence=0.95, resamples=2000, seed=0):
    """(low, high) of the median, by the percentile bootstrap (Efron 1979)."""
    values = np.asarray(values, float)
    draws = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    medians = np.median(values[draws], axis=1)
    tail = (1 - confidence) / 2 * 100
    low, high = np.percentile(medians, [tail, 100 - tail])
    return float(low), float(high)


def median(values):
    return float(np.median(np.asarray(values, float)))


def verdict(low, high):
    """What the interval of the ratio `other's time / ours` says about us."""
    if 1 - LEVEL <= low and high <= 1 + LEVEL:
        return "level"
    if low > 1:
        return "ahead"
    if high < 1:
        return "behind"
    return "open"
