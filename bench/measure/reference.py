"""One MoE layer in numpy, for the rows of a check."""
import numpy as np


def silu(x):
    return x / (1 + np.exp(-x))


def product(x, matrix, block=1024):
    """x @ matrix.T in f64, a block of the matrix at a time: a whole one may be a gigabyte."""
    return np.concatenate([x @ matrix[i:i + block].astype(np.float64).T for i in range(0, len(matrix), block)], axis=1)


def layer(x, gate, gate_up, down, top_k):
    """f64 [T, D]; x [T, D] and gate [E, D] are arrays, gate_up and down give an expert's matrix by number.

    Softmax over all experts, the largest top_k of it as they are (no renormalization), SwiGLU.
    """
    x, gate = x.astype(np.float64), gate.astype(np.float64)
    logits = x @ gate.T
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    chosen = np.argsort(-shares, axis=1, kind="stable")[:, :top_k]
    result = np.zeros_like(x)
    for expert in np.unique(chosen):
        rows = np.flatnonzero((chosen == expert).any(axis=1))
        gate_part, up_part = np.split(product(x[rows], gate_up(expert)), 2, axis=1)
        result[rows] += shares[rows, expert, None] * product(silu(gate_part) * up_part, down(expert))
    return result


def attention(q, keys, values, heads, position, scale):
    """f64 [T, heads * size]; row t of q sees positions 0 to position + t; as many KV heads as keys have."""
    size = q.shape[1] // heads
    kv_heads = keys.shape[1] // size
    result = np.zeros(q.shape)
    for t, h in np.ndindex(len(q), heads):
        g = h * kv_heads // heads
        k, v = (a[:position + t + 1, g * size:(g + 1) * size].astype(np.float64) for a in (keys, values))
        scores = scale * (k @ q[t, h * size:(h + 1) * size].astype(np.float64))
        shares = np.exp(scores - scores.max())
        result[t, h * size:(h + 1) * size] = shares @ v / shares.sum()
    return result


def error(found, expected):
    """Largest difference, relative to the largest result."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())
