#!/usr/bin/env python3
"""Libraries of several functions: packed layouts to the byte, routing, caches, rows that an argument counts.

usage: library_test.py MOEC GOLDENS
"""
import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile
import threading

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from measure import formats  # noqa: E402

MOEC = sys.argv[1]
GRAPH = """
// Names that C would not take, and functions of every kind of argument.
func.func @linear_f32(%x: tensor<?x37xf32>, %int: tensor<19x37xf32>) -> tensor<?x19xf32> {
  %y = lm.linear %x, %int : (tensor<?x37xf32>, tensor<19x37xf32>) -> tensor<?x19xf32>
  return %y : tensor<?x19xf32>
}
func.func @linear_bf16(%0: tensor<?x37xf32>, %1: tensor<50x37xbf16>) -> tensor<?x50xf32> {
  %y = lm.linear %0, %1 : (tensor<?x37xf32>, tensor<50x37xbf16>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
func.func @gated_f16(%x: tensor<?x36xf32>, %tokens: tensor<42x36xf16>) -> tensor<?x21xf32> {
  %y = lm.gated_linear %x, %tokens <silu> : (tensor<?x36xf32>, tensor<42x36xf16>) -> tensor<?x21xf32>
  return %y : tensor<?x21xf32>
}
func.func @linear_int8(%x: tensor<?x72xf32>, %w: tensor<50x72xf32> {lm.format = #lm.format<int8>})
    -> tensor<?x50xf32> {
  %y = lm.linear %x, %w : (tensor<?x72xf32>, tensor<50x72xf32>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
func.func @linear_int4(%x: tensor<?x72xf32>, %w: tensor<50x72xbf16> {lm.format = #lm.format<int4>})
    -> tensor<?x50xf32> {
  %y = lm.linear %x, %w : (tensor<?x72xf32>, tensor<50x72xbf16>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
func.func @gated_int4_min(%x: tensor<?x72xf32>, %w: tensor<42x72xf16> {lm.format = #lm.format<int4_min>})
    -> tensor<?x21xf32> {
  %y = lm.gated_linear %x, %w <silu> : (tensor<?x72xf32>, tensor<42x72xf16>) -> tensor<?x21xf32>
  return %y : tensor<?x21xf32>
}
func.func @linear_mxfp4(%x: tensor<?x72xf32>, %w: tensor<50x72xf32> {lm.format = #lm.format<mxfp4>})
    -> tensor<?x50xf32> {
  %y = lm.linear %x, %w : (tensor<?x72xf32>, tensor<50x72xf32>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
func.func @linear_int8_channel(%x: tensor<?x72xf32>, %w: tensor<50x72xf32> {lm.format = #lm.format<int8_channel>})
    -> tensor<?x50xf32> {
  %y = lm.linear %x, %w : (tensor<?x72xf32>, tensor<50x72xf32>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
func.func @linear_int4_nl(%x: tensor<?x72xf32>, %w: tensor<50x72xf32> {lm.format = #lm.format<int4_nl>})
    -> tensor<?x50xf32> {
  %y = lm.linear %x, %w : (tensor<?x72xf32>, tensor<50x72xf32>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}
func.func @linear_most(%x: tensor<?x133144xf32>, %w: tensor<3x133144xf32> {lm.format = #lm.format<int8_channel>})
    -> tensor<?x3xf32> {
  %y = lm.linear %x, %w : (tensor<?x133144xf32>, tensor<3x133144xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
func.func @embed(%ids: tensor<?xi32>, %table: tensor<11x7xbf16>) -> tensor<?x7xf32> {
  %y = lm.embedding %ids, %table : (tensor<?xi32>, tensor<11x7xbf16>) -> tensor<?x7xf32>
  return %y : tensor<?x7xf32>
}
func.func @choose(%logits: tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x3xi32>) {
  %w, %ids = moe.router %logits <top_k = 3> : (tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x3xi32>)
  return %w, %ids : tensor<?x3xf32>, tensor<?x3xi32>
}
func.func @tail(%x: tensor<?x5xf32>, %rows: index) -> tensor<?x5xf32> {
  %y = lm.last_rows %x, %rows : (tensor<?x5xf32>, index) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}
func.func @attend(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %cache: !lm.state<1x16xf32>,
                  %at: index) -> tensor<?x32xf32> {
  %y = lm.attention %q append(%k, %v) state(%cache) at %at {heads = 2 : i64, scale = 0.25 : f64}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, !lm.state<1x16xf32>, index) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
"""


def aligned(size, dtype=np.uint8):
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + size].view(dtype)


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


class Function:
    def __init__(self, library, name):
        get = lambda suffix: getattr(library, name + suffix)
        self.call, self.pack_weight = get(""), get("_pack")
        self.arena_size, self.packed_size, describe = get("_arena_size"), get("_packed_size"), get("_describe")
        self.arena_size.restype = self.packed_size.restype = ctypes.c_int64
        describe.restype = ctypes.c_char_p
        self.description = json.loads(describe())

    def pack(self, logical, number=0):
        packed = aligned(self.packed_size(number))
        packed[:] = 0xaa
        assert self.pack_weight(number, pointer(logical), pointer(packed)) == 0
        return packed

    def __call__(self, *arguments, tokens, positions=None, threads=2):
        arena = aligned(self.arena_size(ctypes.c_int64(tokens), ctypes.c_int64(threads)))
        counts = [tokens] + ([] if positions is None else [positions])
        status = self.call(*(pointer(a) if isinstance(a, np.ndarray) else ctypes.c_int64(a) for a in arguments),
                           *map(ctypes.c_int64, counts), pointer(arena), ctypes.c_int64(threads))
        assert status == 0, status


def panels(weight, paired=False):
    """The layouts that !lm.packed documents, in numpy: 16 rows side by side, K in steps of 4 bytes."""
    rows, columns = weight.shape
    each = 4 // weight.itemsize
    lines = -(-columns // each)
    halves = [weight[:rows // 2], weight[rows // 2:]] if paired else [weight]
    blocks = []
    for half in halves:
        count = -(-len(half) // 16)
        count += 0 if paired else count % 2
        padded = np.zeros((count * 16, lines * each), weight.dtype)
        padded[:len(half), :columns] = half
        blocks.append(padded.reshape(count, 16, lines, each).transpose(0, 2, 1, 3))
    result = np.stack(blocks, 1) if paired else blocks[0]
    return np.ascontiguousarray(result).view(np.uint8).ravel()


def bf16(array):
    return (array.view(np.uint32) >> 16).astype(np.uint16)


def wide(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def check_products(get, random):
    for name, out_columns, columns, store, load, paired in (
            ("linear_f32", 19, 37, lambda a: a, lambda a: a, False),
            ("linear_bf16", 50, 37, bf16, wide, False),
            ("gated_f16", 42, 36, lambda a: a.astype(np.float16), lambda a: a.astype(np.float32), True)):
        function = get(name)
        weight = store(random(out_columns, columns))
        packed = function.pack(weight)
        assert packed.tobytes() == panels(weight, paired).tobytes(), name
        for tokens in (0, 1, 3, 17):
            x = random(tokens, columns)
            expected = x @ load(weight).T
            if paired:
                gate, up = np.split(expected, 2, -1)
                expected = gate / (1 + np.exp(-gate)) * up
            out = np.full(expected.shape, np.nan, np.float32)
            function(x, packed, out, tokens=tokens)
            # Nobody promises f32 activations where products take pairs of bf16.
            assert np.allclose(out, expected, atol=1e-4), (name, tokens, np.abs(out - expected).max())


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)


def quantised(weight, kind):
    """docs/weight-formats.md in numpy: codes [..., 32] as stored, columns of scales as bytes, and the numbers."""
    most = np.abs(weight).max(-1, keepdims=True)
    low, high = weight.min(-1, keepdims=True), weight.max(-1, keepdims=True)
    half = lambda array: array.astype(np.float32).astype(np.float16)
    nearest = lambda over, d: np.rint(np.divide(over, d, out=np.zeros_like(over), where=d != 0))
    if kind == "mxfp4":
        exponent = np.floor(np.log2(np.where(most == 0, 1, most))) - 2
        magnitude = np.abs(weight) / np.exp2(exponent)
        code = np.searchsorted((E2M1[1:] + E2M1[:-1]) / 2, magnitude, side="left")  # ties downwards, then to even
        tie = np.isin(magnitude, (0.75, 1.75, 3.5))
        code = code + tie
        stored = code | np.where((weight < 0) & (code > 0), 8, 0)
        scale = np.where(most == 0, 0, exponent + 127).astype(np.uint8)
        return stored.astype(np.uint8), [scale], np.sign(weight) * E2M1[code] * np.exp2(exponent)
    if kind == "int4_nl":
        d, wide = formats.int4_nl_scale(weight), formats.int4_nl_scale(weight).astype(np.float32)
        over = np.divide(weight, wide, out=np.ones_like(weight), where=wide != 0)  # 1: the code of zeros
        q = np.abs(over[..., None] - formats.IQ4_NL).argmin(-1)  # of two the lower
        return q.astype(np.uint8), [d.view(np.uint8)], formats.IQ4_NL[q] * wide
    minimum = half(low) if kind == "int4_min" else np.zeros_like(low, np.float16)
    if kind == "int8":
        d, least, top, bias = half(most / np.float32(127)), -127, 127, 128
    elif kind == "int4":
        d, least, top, bias = half(np.where(-low >= high, low, high) / np.float32(-8) + 0), -8, 7, 8  # 0 has no sign
    else:
        d, least, top, bias = half((high - low) / np.float32(15)), 0, 15, 0
    wide = d.astype(np.float32)
    q = np.clip(nearest(weight - minimum.astype(np.float32), np.broadcast_to(wide, weight.shape)), least, top)
    scales = [d] + ([minimum] if kind == "int4_min" else [])
    return (q + bias).astype(np.uint8), [s.view(np.uint8) for s in scales], q * wide + minimum.astype(np.float32)


def channel_panels(weight):
    """int8_channel: all of K, then 16 scales."""
    rows, columns = weight.shape
    padded, panels = -(-columns // 32) * 32, -(-rows // 32) * 2
    full = np.zeros((panels * 16, padded), np.float32)
    full[:rows, :columns] = weight
    scale = np.abs(full).max(-1, keepdims=True) / np.float32(127)
    q = np.rint(np.divide(full, scale, out=np.zeros_like(full), where=scale != 0))
    lines = (q + 128).astype(np.uint8).reshape(panels, 16, padded // 4, 4).transpose(0, 2, 1, 3).reshape(panels, -1)
    packed = np.concatenate([lines, scale.reshape(panels, 16).view(np.uint8)], -1)
    return np.ascontiguousarray(packed).ravel(), (q * scale)[:rows, :columns]


def quantised_panels(weight, kind, paired=False):
    """Packed bytes and the numbers that they stand for."""
    if kind == "int8_channel":
        return channel_panels(weight)
    rows, columns = weight.shape
    span = 128 if kind == "mxfp4" else 64
    padded = -(-columns // span) * span
    halves = [weight[:rows // 2], weight[rows // 2:]] if paired else [weight]
    blocks = []
    for part in halves:
        count = -(-len(part) // 16)
        count += 0 if paired else count % 2
        full = np.zeros((count * 16, padded), np.float32)
        full[:len(part), :columns] = part
        codes, scales, _ = quantised(full.reshape(count * 16, padded // 32, 32), kind)
        lanes = codes.reshape(count, 16, padded // span, span // 32, 8, 4)  # panel, lane, block, group, quad, byte
        if kind != "int8":
            lanes = lanes[..., 0::2, :] | lanes[..., 1::2, :] << 4
        lines = lanes.transpose(0, 2, 3, 4, 1, 5).reshape(count, padded // span, -1)
        head = [s.reshape(count, 16, padded // span, span // 32, -1).transpose(0, 2, 3, 1, 4)
                .reshape(count, padded // span, -1) for s in scales]
        blocks.append(np.concatenate([*head, lines], -1).reshape(count, -1))
    result = np.stack(blocks, 1) if paired else blocks[0]
    values = np.zeros((rows, padded), np.float32)
    values[:, :columns] = weight
    numbers = quantised(values.reshape(rows, padded // 32, 32), kind)[2].reshape(rows, padded)[:, :columns]
    return np.ascontiguousarray(result).ravel(), numbers


def check_quantised(get, random):
    for name, out_columns, store, load, paired in (
            ("linear_int8", 50, lambda a: a, lambda a: a, False), ("linear_int4", 50, bf16, wide, False),
            ("gated_int4_min", 42, lambda a: a.astype(np.float16), lambda a: a.astype(np.float32), True),
            ("linear_mxfp4", 50, lambda a: a, lambda a: a, False),
            ("linear_int8_channel", 50, lambda a: a, lambda a: a, False),
            ("linear_int4_nl", 50, lambda a: a, lambda a: a, False)):
        function, kind = get(name), name.split("_", 1)[1]
        weight = store(random(out_columns, 72) * np.float32(0.1))
        weight[3, 32:64] = weight[5] = 0
        packed = function.pack(weight)
        expected_bytes, numbers = quantised_panels(load(weight), kind, paired)
        assert packed.tobytes() == expected_bytes.tobytes(), name
        for tokens in (0, 1, 3, 17):
            x = random(tokens, 72)
            read = np.zeros((tokens, 96), np.float32)
            read[:, :72] = x
            groups = read.reshape((tokens, 1, 96) if kind == "int8_channel" else (tokens, 3, 32))
            most = np.abs(groups).max(-1, keepdims=True)
            read = (np.rint(groups * (127 / most)) * (most / 127)).reshape(tokens, 96)[:, :72]
            expected = read @ numbers.T
            if paired:
                gate, up = np.split(expected, 2, -1)
                expected = gate / (1 + np.exp(-gate)) * up
            out = np.full(expected.shape, np.nan, np.float32)
            function(x, packed, out, tokens=tokens)
            assert np.allclose(out, expected, atol=2e-5), (name, tokens, np.abs(out - expected).max())


def check_largest_sums(get, random):
    """int8_channel: as many columns as there may be, every product 127 * 127."""
    function, columns = get("linear_most"), 133144
    weight = np.stack([np.full(columns, value, np.float32) for value in (127, -127, 0)])
    x = np.stack([weight[0], weight[1], np.zeros_like(weight[0]), np.roll(weight[0], 1)])
    x[3, 5] = np.nan
    out = np.empty((4, 3), np.float32)
    function(x, function.pack(weight), out, tokens=4)
    most = np.float32(columns * 127 * 127)
    assert out[:3].tolist() == [[most, -most, 0], [-most, most, 0], [0, 0, 0]] and np.isnan(out[3]).all(), out


def check_rows(get, random):
    embed = get("embed")
    table, ids = bf16(random(11, 7)), np.array([10, 0, 3], np.int32)
    packed = embed.pack(table)
    assert packed.tobytes() == table.tobytes()
    out = np.empty((3, 7), np.float32)
    embed(ids, packed, out, tokens=3)
    assert (out == wide(table)[ids]).all()

    choose = get("choose")
    logits, weights, ids = random(9, 8), np.empty((9, 3), np.float32), np.empty((9, 3), np.int32)
    choose(logits, weights, ids, tokens=9)
    assert (ids == np.argsort(-logits, -1)[:, :3]).all()
    assert choose.packed_size(0) == -1

    tail = get("tail")
    x, out = random(6, 5), np.full((3, 5), np.nan, np.float32)
    tail(x, 2, out, tokens=6)
    assert (out[:2] == x[4:]).all() and np.isnan(out[2]).all()
    arena = aligned(tail.arena_size(ctypes.c_int64(6), ctypes.c_int64(1)))
    for rows in (-1, 7):
        assert tail.call(pointer(x), ctypes.c_int64(rows), pointer(out), ctypes.c_int64(6), pointer(arena),
                         ctypes.c_int64(1)) == 1


def check_cache(get, random):
    """A cache between calls: in one go, and token by token."""
    attend = get("attend")
    q, k, v = random(5, 32), random(5, 16), random(5, 16)
    state = attend.description["arguments"][3]
    assert state["kind"] == "state" and state["bytes_per_position"] == 128
    whole, steps = np.empty_like(q), np.empty_like(q)
    attend(q, k, v, aligned(64 * 128), 0, whole, tokens=5, positions=64)
    cache = aligned(64 * 128)
    for t in range(5):
        attend(q[t:], k[t:], v[t:], cache, t, steps[t:], tokens=1, positions=64)
    assert whole.tobytes() == steps.tobytes()
    scores = np.einsum("thd,jd->htj", q.reshape(5, 2, 16), k) * 0.25
    scores += np.triu(np.full((5, 5), -np.inf), 1)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    expected = np.einsum("htj,jd->thd", scores / scores.sum(-1, keepdims=True), v).reshape(5, 32)
    assert np.allclose(whole, expected, atol=1e-5)


def check_threads(get, random):
    """Calls at the same time, each with an arena of its own: the same bits."""
    function = get("linear_f32")
    weight, x = random(19, 37), random(40, 37)
    packed = function.pack(weight)
    outs = [np.empty((40, 19), np.float32) for _ in range(4)]
    workers = [threading.Thread(target=lambda i=i: [function(x, packed, outs[i], tokens=40, threads=i + 1)
                                                    for _ in range(50)]) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(out.tobytes() == outs[0].tobytes() for out in outs)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "graph.mlir").write_text(GRAPH)
        # Without -o: named after the graph.
        subprocess.run([MOEC, "graph.mlir", "--emit=lib,header"], check=True, cwd=folder)
        assert sorted(path.name for path in folder.iterdir()) == ["graph.mlir", "libgraph.h", "libgraph.so"]
        header = (folder / "libgraph.h").read_text()
        for text in ("int linear_f32(const float *x, const void *arg1, float *out0, int64_t tokens, void *arena, "
                     "int64_t threads);", "LINEAR_BF16_ARG1 = 0", "const void *tokens_", "[tokens][3] of i32",
                     "int64_t positions, void *arena", "[rows][5] of f32"):
            assert text in header, text
        generator = np.random.default_rng(0)
        random = lambda *shape: generator.standard_normal(shape).astype(np.float32)
        library = ctypes.CDLL(str(folder / "libgraph.so"))
        for check in (check_products, check_quantised, check_largest_sums, check_rows, check_cache, check_threads):
            print(check.__name__, flush=True)
            check(lambda function: Function(library, function), random)


if __name__ == "__main__":
    main()
