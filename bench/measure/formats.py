"""Quantised weights in numpy: what a packed weight stands for. An independent reading of the formats' definition.

Groups of 32 consecutive columns of a row, or all of them; integers are divided by the scale as it is stored.
"""
import numpy as np

GROUP = 32
IQ4_NL = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6], np.float32)


def f16(values):
    return values.astype(np.float16).astype(np.float32)


def divide(values, scale):
    """values / scale, 0 where the scale is 0."""
    return np.divide(values, scale, out=np.zeros_like(values), where=scale != 0)


def int8(groups):
    scale = f16(np.abs(groups).max(-1, keepdims=True) / np.float32(127))
    return np.clip(np.rint(divide(groups, scale)), -127, 127) * scale


def int8_channel(matrix):
    """One scale a row, in f32."""
    scale = np.abs(matrix).max(-1, keepdims=True) / np.float32(127)
    return np.clip(np.rint(divide(matrix, scale)), -127, 127) * scale


def int4(groups):
    """The value of largest magnitude becomes -8; of two, the negative."""
    low, high = groups.min(-1, keepdims=True), groups.max(-1, keepdims=True)
    scale = f16(np.where(-low >= high, low, high) / np.float32(-8))
    return np.clip(np.rint(divide(groups, scale)), -8, 7) * scale


def int4_min(groups):
    low, high = groups.min(-1, keepdims=True), groups.max(-1, keepdims=True)
    least, scale = f16(low), f16((high - low) / np.float32(15))
    return np.clip(np.rint(divide(groups - least, scale)), 0, 15) * scale + least


def int4_nl_nearest(values):
    """The nearest of IQ4_NL, of two the lower."""
    return IQ4_NL[np.searchsorted((IQ4_NL[1:] + IQ4_NL[:-1]) / 2, values, side="left")]


def tree_sum(values):
    """f32 sum of the last dimension, halves added to each other."""
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        values = values[..., :half] + values[..., half:]
    return values


def int4_nl_scale(groups):
    """The scale of least squared error of those that make the extreme value 96, -96, 104, ..., -144, fitted to the integers."""
    low, high = groups.min(-1, keepdims=True), groups.max(-1, keepdims=True)
    extreme = np.where(-low >= high, low, high)
    shares = divide(groups, np.broadcast_to(extreme, groups.shape))
    most = best = np.zeros_like(extreme)
    for target in (sign * np.float32(size) for size in range(96, 145, 8) for sign in (1, -1)):
        q = int4_nl_nearest(shares * target)
        total = tree_sum(q * shares)
        scale = total / tree_sum(q * q)
        gain = total * scale
        most, best = np.where(gain > most, gain, most), np.where(gain > most, scale, best)
    return (best * extreme).astype(np.float16)


def int4_nl(groups):
    scale = int4_nl_scale(groups).astype(np.float32)
    return int4_nl_nearest(divide(groups, scale)) * scale


def mxfp4(groups):
    """The exponent of the largest magnitude less 2; the nearest of E2M1, ties to the even code."""
    largest = np.abs(groups).max(-1, keepdims=True)
    scale = np.where(largest > 0, np.exp2(np.floor(np.log2(np.where(largest > 0, largest, 1))) - 2), 0).astype(np.float32)
    size = np.minimum(np.abs(divide(groups, scale)), 6)
    between = (E2M1[1:] + E2M1[:-1]) / 2
    code = np.searchsorted(between, size, side="left")      # a tie takes the lower code ...
    tie = (code < 7) & (size == between[np.minimum(code, 6)]) & (code % 2 == 1)
    return np.copysign(E2M1[code + tie], groups) * scale    # ... unless that is odd


def stands_for(matrix, name):
    """What a matrix is after quantisation, as f32; columns a multiple of GROUP."""
    if name == "int8_channel":
        return int8_channel(matrix)
    groups = matrix.reshape(len(matrix), -1, GROUP)
    quantise = {"int8": int8, "int4": int4, "int4_min": int4_min, "mxfp4": mxfp4, "int4_nl": int4_nl}[name]
    return quantise(groups).reshape(matrix.shape)
