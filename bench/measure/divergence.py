"""How far the predictions of one evaluation are from another's: of each token, and with intervals of many windows."""
import numpy as np

ROWS = 4  # at a time: f64 copies of so many rows stay in the cache


def log_sum(rows):
    """Logarithm of the sum of exponentials of each row."""
    top = rows.max(axis=1)
    return top + np.log(np.exp(rows - top[:, None]).sum(axis=1))


class Reference:
    """Predictions that others are compared with: logits f32 [T, V] and the tokens that follow, [T]; in f64 from here on."""

    def __init__(self, logits, following):
        self.logits, self.following = logits, np.asarray(following)
        self.best = logits.argmax(axis=1)
        parts = [logits[i:i + ROWS].astype(np.float64) for i in range(0, len(logits), ROWS)]
        self.totals = np.concatenate([log_sum(part) for part in parts])
        totals = np.split(self.totals, range(ROWS, len(logits), ROWS))
        self.shares = [np.exp(part - total[:, None]) for part, total in zip(parts, totals)]

    def against(self, logits):
        """Of each token: KL(reference || these) in nats, whether the likeliest token is the same, -log p of what follows."""
        totals, inner = np.empty(len(logits)), np.empty(len(logits))
        for i, shares in zip(range(0, len(logits), ROWS), self.shares):
            rows = logits[i:i + ROWS].astype(np.float64)
            totals[i:i + ROWS] = log_sum(rows)
            inner[i:i + ROWS] = np.einsum("tv,tv->t", shares, self.logits[i:i + ROWS] - rows)
        return {"kl": inner - self.totals + totals, "same": logits.argmax(axis=1) == self.best,
                "nll": totals - logits[np.arange(len(logits)), self.following].astype(np.float64)}


def resamples(windows, count=1000, seed=0):
    """[count, windows] numbers of windows, drawn with replacement: tokens of one window are not independent."""
    return np.random.default_rng(seed).integers(0, windows, (count, windows))


def middle(values, confidence=0.95):
    """(low, high) that hold `confidence` of the values."""
    tail = (1 - confidence) / 2 * 100
    return tuple(map(float, np.percentile(values, [tail, 100 - tail])))


def summary(scores):
    """(value, low, high) of each figure, from scores {kl, same, nll}, each [windows, T]; intervals by the bootstrap.

    kl: mean in nats; kl_99: its 99th percentile over tokens; same: share; perplexity: of the tokens that follow.
    """
    draws = resamples(len(scores["kl"]))
    mean = lambda values: (float(values.mean()), *middle(values.mean(axis=1)[draws].mean(axis=1)))
    tails = [np.percentile(scores["kl"][draw], 99) for draw in draws]
    return {"kl": mean(scores["kl"]), "kl_99": (float(np.percentile(scores["kl"], 99)), *middle(tails)),
            "same": mean(scores["same"]), "perplexity": tuple(map(float, np.exp(mean(scores["nll"]))))}


def ratio(upper, lower):
    """(value, low, high) of mean(upper) / mean(lower), [windows, T] of the same windows, drawn together."""
    draws = resamples(len(upper))
    tops, bottoms = (values.mean(axis=1)[draws].mean(axis=1) for values in (upper, lower))
    return float(upper.mean() / lower.mean()), *middle(tops / bottoms)
