#!/usr/bin/env python3
"""ops.py - what single ops must give: inputs as hex floats, outputs worked out in float64 by torch, or by the formula
in plain Python where torch has none.  Nothing here knows how a kernel does it.

    ops.py [--out tests/golden/ops]

Writes a text file for each family of ops; src/check/op_goldens_test.c reads them and runs every kernel on them.  Inputs are
f32 values, outputs f64; integers of 'quantize' are exact.  Random numbers are Python's own generator, so a second run
writes the same bytes.  Needs torch and numpy; never run by the tests."""
import argparse
import math
import os
import random
import struct

import numpy as np
import torch
import torch.nn.functional as F

D = torch.float64


def hexadecimal(value):
    """As float.hex, without the zeros at the end of the digits."""
    text = float(value).hex()
    if "." not in text:
        return text
    digits, exponent = text.split("p")
    return digits.rstrip("0").rstrip(".") + "p" + exponent


class File:
    def __init__(self, folder, name):
        self.path, self.lines, self.rng = os.path.join(folder, name + ".txt"), [], random.Random(name)
        self.say(f"# {name}: written by tests/golden/make/ops.py; values are hex floats")

    def say(self, *words):
        self.lines.append(" ".join(str(word) for word in words))

    def values(self, rows, columns, scale=2.0):
        """Random f32 values, as float64."""
        some = [[self.rng.uniform(-scale, scale) for _ in range(columns)] for _ in range(rows)]
        return torch.tensor(np.array(some, dtype=np.float32).astype(np.float64))

    def table(self, x):
        for row in x:
            self.say(*(hexadecimal(v) for v in row))

    def begin(self, name, op, **attributes):
        self.say("case", name)
        self.say("op", op)
        for key, value in attributes.items():
            if key == "activation":
                self.say("activation", value)
                continue
            self.say("attribute", key, hexadecimal(np.float32(value)) if isinstance(value, float) else int(value))

    def input(self, x, kind="input"):
        self.say(kind, x.shape[0], x.shape[1])
        self.table(x)

    def integers(self, kind, x):
        self.say(kind, len(x), len(x[0]))
        for row in x:
            self.say(*(int(v) for v in row))

    def vector(self, x):
        self.weight("f32", 32, 1, "f32", 1, [[floats_hex(x)]], len(x))

    def bias(self, x):
        self.say("bias", len(x))
        self.table([x])

    def weight(self, form, bits, group, dtype, count, rows, columns):
        """rows: codes, scales and biases as hexadecimal bytes."""
        self.say("weight", form, bits, group, dtype, count, len(rows) // count, columns)
        for row in rows:
            self.say(*row)

    def output(self, y, kind="output"):
        self.say(kind, y.shape[0], y.shape[1])
        self.table(y)

    def end(self):
        self.say("end")

    def close(self):
        with open(self.path, "w", encoding="ascii") as out:
            out.write("\n".join(self.lines) + "\n")


def floats_hex(x):
    return np.array([float(v) for v in x], dtype="<f4").tobytes().hex()


def simple(file, op, inputs, y, name=None, vectors=(), kind="output", **attributes):
    file.begin(name or op, op, **attributes)
    for x in inputs:
        file.input(x)
    for v in vectors:
        file.vector(v)
    file.output(y, kind)
    file.end()


ACTIVATIONS = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "relu2": lambda x: F.relu(x) ** 2,
    "sigmoid": torch.sigmoid,
}


def clamped_glu(gate, up, limit, alpha):  # modeling_gpt_oss.py
    gate, up = gate.clamp(max=limit), up.clamp(min=-limit, max=limit)
    return (up + 1) * gate * torch.sigmoid(gate * alpha)


def f32(value):
    return float(np.float32(value))


def elementwise(folder):
    f = File(folder, "elementwise")
    a, b, r = f.values(2, 37, 8), f.values(2, 37, 8), f.values(2, 1)
    simple(f, "add", [a, b], a + b)
    simple(f, "mul", [a, b], a * b)
    simple(f, "mul_rows", [a, r], a * r)
    simple(f, "scale", [a], a * f32(0.3), scale=0.3)
    simple(f, "softcap", [a], 3 * torch.tanh(a / 3), limit=3.0)
    simple(f, "clamped_glu", [a, b], clamped_glu(a, b, 2.0, f32(1.702)), limit=2.0, alpha=1.702)
    for name, function in ACTIVATIONS.items():
        simple(f, "activation", [a], function(a), name="activation_" + name, activation=name)
        simple(f, "glu", [a, b], function(a) * b, name="glu_" + name, activation=name)
    positions = [0, 6, 7, 700, 16777217]
    x = f.values(5, 9)
    grow = torch.tensor([1 + f32(0.3) * math.log(1 + math.floor(np.float32(p) / np.float32(7))) for p in positions])
    f.begin("position_scale", "position_scale", beta=0.3, period=7)
    f.integers("positions", [positions])
    f.input(x)
    f.output(x * grow[:, None])
    f.end()
    f.close()


def norms(folder):
    f = File(folder, "norms")
    eps = f32(1e-5)
    x, residual = f.values(4, 51, 3), f.values(4, 51, 3)
    w, bias = f.values(1, 51)[0], f.values(1, 51)[0]
    simple(f, "rmsnorm", [x], F.rms_norm(x, (51,), w, eps), vectors=[w], epsilon=eps)
    simple(f, "rmsnorm", [x], F.rms_norm(x, (51,), 1 + w, eps), vectors=[w], name="rmsnorm_offset", epsilon=eps,
           offset=1.0, wide=1)
    f.begin("layernorm", "layernorm", epsilon=eps)
    f.input(x)
    f.vector(w)
    f.bias(bias)
    f.output(F.layer_norm(x, (51,), w, bias, eps))
    f.end()
    heads, head = f.values(3, 60), f.values(1, 20)[0]
    normed = F.rms_norm(heads.reshape(3, 3, 20), (20,), head, eps).reshape(3, 60)
    simple(f, "head_rmsnorm", [heads], normed, vectors=[head], epsilon=eps, head_size=20)
    total = x + residual
    total32 = total.to(torch.float32).to(D)  # the sum is rounded before it is normed

    def fused(op, operands, outputs, biased=False):
        f.begin(op, op, epsilon=eps)
        for v in operands:
            (f.vector if v.dim() == 1 else f.input)(v)
            if biased and v.dim() == 1:
                f.bias(bias)
        for y in outputs:
            f.output(y)
        f.end()

    fused("add_rmsnorm", [x, residual, w], [F.rms_norm(total32, (51,), w, eps), total])
    fused("add_layernorm", [x, residual, w], [F.layer_norm(total32, (51,), w, bias, eps), total], biased=True)
    total = F.rms_norm(x, (51,), w, eps).to(torch.float32).to(D) + residual
    fused("rmsnorm_add", [x, w, residual], [total])
    total32 = total.to(torch.float32).to(D)
    fused("rmsnorm_add_rmsnorm", [x, w, residual, bias], [F.rms_norm(total32, (51,), bias, eps), total])
    f.close()


def top_k(row, k):
    return sorted(range(len(row)), key=lambda i: (-float(row[i]), i))[:k]


def limit_groups(row, groups, keep):  # modeling_deepseek_v3.py: the two best of a group
    size = len(row) // groups
    scores = [sum(sorted(row[g * size:(g + 1) * size].tolist())[-2:]) for g in range(groups)]
    best = top_k(scores, keep)
    return torch.tensor([v if i // size in best else -math.inf for i, v in enumerate(row.tolist())], dtype=D)


def pick(x, indices):
    return torch.stack([x[i][indices[i]] for i in range(len(indices))])


def routers(folder):
    f = File(folder, "routers")
    x, bias = f.values(4, 16, 4), f.values(1, 16, 0.5)[0]
    scores = torch.softmax(x, -1)
    simple(f, "softmax", [x], scores)
    simple(f, "sigmoid_scores", [x], torch.sigmoid(x))
    simple(f, "add_row", [x], x + bias, vectors=[bias])
    some = torch.rand(3, 6, dtype=D, generator=torch.Generator().manual_seed(1)).to(torch.float32).to(D)
    simple(f, "normalize", [some], some / some.sum(-1, keepdim=True), epsilon=1e-20)
    limited = torch.stack([limit_groups(row, 4, 2) for row in x])
    simple(f, "group_limit", [x], limited, groups=4, top_groups=2)
    ties = torch.tensor(np.round(x.numpy()))
    chosen = [top_k(row, 5) for row in ties]
    f.begin("topk_ties", "topk", top_k=5)
    f.input(ties)
    f.integers("output_indices", chosen)
    f.end()
    f.begin("gather_scores", "gather_scores")
    f.input(x)
    f.integers("indices", chosen)
    f.output(pick(x, chosen))
    f.end()

    def router(op, inputs, weights, indices, vectors=(), name=None, **attributes):
        f.begin(name or op, op, **attributes)
        for v in inputs:
            f.input(v)
        for v in vectors:
            f.vector(v)
        f.output(weights)
        f.integers("output_indices", indices)
        f.end()

    indices = [top_k(row, 3) for row in x]
    weights = pick(scores, indices)
    router("router_softmax", [x], weights, indices, top_k=3)
    router("router_softmax_normalize", [x], weights / weights.sum(-1, keepdim=True), indices, top_k=3)
    router("router_chosen", [x], torch.softmax(pick(x, indices), -1), indices, top_k=3)
    plain = torch.sigmoid(x)
    indices = [top_k(limit_groups(row, 4, 2), 3) for row in plain + bias]
    weights = pick(plain, indices)
    weights = weights / (weights.sum(-1, keepdim=True) + f32(1e-20)) * 2.5
    router("router_sigmoid", [x], weights, indices, vectors=[bias], top_k=3, groups=4, top_groups=2, epsilon=1e-20,
           scale=2.5)
    f.close()


def heads(folder):
    f = File(folder, "heads")
    x, other = f.values(3, 36), f.values(3, 12)
    parts = x.reshape(3, 3, 12)
    simple(f, "columns", [x], parts[:, :, 3:8].reshape(3, 15), head_size=12, first=3, size=5)
    joined = torch.cat([parts, other.reshape(3, 3, 4)], -1).reshape(3, 48)
    simple(f, "join", [x, other], joined, head_size=12)
    w = f.values(36, 10)
    per_head = w.reshape(3, 12, 10)[:, 4:11]
    for transposed in (0, 1):
        a = f.values(3, 3 * (7 if transposed else 10)).reshape(3, 3, -1)
        y = torch.einsum("thn,hnk->thk" if transposed else "thk,hnk->thn", a, per_head)
        f.begin(f"head_matmul_{transposed}", "head_matmul", head_size=12, first=4, size=7, transposed=transposed)
        f.input(a.reshape(3, -1))
        f.weight("f32", 32, 1, "f32", 1, [[floats_hex(row)] for row in w], 10)
        f.output(y.reshape(3, -1))
        f.end()
    for interleaved in (0, 1):
        x = f.values(4, 30)
        positions = [0, 1, 77, 4099]
        frequencies = [f32(1e4 ** (-2 * i / 8)) for i in range(4)]
        y = x.clone().reshape(4, 3, 10)
        for t, p in enumerate(positions):
            for i, frequency in enumerate(frequencies):
                theta = float(np.float32(np.float32(p) * np.float32(frequency)))
                a, b = (2 * i, 2 * i + 1) if interleaved else (i, i + 4)
                left, right = x.reshape(4, 3, 10)[t, :, a], x.reshape(4, 3, 10)[t, :, b]
                y[t, :, a] = left * math.cos(theta) - right * math.sin(theta)
                y[t, :, b] = right * math.cos(theta) + left * math.sin(theta)
        f.begin(f"rope_{interleaved}", "rope", head_size=10)
        f.say("rope", 8, interleaved, *(hexadecimal(v) for v in frequencies))
        f.integers("positions", [positions])
        f.input(x)
        f.output(y.reshape(4, 30))
        f.end()
    f.close()


E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6]


def e2m1(code):
    return -E2M1[code & 7] if code & 8 else E2M1[code & 7]


def e4m3(code):
    exponent, mantissa = code >> 3 & 15, code & 7
    value = mantissa / 8 * 2.0 ** -6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return -value if code & 128 else value


def pack(codes, bits):
    """Little-endian bit string."""
    whole = sum(int(code) << (i * bits) for i, code in enumerate(codes))
    return whole.to_bytes(len(codes) * bits // 8, "little")


def nibbles_of_block(codes):  # ggml: the first half in the low nibbles
    return bytes(codes[i] | codes[i + 16] << 4 for i in range(16))


def half(value, dtype):
    """Bytes and value of an f16, bf16 or f32."""
    if dtype == "f16":
        return np.float16(value).tobytes(), float(np.float16(value))
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    if dtype == "f32":
        return struct.pack("<I", bits), struct.unpack("<f", struct.pack("<I", bits))[0]
    bits &= 0xffff0000
    return struct.pack("<H", bits >> 16), struct.unpack("<f", struct.pack("<I", bits))[0]


def affine_row(rng, columns, bits, group, dtype):
    codes = [rng.randrange(1 << bits) for _ in range(columns)]
    # of few bits, so that the product with a code is exact and the sum is rounded once
    scales = [half(float(np.float16(rng.uniform(0.01, 0.1))), dtype) for _ in range(columns // group)]
    biases = [half(rng.uniform(-0.5, 0.5), dtype) for _ in range(columns // group)]
    values = [codes[i] * scales[i // group][1] + biases[i // group][1] for i in range(columns)]
    texts = [pack(codes, bits).hex(), b"".join(s[0] for s in scales).hex(), b"".join(b[0] for b in biases).hex()]
    return texts, values


def mx_row(rng, columns, form):
    group = 16 if form == "nvfp4" else 32
    bits = 8 if form == "mxfp8" else 4
    codes = [rng.randrange(1 << bits) for _ in range(columns)]
    if form == "mxfp8":  # not its NaN
        codes = [code if code & 127 != 127 else 0x38 for code in codes]
    scales = [rng.randrange(0x20, 0x40) if form == "nvfp4" else rng.randrange(118, 130) for _ in range(columns // group)]
    factors = [e4m3(s) if form == "nvfp4" else 2.0 ** (s - 127) for s in scales]
    decode = e4m3 if form == "mxfp8" else e2m1
    return [pack(codes, bits).hex(), bytes(scales).hex()], [decode(codes[i]) * factors[i // group] for i in range(columns)]


def block_row(rng, columns, form):
    data, values = b"", []
    for _ in range(columns // 32):
        scale, minimum = half(rng.uniform(0.01, 0.1), "f16"), half(rng.uniform(-0.5, 0.5), "f16")
        if form == "q8_0":
            codes = [rng.randrange(-128, 128) for _ in range(32)]
            data += scale[0] + struct.pack("32b", *codes)
            values += [code * scale[1] for code in codes]
            continue
        codes = [rng.randrange(16) for _ in range(32)]
        data += scale[0] + (minimum[0] if form == "q4_1" else b"") + nibbles_of_block(codes)
        values += [code * scale[1] + minimum[1] if form == "q4_1" else (code - 8) * scale[1] for code in codes]
    return [data.hex()], values


def dense_row(rng, columns, form):
    some = [half(rng.uniform(-1, 1), form) for _ in range(columns)]
    return [b"".join(s[0] for s in some).hex()], [s[1] for s in some]


AFFINE = [(2, 64, "f16"), (3, 64, "f32"), (4, 32, "f32"), (5, 32, "f32"), (6, 64, "f32"), (8, 128, "f32")]
FORMATS = ([("affine", *row) for row in AFFINE] +
           [("mxfp4", 4, 32, "f32"), ("mxfp8", 8, 32, "f32"), ("nvfp4", 4, 16, "f32"), ("q4_0", 4, 32, "f32"),
            ("q4_1", 4, 32, "f32"), ("q8_0", 8, 32, "f32"), ("f32", 32, 1, "f32"), ("f16", 16, 1, "f16"),
            ("bf16", 16, 1, "bf16")])


def make_weight(file, form, bits, group, dtype, rows, columns):
    """The rows' bytes, and their values as f32 holds them (f16 scales: rounded to f16)."""
    texts, values = [], []
    for _ in range(rows):
        if form == "affine":
            text, row = affine_row(file.rng, columns, bits, group, dtype)
        elif form in ("mxfp4", "mxfp8", "nvfp4"):
            text, row = mx_row(file.rng, columns, form)
        elif form in ("q4_0", "q4_1", "q8_0"):
            text, row = block_row(file.rng, columns, form)
        else:
            text, row = dense_row(file.rng, columns, form)
        if form == "affine" and dtype == "f16":
            row = np.array(row, dtype=np.float32).astype(np.float16)
        texts.append(text)
        values.append(row)
    return texts, torch.tensor(np.array(values, dtype=np.float64))


def quantize(x, group, planes):
    """Codes [rows, columns] and scales [rows, groups] by the formula of quant/activation.h, in f32."""
    limit = np.float32(127 if planes == 1 else 32512)
    x = x.numpy().astype(np.float32).reshape(x.shape[0], -1, group)
    scales = np.abs(x).max(-1) / limit
    inverse = np.float32(1) / scales
    codes = np.clip(np.rint(x * inverse[..., None]), -limit, limit)
    return codes.reshape(codes.shape[0], -1), scales


def formats(folder):
    f = File(folder, "formats")
    for form, bits, group, dtype in FORMATS:
        columns = 128
        texts, values = make_weight(f, form, bits, group, dtype, 3, columns)
        f.begin(f"embed_{form}{bits}", "embed")
        f.integers("ids", [[2, 0, 2]])
        f.weight(form, bits, group, dtype, 1, texts, columns)
        f.output(values[[2, 0, 2]])
        f.end()
    x = f.values(5, 7)
    f.begin("select", "select")
    f.integers("sampled", [[1, 4]])
    f.input(x)
    f.output(x[[1, 4]])
    f.end()
    f.close()


def matmuls(folder):
    f = File(folder, "matmul")
    for form, bits, group, dtype in FORMATS:
        texts, w = make_weight(f, form, bits, group, dtype, 5, 128)
        x, bias = f.values(2, 128), f.values(1, 5)[0]
        f.begin(f"matmul_{form}{bits}", "matmul")
        f.input(x)
        f.weight(form, bits, group, dtype, 1, texts, 128)
        f.bias(bias)
        f.output(x @ w.T + bias)
        f.end()
    for planes, precision in ((1, "q8"), (2, "q16")):
        for form, bits, group, dtype in (("affine", 4, 32, "f32"), ("q4_0", 4, 32, "f32"), ("q8_0", 8, 32, "f32"),
                                         ("mxfp4", 4, 32, "f32")):
            texts, w = make_weight(f, form, bits, group, dtype, 5, 128)
            x = f.values(2, 128)
            codes, scales = quantize(x, group, planes)
            seen = torch.tensor(codes.astype(np.float64) * np.repeat(scales.astype(np.float64), group, -1))
            f.begin(f"matmul_{form}_{precision}", "matmul")
            f.input(x)
            f.say("precision", precision)
            f.weight(form, bits, group, dtype, 1, texts, 128)
            f.output(seen @ w.T)
            f.end()
    fused(f)
    f.close()


def fused(f):
    x = f.values(3, 64)
    made = [make_weight(f, "affine", 4, 32, "f32", rows, 64) for rows in (11, 11, 5)]

    def weights(count):
        for texts, _ in made[:count]:
            f.weight("affine", 4, 32, "f32", 1, texts, 64)

    products = [x @ w.T for _, w in made]
    residual = f.values(3, 11)
    f.begin("matmul_add", "matmul_add")
    f.input(x)
    weights(1)
    f.input(residual)
    f.output(products[0] + residual)
    f.end()
    f.begin("matmul_softcap", "matmul_softcap", limit=3.0)
    f.input(x)
    weights(1)
    f.output(3 * torch.tanh(products[0] / 3))
    f.end()
    f.begin("matmul_qkv", "matmul_qkv")
    f.input(x)
    weights(3)
    for y in products:
        f.output(y)
    f.end()
    for name, function in ACTIVATIONS.items():
        f.begin("matmul_glu_" + name, "matmul_glu", activation=name)
        f.input(x)
        weights(2)
        f.output(function(products[0]) * products[1])
        f.end()


def quantized(folder):
    f = File(folder, "quantize")
    for planes, group, order in ((1, 32, 0), (2, 32, 1), (2, 64, 1), (2, 128, 0), (1, 16, 1)):
        x = f.values(2, 128, 5)
        codes, scales = quantize(x, group, planes)
        f.begin(f"quantize_{planes}_{group}_{order}", "quantize")
        f.say("layout", planes, order, group)
        f.input(x)
        f.say("output_quantized", 2, 128 + 128 // group)
        f.table(np.concatenate([codes, scales], -1))
        f.end()
    f.close()


def attention(folder):
    f = File(folder, "attention")
    cases = [("plain", 1, 1, 4, 4, 70, 0, 0, False), ("gqa", 2, 3, 8, 8, 9, 0, 0, False),
             ("window", 1, 2, 4, 4, 70, 20, 0, False), ("softcap", 2, 1, 12, 8, 11, 0, 2.0, False),
             ("sinks", 2, 2, 8, 8, 13, 5, 0, True)]
    for name, kv_heads, group, size, value_size, tokens, window, limit, with_sinks in cases:
        count = kv_heads * group
        q, k, v = f.values(tokens, count * size), f.values(tokens, kv_heads * size), f.values(tokens, kv_heads * value_size)
        sinks = f.values(1, count)[0]
        scale = f32(1 / math.sqrt(size))
        split = [x.reshape(tokens, -1, n).transpose(0, 1) for x, n in ((q, size), (k, size), (v, value_size))]
        keys, values = (x.repeat_interleave(group, 0) for x in split[1:])
        i, j = torch.arange(tokens)[:, None], torch.arange(tokens)[None]
        seen = (j <= i) & ((j > i - window) if window else torch.tensor(True))
        if limit == 0 and not with_sinks:
            y = F.scaled_dot_product_attention(split[0], keys, values, attn_mask=seen, scale=scale)
        else:
            scores = split[0] @ keys.transpose(1, 2) * scale
            if limit:
                scores = limit * torch.tanh(scores / limit)
            scores = scores.masked_fill(~seen, -math.inf)
            if with_sinks:
                scores = torch.cat([scores, sinks[:, None, None].expand(-1, tokens, 1)], -1)
            y = torch.softmax(scores, -1)[..., :tokens] @ values
        sized = {"limit": limit} if limit else {}
        f.begin("attention_" + name, "attention_sinks" if with_sinks else "attention", head_size=size,
                value_size=value_size, window=window, scale=scale, **sized)
        f.say("cache", kv_heads, size, value_size)
        f.integers("positions", [list(range(tokens))])
        f.input(k, "keys")
        f.input(v, "values")
        f.input(q)
        f.say("no_input")
        if with_sinks:
            f.vector(sinks)
        f.output(y.transpose(0, 1).reshape(tokens, -1))
        f.end()
    f.close()


def experts(folder):
    f = File(folder, "experts")
    count, slots, rows, columns = 4, 2, 7, 64
    tables = [make_weight(f, "affine", 4, 32, "f32", count * rows, columns) for _ in range(2)]
    indices = [[1, 3], [0, 2], [3, 0]]
    x, shares, residual = f.values(3, columns), f.values(3, slots), f.values(3, rows)
    own = f.values(3, slots * columns)

    def product(table, per_slot=False):
        w = tables[table][1].reshape(count, rows, columns)
        at = own.reshape(3, slots, columns) if per_slot else x[:, None].expand(-1, slots, -1)
        return torch.einsum("tsc,tsrc->tsr", at, torch.stack([w[i] for i in indices]))

    def begin(name, op, given, matrices, **attributes):
        f.begin(name, op, **attributes)
        f.input(given)
        f.integers("indices", indices)
        for table in range(matrices):
            f.weight("affine", 4, 32, "f32", count, tables[table][0], columns)

    def end(y):
        f.output(y.reshape(3, -1))
        f.end()

    begin("expert_matmul", "expert_matmul", x, 1)
    end(product(0))
    begin("expert_matmul_own", "expert_matmul", own, 1)
    end(product(0, True))
    for name, function in ACTIVATIONS.items():
        begin("expert_glu_" + name, "expert_glu", x, 2, activation=name)
        end(function(product(0)) * product(1))
    begin("expert_clamped_glu", "expert_clamped_glu", x, 2, limit=1.0, alpha=1.702)
    end(clamped_glu(product(0), product(1), 1.0, f32(1.702)))
    combined = (product(0, True) * shares[..., None]).sum(1)
    begin("expert_combine", "expert_combine", own, 1)
    f.input(shares)
    end(combined)
    begin("expert_combine_add", "expert_combine_add", own, 1)
    f.input(shares)
    f.input(residual)
    end(combined + residual)
    y = f.values(3, slots * 10)
    simple(f, "combine", [y, shares], (y.reshape(3, slots, 10) * shares[..., None]).sum(1))
    f.close()


def convolve(x, weight, before):
    """weight: a row for each tap, the oldest first; before: the inputs of the tokens before."""
    columns = x.shape[1]
    whole = torch.cat([before, x]).T[None]
    return F.conv1d(whole, weight.T[:, None], groups=columns)[0].T


def delta(q, k, v, decay, rate, state, scale):  # modeling_qwen3_next.py, torch_recurrent_gated_delta_rule
    """q, k [token, head, key], v [token, head, value], state [head, key, value]."""
    rows = []
    for t in range(q.shape[0]):
        state = state * decay[t][:, None, None]
        memory = (state * k[t][:, :, None]).sum(1)
        state = state + k[t][:, :, None] * ((v[t] - memory) * rate[t][:, None])[:, None, :]
        rows.append((state * (q[t] * scale)[:, :, None]).sum(1).reshape(-1))
    return torch.stack(rows)


def states(folder):
    f = File(folder, "states")
    eps = f32(1e-6)
    x, gate, w = f.values(3, 60), f.values(3, 60), f.values(1, 20)[0]
    by_head = x.reshape(3, 3, 20)
    simple(f, "head_l2norm", [x], (by_head / (by_head.pow(2).sum(-1, keepdim=True) + eps).sqrt()).reshape(3, 60),
           head_size=20, epsilon=eps)
    normed = F.rms_norm(by_head, (20,), w, eps).reshape(3, 60)
    simple(f, "gated_head_rmsnorm", [x, gate], normed * F.silu(gate), vectors=[w], head_size=20, epsilon=eps,
           activation="silu")
    a, logarithms, biases = f.values(4, 19, 6), f.values(1, 19, 3)[0], f.values(1, 19, 3)[0]
    simple(f, "decay", [a], torch.exp(-logarithms.exp() * F.softplus(a + biases)), vectors=[logarithms, biases])

    taps, columns = 4, 37
    x, gate, other = f.values(9, columns), f.values(9, columns), f.values(9, columns)
    weight, before, bias = f.values(taps, columns), f.values(taps - 1, columns), f.values(1, columns)[0]

    def begin(name, op, first, state, inputs, **attributes):
        f.begin(name, op, **attributes)
        f.input(state.reshape(1, -1), "state")
        f.integers("positions", [list(range(first, first + 9))])
        for each in inputs:
            f.input(each)

    def convolution(name, op, first, operands, y, biased=False, **attributes):
        begin(name, op, first, before, operands[:-1] if op == "short_conv_gated" else operands, **attributes)
        f.weight("f32", 32, 1, "f32", 1, [[floats_hex(row)] for row in weight], columns)
        if biased:
            f.bias(bias)
        if op == "short_conv_gated":
            f.input(operands[-1])
        f.output(y)
        f.end()

    convolution("short_conv", "short_conv", 5, [x], convolve(x, weight, before))
    convolution("short_conv_begins", "short_conv", 0, [x], convolve(x, weight, 0 * before) + bias, biased=True)
    convolution("short_conv_activation", "short_conv_activation", 5, [x], F.silu(convolve(x, weight, before)),
                activation="silu")
    product = (x * other).to(torch.float32).to(D)
    convolution("short_conv_gated", "short_conv_gated", 5, [x, other, gate],
                convolve(product, weight, before) * gate)

    groups, heads, key, value = 2, 4, 12, 10
    q, k = (F.normalize(f.values(9, groups * key).reshape(9, groups, key), dim=-1).to(torch.float32).to(D)
            for _ in range(2))
    v, state = f.values(9, heads * value), f.values(heads * key, value, 0.5).reshape(heads, key, value)
    decay, rate = f.values(9, heads, 0.5) + 0.5, f.values(9, heads, 0.5) + 0.5
    decay, rate = (z.to(torch.float32).to(D) for z in (decay, rate))
    scale = f32(key ** -0.5)
    for name, first in (("gated_delta", 3), ("gated_delta_begins", 0)):
        begin(name, "gated_delta", first, state, [q.reshape(9, -1), k.reshape(9, -1), v, decay, rate],
              head_size=key, value_size=value, scale=scale)
        spread = (z.repeat_interleave(heads // groups, 1) for z in (q, k))
        f.output(delta(*spread, v.reshape(9, heads, value), decay, rate, state if first > 0 else 0 * state, scale))
        f.end()
    f.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default=os.path.join(os.path.dirname(__file__), "..", "ops"))
    folder = parser.parse_args().out
    os.makedirs(folder, exist_ok=True)
    for write in (elementwise, norms, routers, heads, formats, matmuls, quantized, attention, experts, states):
        write(folder)


if __name__ == "__main__":
    main()
