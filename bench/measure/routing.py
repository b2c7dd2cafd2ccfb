"""Router weights, the routing that an input draws, and the least time that it allows."""
import numpy as np


def choices(x, gate, top_k):
    """Ids [T, top_k] of the largest logits; x [T, D], gate [E, D], both f32."""
    logits = x @ gate.T
    return np.argpartition(-logits, top_k - 1, axis=1)[:, :top_k]


def load(x, gate, top_k):
    """Rows of each expert."""
    return np.bincount(choices(x, gate, top_k).ravel(), minlength=len(gate))


def zipf_share(experts, top_k):
    """Share of tokens that choose each expert: as 1 / rank, but none above 1, top_k in all."""
    weight = 1 / np.arange(1, experts + 1)
    capped = np.zeros(experts, bool)
    while True:
        left = top_k - capped.sum()
        share = np.where(capped, 1.0, weight / weight[~capped].sum() * left)
        if (share <= 1).all():
            return share
        capped |= share > 1


def fit_bias(experts, top_k, seed=0, samples=2048, steps=300):
    """Biases of normal logits under which top_k choices have zipf_share's load."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((samples, experts), np.float32)
    share = np.clip(zipf_share(experts, top_k), None, 0.999)
    bias = np.log(share / (1 - share)).astype(np.float32)
    for step in range(steps):
        ids = np.argpartition(-(noise + bias), top_k - 1, axis=1)[:, :top_k]
        drawn = np.bincount(ids.ravel(), minlength=experts) / samples
        bias += (0.5 / (1 + step / 50) * (np.log(share) - np.log(np.maximum(drawn, 0.5 / samples)))).astype(np.float32)
    return bias - bias.mean()


class Router:
    """Router weights [E, D] and the inputs that go with them.

    Column 0 of an input is constant 1, so that the weights' column 0 is a bias. Which expert has which rank is drawn, or
    neighbours in memory would share the load.
    """

    def __init__(self, hidden, experts, top_k, routing, seed=0):
        generator = np.random.default_rng(seed)
        self.generator, self.top_k = generator, top_k
        self.gate = (generator.standard_normal((experts, hidden)) / np.sqrt(hidden)).astype(np.float32)
        self.gate[:, 0] = 0
        if routing == "skewed":
            self.gate[:, 0] = generator.permutation(fit_bias(experts, top_k, seed))

    def input(self, tokens):
        x = self.generator.standard_normal((tokens, self.gate.shape[1]), np.float32)
        x[:, 0] = 1
        return x


def touched(rows, expert_bytes):
    """Bytes of the experts that have rows."""
    return int(np.count_nonzero(rows)) * expert_bytes


def floor(rows, expert_bytes, row_flops, read, peak):
    """Seconds: sum over experts with rows of max(bytes / read, FLOPs / peak)."""
    rows = np.asarray(rows, float)
    return float(np.maximum(expert_bytes / read, rows[rows > 0] * row_flops / peak).sum())
