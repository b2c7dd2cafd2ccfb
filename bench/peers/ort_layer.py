"""One MoE layer as ONNX Runtime runs it: com.microsoft.MoE (f32) or QMoE (int8, int4), the router's MatMul before it.

usage: ort_layer.py HIDDEN WIDTH EXPERTS TOP_K FORMAT THREADS      FORMAT: f32, q8 or q4 (blocks of 32)

Runs in the peers' environment. SwiGLU is the operators' own, fused, with gate and up in alternating rows.
"""
import numpy as np
import onnx
import onnxruntime
from onnx import helper, TensorProto

import protocol

BLOCK = 32


def repeated(tile, experts):
    """The same matrix for every expert, each in memory of its own."""
    return np.ascontiguousarray(np.broadcast_to(tile[None], (experts, *tile.shape)))


class Layer:
    def __init__(self, hidden, width, experts, top_k, form, threads):
        self.hidden, self.width, self.top_k = hidden, width, top_k
        self.generator = np.random.default_rng(0)
        self.router = self.normal((hidden, experts), hidden ** -0.5)
        self.first = self.normal((2 * width, hidden), 0.02)
        self.second = self.normal((hidden, width), 0.02)
        attributes = dict(k=top_k, activation_type="swiglu", normalize_routing_weights=0, swiglu_fusion=1,
                          activation_alpha=1.0, activation_beta=0.0, swiglu_limit=1e30)
        self.values = {"router": self.router}
        self.quantized = form != "f32"
        if not self.quantized:
            self.values |= {"first": repeated(self.first, experts), "second": repeated(self.second, experts)}
            operator, inputs = "MoE", ["x", "logits", "first", "", "second", ""]
        else:
            bits = int(form[1:])
            for name in ("first", "second"):
                packed, scales, exact = quantize(getattr(self, name), bits)
                self.values |= {name: repeated(packed, experts), name + "_scales": repeated(scales, experts)}
                setattr(self, name, exact)
            attributes |= {"expert_weight_bits": bits, "block_size": BLOCK}
            operator, inputs = "QMoE", ["x", "logits", "first", "first_scales", "", "second", "second_scales", ""]
        self.session = self.make_session(operator, inputs, attributes, threads)

    def normal(self, shape, scale):
        return self.generator.standard_normal(shape, np.float32) * np.float32(scale)

    def make_session(self, operator, inputs, attributes, threads):
        nodes = [helper.make_node("MatMul", ["x", "router"], ["logits"]),
                 helper.make_node(operator, inputs, ["y"], domain="com.microsoft", **attributes)]
        row = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["T", self.hidden])
        graph = helper.make_graph(nodes, "layer", [row("x")], [row("y")],
                                  initializer=[external(name, array) for name, array in self.values.items()])
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.tensors = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in self.values.items()}
        options.add_external_initializers(list(self.tensors), list(self.tensors.values()))
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def fresh(self, tokens):
        return self.normal((tokens, self.hidden), 1)

    def call(self, x):
        return self.session.run(None, {"x": x})[0]

    def error(self, x, result):
        """Of the first row, root of squares, relative."""
        x = x[0].astype(np.float64)
        logits = x @ self.router
        shares = np.exp(logits - logits.max())
        # QMoE makes the chosen experts' shares add up to 1 whatever normalize_routing_weights says.
        taken = 1 if self.quantized else np.sort(shares)[-self.top_k:].sum() / shares.sum()
        both = self.first @ x
        gate, up = both[0::2], both[1::2]
        expected = taken * (self.second @ (gate / (1 + np.exp(-gate)) * up))
        return float(np.linalg.norm(result[0] - expected) / np.linalg.norm(expected))


def quantize(weight, bits):
    """(packed, scales, what they stand for): symmetric, blocks of BLOCK along a row, stored with an offset."""
    top = 2 ** (bits - 1) - 1
    blocks = weight.reshape(len(weight), -1, BLOCK)
    scales = np.abs(blocks).max(-1) / top
    whole = np.clip(np.rint(blocks / scales[..., None]), -top, top)
    exact = (whole * scales[..., None]).reshape(weight.shape)
    stored = (whole + top + 1).astype(np.uint8).reshape(weight.shape)
    return (stored if bits == 8 else stored[:, 0::2] | stored[:, 1::2] << 4), scales.astype(np.float32), exact


def external(name, array):
    """An initializer whose values the session is given: a model's own may not pass 2 GB."""
    tensor = onnx.TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "memory"), ("offset", "0"), ("length", str(array.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def main():
    *sizes, form, threads = protocol.arguments()
    protocol.serve(Layer(*sizes, form, threads), f"{form}, onnxruntime {onnxruntime.__version__}")


if __name__ == "__main__":
    main()
