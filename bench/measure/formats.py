"""Quantised weights in numpy: what a packed weight stands for. An independent reading of the formats' definition.

Groups of 32 consecutive columns of a row, or all of them; integers are divided by the scale as it is stored.
"""
import numpy as np

GROUP = 32
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
    return {"int8": int8, "int4": int4, "int4_min": int4_min, "mxfp4": mxfp4}[name](groups).reshape(matrix.shape)
