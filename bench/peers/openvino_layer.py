"""One MoE layer as OpenVINO's CPU plugin runs it: it turns products over all experts, masked by the routing, into
GatherMatmul over the chosen ones.

usage: openvino_layer.py HIDDEN WIDTH EXPERTS TOP_K FORMAT THREADS      FORMAT: f32, bf16, int4 or int4_128

Runs in an environment of its own. The graph is the one that a Hugging Face model's experts are exported as, its int4 weights
as NNCF writes them: symmetric, f16 scales, in groups of 32 or, its default, 128.
"""
import numpy as np
import openvino as ov
from openvino import opset13 as op
from openvino.utils.node_factory import NodeFactory

import protocol

GROUPS = {"int4": 32, "int4_128": 128}
FUSED = "GatherMatmul"


def repeated(tile, experts):
    """The same matrix for every expert, each in memory of its own."""
    return np.ascontiguousarray(np.broadcast_to(tile[None], (experts, *tile.shape)))


def quantize(weight, size):
    """(pairs of i4, f16 scales, what they stand for): groups of `size` along a row."""
    groups = weight.reshape(len(weight), -1, size)
    scales = (np.abs(groups).max(-1, keepdims=True) / 7).astype(np.float16)
    whole = np.clip(np.rint(groups / scales.astype(np.float32)), -8, 7)
    exact = (whole * scales).astype(np.float32).reshape(weight.shape)
    nibbles = whole.astype(np.int8).view(np.uint8) & 15
    return nibbles[..., 0::2] | nibbles[..., 1::2] << 4, scales, exact


class Layer:
    def __init__(self, hidden, width, experts, top_k, form, threads):
        self.hidden, self.experts, self.top_k, self.form = hidden, experts, top_k, form
        self.generator = np.random.default_rng(0)
        self.kept = []  # constants share memory with these
        self.router = self.normal((experts, hidden), hidden ** -0.5)
        shapes = {"gate": (width, hidden), "up": (width, hidden), "down": (hidden, width)}
        self.given = {name: self.normal(shape, 0.02) for name, shape in shapes.items()}
        self.exact = dict(self.given)  # what the format makes of them
        options = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads,
                   "ENABLE_CPU_PINNING": True}
        if form not in GROUPS:  # else its default: bf16 where the processor has it
            options["INFERENCE_PRECISION_HINT"] = form
        compiled = ov.Core().compile_model(self.graph(), "CPU", options)
        self.runtime = compiled.get_runtime_model()
        self.request = compiled.create_infer_request()

    def normal(self, shape, scale):
        return self.generator.standard_normal(shape, np.float32) * np.float32(scale)

    def shared(self, array, kind=None, shape=None):
        self.kept.append(ov.Tensor(array, shape, kind) if kind else ov.Tensor(array, shared_memory=True))
        return op.constant(self.kept[-1], shared_memory=True)

    def weight(self, name):
        """[experts, rows, columns] of what `name` holds, in the format."""
        tile = self.given[name]
        if self.form not in GROUPS:
            return self.shared(repeated(tile, self.experts))
        packed, scales, self.exact[name] = quantize(tile, GROUPS[self.form])
        shape = [self.experts, *scales.shape[:2], GROUPS[self.form]]
        whole = self.shared(repeated(packed, self.experts), ov.Type.i4, ov.Shape(shape))
        plain = op.multiply(op.convert(whole, "f16"), self.shared(repeated(scales, self.experts)))
        return op.convert(op.reshape(plain, [self.experts, *tile.shape], False), "f32")

    def shares(self, x):
        """[experts, 1, tokens, 1]: zero but for the chosen ones."""
        softmax = op.softmax(op.matmul(x, self.shared(self.router), False, True), 1)
        chosen = op.topk(softmax, np.int64(self.top_k), 1, "max", "value", "i64")
        zeros = op.broadcast(np.float32(0), op.shape_of(softmax))
        dense = op.scatter_elements_update(zeros, chosen.output(1), chosen.output(0), np.int64(1))
        return op.unsqueeze(op.reshape(op.transpose(dense, [1, 0]), [self.experts, 1, -1], False), np.int64(3))

    def graph(self):
        x = op.parameter([-1, self.hidden], np.float32, "x")
        tiled = op.reshape(op.tile(x, [self.experts, 1]), [self.experts, -1, self.hidden], False)
        swish = lambda gate: NodeFactory("opset4").create("Swish", [gate])  # op.swish's second input hides it from the plugin
        product = lambda rows, name: op.matmul(rows, self.weight(name), False, True)
        inner = op.multiply(swish(product(tiled, "gate")), product(tiled, "up"))
        outer = op.reshape(product(inner, "down"), [self.experts, 1, -1, self.hidden], False)
        result = op.reduce_sum(op.multiply(outer, self.shares(x)), np.int64(0), False)
        return ov.Model([op.reshape(result, [-1, self.hidden], False)], [x], "layer")

    def about(self):
        """How the experts' products run."""
        info = [node.get_rt_info() for node in self.runtime.get_ops()]
        text = lambda each, key: each[key].astype(str)
        kinds = {text(each, "primitiveType") for each in info if text(each, "layerType") == FUSED}
        return f"{FUSED} by {', '.join(sorted(kinds))}" if kinds else f"no {FUSED}"

    def fresh(self, tokens):
        return self.normal((tokens, self.hidden), 1)

    def call(self, x):
        return next(iter(self.request.infer({0: x}, share_inputs=True, share_outputs=True).values()))

    def error(self, x, result):
        """Of the first row, root of squares, relative."""
        x = x[0].astype(np.float64)
        logits = self.router @ x
        shares = np.exp(logits - logits.max())
        taken = np.sort(shares)[-self.top_k:].sum() / shares.sum()
        gate = self.exact["gate"] @ x
        expected = taken * (self.exact["down"] @ (gate / (1 + np.exp(-gate)) * (self.exact["up"] @ x)))
        return float(np.linalg.norm(result[0] - expected) / np.linalg.norm(expected))


def main():
    *sizes, form, threads = protocol.arguments()
    layer = Layer(*sizes, form, threads)
    protocol.serve(layer, f"{form}, {layer.about()}, openvino {ov.__version__}")


if __name__ == "__main__":
    main()
