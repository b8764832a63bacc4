"""Single ops against MLX's CPU build, within bounds that follow from both sides' roundings.

u is half the distance from 1 to the next value of T, u32 that of f32.  Sums differ in their order
alone, so each side's is within (n + 2) u32 sum|terms| of the exact one; a bound below adds both.
Where T has 16 bits, MLX's CPU fallbacks round between their steps; ours round as the ops' reference
files say.  Every kernel of ours that this machine can run takes part: ops.run compares their bits.
"""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ops
from ops import UNIT, run, to_mx, ulp, widen

DTYPES = ("f32", "f16", "bf16")
U32 = UNIT["f32"]


def tensor(draw, shape, dtype, spread=2, offset=0.0):
    """Normal values times a power of two; now and then zeros and outliers."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = random.standard_normal(shape) * 2.0 ** draw(st.integers(-spread, spread)) + offset
    if draw(st.booleans()):
        x.flat[random.integers(x.size, size=1 + x.size // 50)] = 0
        x.flat[random.integers(x.size)] *= 30
    return ops.narrow(x, dtype)


def within(got, want, bound, dtype):
    """|got - want| <= bound, in float64; the bound may differ from value to value."""
    got, want = widen(got, dtype), widen(want, dtype)
    assert got.shape == want.shape and np.isfinite(got).all()
    over = np.abs(got - want) - bound
    at = np.unravel_index(np.argmax(over), over.shape)
    assert over[at] <= 0, (
        f"at {at}: {got[at]!r}, MLX {want[at]!r}, "
        f"allowed {np.broadcast_to(bound, over.shape)[at]!r}"
    )


# --- norms ---


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_rms_norm(dtype, data):
    """Both: w * RN_T(x * inv).  inv of the two sides differs by (n + 8) u32 relatively (half of
    the sums' 2 (n + 2), then mean, eps, root and quotient), which may move RN_T by one ulp."""
    rows, n = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 700))
    x = tensor(data.draw, (rows, n), dtype, spread=6)
    w = tensor(data.draw, (1, n), dtype, offset=1.0)
    eps = data.draw(st.sampled_from((1e-6, 1e-5, 3e-3)))
    got = run(
        "rmsnorm", [(x, dtype), (ops.dense(w, dtype), dtype)], ((rows, n), dtype), epsilon=eps
    )
    want = ops.from_mx(mx.fast.rms_norm(to_mx(x, dtype), to_mx(w[0], dtype), eps))
    relative = (n + 8) * U32
    normed = np.abs(widen(x, dtype)) / np.sqrt((widen(x, dtype) ** 2).mean(-1, keepdims=True) + eps)
    step = normed * relative
    step += np.where(step > 0, ulp(normed * (1 + relative), dtype), 0)
    size = np.abs(widen(w, dtype)) * normed
    within(got, want, np.abs(widen(w, dtype)) * step + 1.01 * ulp(size + step, dtype), dtype)


@given(data=st.data())
def test_rms_norm_of_gemma(data):
    """1 + w, in f32: mlx-lm adds it in T, so only there are both the same numbers."""
    rows, n = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 300))
    x, w = tensor(data.draw, (rows, n), "f32"), tensor(data.draw, (1, n), "f32")
    weight = ops.dense(w, "f32")
    got = run(
        "rmsnorm", [(x, "f32"), (weight, "f32")], ((rows, n), "f32"), epsilon=1e-6, offset=1.0
    )
    want = ops.from_mx(mx.fast.rms_norm(mx.array(x), 1.0 + mx.array(w[0]), 1e-6))
    within(got, want, (n + 12) * U32 * np.abs(widen(want, "f32")) + 1e-37, "f32")


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_rms_norm_of_heads(dtype, data):
    """The q and k norms: every head alone, without a weight's row of its own."""
    heads, n = data.draw(st.integers(1, 4)), data.draw(st.sampled_from((16, 64, 96, 128)))
    x = tensor(data.draw, (3, heads * n), dtype)
    w = tensor(data.draw, (1, n), dtype, offset=1.0)
    inputs = [(x, dtype), (ops.dense(w, dtype), dtype)]
    got = run("head_rmsnorm", inputs, ((3, heads * n), dtype), epsilon=1e-6, head_size=n)
    split = to_mx(x, dtype).reshape(3, heads, n)
    want = ops.from_mx(mx.fast.rms_norm(split, to_mx(w[0], dtype), 1e-6).reshape(3, -1))
    size = np.abs(widen(want, dtype))
    # the bound of test_rms_norm, relative: an ulp of the product with w may be 4 u of it
    within(got, want, (n + 8) * U32 * size + 3 * ulp(size, dtype), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", (True, False))
@given(data=st.data())
def test_layer_norm(dtype, bias, data):
    """z = (x - mean) inv.  The mean's error is (n + 2) u32 mean|x| on either side, that of the
    variance follows; z moves by inv times the first and by (n + 8) u32 |z|.  In T MLX rounds
    z, w z and w z + b, half an ulp each, ours the end alone."""
    rows, n = data.draw(st.integers(1, 5)), data.draw(st.integers(2, 500))
    x = tensor(
        data.draw, (rows, n), dtype, spread=5, offset=data.draw(st.sampled_from((0.0, 0.0, 3.0)))
    )
    w, b = tensor(data.draw, (1, n), dtype, offset=1.0), tensor(data.draw, (1, n), dtype)
    eps = data.draw(st.sampled_from((1e-5, 1e-3)))
    weight = ops.dense(w, dtype, **({"bias": b} if bias else {}))
    got = run("layernorm", [(x, dtype), (weight, dtype)], ((rows, n), dtype), epsilon=eps)
    bias_of_mx = to_mx(b[0], dtype) if bias else None
    want = ops.from_mx(mx.fast.layer_norm(to_mx(x, dtype), to_mx(w[0], dtype), bias_of_mx, eps))
    x64, w64, b64 = widen(x, dtype), np.abs(widen(w, dtype)), np.abs(widen(b, dtype)) * bias
    mean_error = 2 * (n + 2) * U32 * np.abs(x64).mean(-1, keepdims=True)
    centered = x64 - x64.mean(-1, keepdims=True)
    variance = (centered**2).mean(-1, keepdims=True)
    inv = 1 / np.sqrt(variance + eps)
    z = np.abs(centered) * inv
    # the variance is of values that all moved by the mean's error
    z_error = mean_error * inv + z * (2 * (n + 8) * U32 + mean_error * inv * inv * mean_error)
    bound = (
        w64 * (z_error + ulp(z + z_error, dtype))
        + ulp(w64 * z, dtype)
        + 1.01 * ulp(w64 * (z + z_error) + b64, dtype)
    )
    within(got, want, bound, dtype)


# --- elementwise ---

ACTIVATIONS = {
    "silu": (nn.silu, lambda x: x / (1 + np.exp(-x))),
    "gelu_tanh": (nn.gelu_approx, None),
    "gelu": (nn.gelu, None),
    "relu2": (nn.relu2, None),
    "sigmoid": (mx.sigmoid, None),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(data=st.data())
def test_activations(name, data):
    """f32.  MLX composes them of ops that round, each within a few ulp of its argument: for x in
    [-12, 12] the exponent's error is |x| u32, and 1 + tanh or 1 + erf cancel near -1, which leaves
    |x| u32 of the whole; 8 (1 + |x|) u32 (|y| + min(1, |x|)) covers all of them."""
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = random.uniform(-12, 12, (3, data.draw(st.integers(1, 200)))).astype(np.float32)
    got = run("activation", [(x, "f32")], (x.shape, "f32"), activation=name)
    want = ops.from_mx(ACTIVATIONS[name][0](mx.array(x)))
    size = np.abs(widen(want, "f32")) + np.minimum(1, np.abs(x))
    within(got, want, 8 * (1 + np.abs(x)) * U32 * size, "f32")


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_sums_and_products_bit_for_bit(dtype, data):
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 300)))
    a, b = tensor(data.draw, shape, dtype), tensor(data.draw, shape, dtype)
    for op, theirs in (("add", mx.add), ("mul", mx.multiply)):
        got = run(op, [(a, dtype), (b, dtype)], (shape, dtype))
        want = ops.from_mx(theirs(to_mx(a, dtype), to_mx(b, dtype)))
        assert np.array_equal(ops.bits(got), ops.bits(want))


@given(data=st.data())
def test_clamped_glu_of_gpt_oss(data):
    from mlx_lm.models.activations import swiglu_oai

    shape = (2, data.draw(st.integers(1, 200)))
    gate, up = tensor(data.draw, shape, "f32"), tensor(data.draw, shape, "f32")
    inputs = [(gate, "f32"), (up, "f32")]
    got = run("clamped_glu", inputs, (shape, "f32"), limit=7.0, alpha=1.702)
    want = ops.from_mx(swiglu_oai(mx.array(gate), mx.array(up)))
    # the exponent's error, at most 1.702 * 7 u32 above and |gate| below, then five roundings; where
    # the sigmoid is no normal number, MLX has 0
    size, lost = np.abs(widen(want, "f32")), 2 * ops.TINY["f32"] * np.abs(gate) * (1 + np.abs(up))
    within(got, want, (8 + 4 * np.abs(gate)) * U32 * size + lost + 1e-37, "f32")


# --- routers ---


@given(data=st.data())
def test_router_of_softmax(data):
    """Which experts, and their weights: softmax over all, top-k, divided by their sum."""
    experts, k = data.draw(st.integers(4, 64)), data.draw(st.integers(1, 4))
    logits = tensor(data.draw, (5, experts), "f32", spread=1)
    scores = run("softmax", [(logits, "f32")], (logits.shape, "f32"))
    places = run("topk", [(scores, "f32")], ((5, k), "i32"), top_k=k)
    picked = run("gather_scores", [(scores, "f32"), (places, "i32")], ((5, k), "f32"))
    weights = run("normalize", [(picked, "f32")], ((5, k), "f32"))
    exact = mx.softmax(mx.array(logits), axis=-1, precise=True)
    # |x| u32 of the exponent, n u32 of the sum
    largest = np.abs(logits).max() * 2
    relative = 2 * (largest + experts + 8) * U32
    within(scores, ops.from_mx(exact), relative * np.asarray(exact) + 1e-37, "f32")
    chosen = mx.argpartition(-mx.array(scores), kth=k - 1, axis=-1)[..., :k]
    theirs = np.take_along_axis(scores, np.array(chosen), axis=-1)
    assert all(len(set(row)) == k for row in places)
    assert np.array_equal(np.sort(picked), np.sort(theirs)), "of equal scores any may be chosen"
    assert (np.diff(picked, axis=-1) <= 0).all()
    gathered = mx.take_along_axis(mx.array(scores), mx.array(places), axis=-1)
    want = gathered / gathered.sum(axis=-1, keepdims=True)
    within(weights, ops.from_mx(want), 2 * (k + 2) * U32 * np.asarray(want) + 1e-37, "f32")


@given(data=st.data())
def test_router_of_deepseek(data):
    """sigmoid scores, a bias for the choice, the best groups, top-k, weights of the scores alone:
    mlx-lm's own function.  A closed group's scores are 0 there and -infinity with us, so the
    biased scores are kept positive."""
    from mlx_lm.models.deepseek_v3 import group_expert_select

    groups, each = data.draw(st.sampled_from(((2, 4), (4, 4), (4, 8), (8, 8))))
    experts, top_groups = groups * each, data.draw(st.integers(1, groups))
    k = data.draw(st.integers(1, min(8, top_groups * each)))
    gates = tensor(data.draw, (4, experts), "f32", spread=1)
    bias = np.abs(tensor(data.draw, (1, experts), "f32", spread=0)) + np.float32(0.01)
    scores = run("sigmoid_scores", [(gates, "f32")], (gates.shape, "f32"))
    biased = run(
        "add_row", [(scores, "f32"), (ops.dense(bias, "f32"), "f32")], (gates.shape, "f32")
    )
    limited = run(
        "group_limit", [(biased, "f32")], (gates.shape, "f32"), groups=groups, top_groups=top_groups
    )
    places = run("topk", [(limited, "f32")], ((4, k), "i32"), top_k=k)
    picked = run("gather_scores", [(scores, "f32"), (places, "i32")], ((4, k), "f32"))
    weights = run("normalize", [(picked, "f32")], ((4, k), "f32"), epsilon=1e-20)
    inds, theirs = group_expert_select(
        mx.array(gates), mx.array(bias[0]), k, groups, top_groups, 1.0, k > 1
    )
    inds, theirs = np.array(inds), np.array(theirs)
    for row in range(4):
        order, mine = np.argsort(inds[row]), np.argsort(places[row])
        assert np.array_equal(inds[row][order], places[row][mine]), "the experts"
        ours = weights if k > 1 else picked
        bound = (20 + 2 * np.abs(gates[row]).max()) * U32 * theirs[row][order] + 1e-37
        within(ours[row][mine], theirs[row][order], bound, "f32")


# --- rope ---

ROPES = {
    "default": ({}, {}),
    "partial": ({}, {}),
    "interleaved": ({}, {}),
    "linear": ({"rope_type": "linear", "factor": 4.0}, {}),
    "dynamic": ({"rope_type": "dynamic", "factor": 2.0}, {}),
    "llama3": (
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256,
        },
        {},
    ),
    "yarn": (
        {
            "rope_type": "yarn",
            "factor": 4.0,
            "beta_fast": 32,
            "beta_slow": 1,
            "original_max_position_embeddings": 512,
        },
        {},
    ),
    "yarn of deepseek": (
        {
            "type": "yarn",
            "factor": 40.0,
            "beta_fast": 32,
            "beta_slow": 1,
            "mscale": 1.0,
            "mscale_all_dim": 0.7,
            "original_max_position_embeddings": 512,
        },
        {},
    ),
    "proportional": ({"rope_type": "proportional", "partial_rotary_factor": 0.25}, {}),
    "longrope": (
        {
            "rope_type": "longrope",
            "original_max_position_embeddings": 64,
            "short_factor": None,
            "long_factor": None,
        },
        {},
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ROPES)
@given(data=st.data())
def test_rope(kind, dtype, data):
    """The angle position / period: a period's relative error is 2 (ln theta + 8) u32 on each side
    (MLX exponentiates i ln theta, a few more roundings follow), so the angle's is that times the
    angle, and of a turned pair (a, b) |a| + |b| times it.  In T MLX rounds cosine, sine, both
    products and their sum."""
    import json

    from mlx_lm.models.rope_utils import initialize_rope

    heads, size = data.draw(st.integers(1, 3)), data.draw(st.sampled_from((16, 64, 96, 128)))
    dims = size // 2 if kind == "partial" else size
    theta = data.draw(st.sampled_from((1e4, 5e5, 1e6)))
    start, count = data.draw(st.integers(0, 900)), data.draw(st.integers(1, 6))
    start = max(start, 70) if kind == "longrope" else start
    scaling = {**ROPES[kind][0], "rope_theta": theta}
    if kind == "longrope":
        scaling["short_factor"] = [1.0] * (dims // 2)
        scaling["long_factor"] = list(np.linspace(1, 8, dims // 2))
    config = {
        "rope_theta": theta,
        "rope_scaling": scaling if ROPES[kind][0] else None,
        "max_position_embeddings": 1024 if kind == "longrope" else 600,
        "partial_rotary_factor": dims / size,
        "rope_traditional": kind == "interleaved",
    }
    x = tensor(data.draw, (count, heads * size), dtype)
    got = run(
        "rope",
        [(x, dtype)],
        (x.shape, dtype),
        head_size=size,
        rope=json.dumps(config),
        rope_length=start + count,
        step=ops.positions([start], [count]),
    )
    rope = initialize_rope(
        dims,
        theta,
        kind == "interleaved",
        scaling if ROPES[kind][0] else None,
        config["max_position_embeddings"],
    )
    split = to_mx(x, dtype).reshape(1, count, heads, size).transpose(0, 2, 1, 3)
    want = ops.from_mx(rope(split, offset=start).transpose(0, 2, 1, 3).reshape(count, -1))
    within(got, want, rope_bound(x, dtype, kind, (heads, size, dims), (start, theta)), dtype)


def rope_bound(x, dtype, kind, shape, where):
    heads, size, dims = shape
    start, theta = where
    values = np.abs(widen(x, dtype)).reshape(len(x), heads, size)
    turned = values[..., :dims]
    if kind == "interleaved":
        other = turned.reshape(*turned.shape[:-1], -1, 2)[..., ::-1].reshape(turned.shape)
    else:
        other = np.roll(turned, dims // 2, axis=-1)
    pair = np.zeros_like(values)
    pair[..., :dims] = (turned + other) * (1.4 if "yarn" in kind or kind == "longrope" else 1)
    pairs = np.arange(dims) // 2 if kind == "interleaved" else np.arange(dims) % (dims // 2)
    shortest = theta ** (-2 * pairs / dims)
    angle = (start + np.arange(len(x)))[:, None, None] * np.concatenate(
        [shortest, np.zeros(size - dims)]
    )
    period = 4 * (np.log(theta) + 8) * U32
    steps = 4 if dtype == "f32" else 5
    return (pair * (angle * period + 2 * steps * UNIT[dtype])).reshape(x.shape) + ops.STEP[dtype]


# --- attention ---


def attention_case(draw, dtype, sinks=False):
    group, kv_heads = draw(st.sampled_from((1, 2, 4, 8))), draw(st.integers(1, 3))
    size = draw(st.sampled_from((16, 64, 80, 128)))
    length = draw(st.one_of(st.integers(1, 70), st.sampled_from((128, 513, 600))))
    count = draw(st.integers(1, min(length, 9)))
    case = {"heads": group * kv_heads, "kv_heads": kv_heads, "size": size}
    case["value_size"] = draw(st.sampled_from((size, size, 64)))
    case["first"], case["count"] = length - count, count
    case["window"] = draw(st.sampled_from((0, 1, 7, 64, 100)))
    case["scale"] = draw(st.sampled_from((size**-0.5, 0.1, 1.0)))
    case["q"] = tensor(draw, (count, case["heads"] * size), dtype, spread=0)
    case["k"] = tensor(draw, (length, kv_heads * size), dtype, spread=0)
    case["v"] = tensor(draw, (length, kv_heads * case["value_size"]), dtype, spread=1)
    return case


def visible(case):
    """[count, length]: the mask of mlx-lm."""
    rows = case["first"] + np.arange(case["count"])[:, None]
    columns = np.arange(case["first"] + case["count"])[None]
    mask = rows >= columns
    return mask & (rows < columns + case["window"]) if case["window"] else mask


def heads_of(x, dtype, heads):
    """[1, heads, tokens, size], as MLX has it."""
    return to_mx(x, dtype).reshape(1, len(x), heads, -1).transpose(0, 2, 1, 3)


def our_attention(case, dtype, sinks=None, limit=0.0):
    import ctypes

    keys, values = ops._operand(case["k"], dtype), ops._operand(case["v"], dtype)
    step = ops.Step(
        1,
        (ctypes.c_int32 * 1)(case["first"]),
        (ctypes.c_int32 * 1)(case["count"]),
        dtype.encode(),
        case["kv_heads"],
        case["size"],
        case["value_size"],
        ctypes.pointer(keys),
        ctypes.pointer(values),
    )
    inputs = [(case["q"], dtype), (np.zeros((1, 1), np.float32), "f32")]  # the cache is the step's
    if sinks is not None:
        inputs.append((ops.dense(sinks, dtype), dtype))
    return run(
        "attention" if sinks is None else "attention_sinks",
        inputs,
        ((case["count"], case["heads"] * case["value_size"]), dtype),
        step=step,
        head_size=case["size"],
        value_size=case["value_size"],
        scale=case["scale"],
        window=case["window"],
        limit=limit,
    )


def attention_bound(case, dtype):
    """A score is a sum of d terms: (d + 3) u32 of their absolute sum on each side; in T MLX also
    rounds scale q and the score.  A weight exp(s) moves by that much relatively, and so
    does the denominator; then n + 8 roundings of sums, in T those of weight and result."""
    group = case["heads"] // case["kv_heads"]
    q = np.abs(widen(case["q"], dtype)).reshape(case["count"], case["kv_heads"], group, -1)
    k = np.abs(widen(case["k"], dtype)).reshape(len(case["k"]), case["kv_heads"], -1)
    v = np.abs(widen(case["v"], dtype)).reshape(len(case["v"]), case["kv_heads"], -1)
    sums = np.einsum("ckgd,jkd->ckgj", q, k) * case["scale"]
    sums = np.where(visible(case)[:, None, None], sums, 0).max(-1)
    unit = UNIT[dtype] if dtype != "f32" else 0
    score = sums * (2 * (case["size"] + 3) * U32 + 3 * unit)
    largest = np.where(visible(case)[:, None, :, None], v.transpose(1, 0, 2)[None], 0).max(2)
    relative = np.expm1(2 * score) + 2 * (len(k) + 8) * U32 + 4 * unit
    bound = relative[..., None] * largest[:, :, None]
    return bound.reshape(case["count"], -1) + ops.STEP[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sinks", (False, True))
@given(data=st.data())
def test_attention(dtype, sinks, data):
    """Causal masks and windows, grouped heads, value heads of another size, sinks."""
    case = attention_case(data.draw, dtype)
    logits = tensor(data.draw, (1, case["heads"]), dtype, spread=1) if sinks else None
    got = our_attention(case, dtype, logits)
    q, k = heads_of(case["q"], dtype, case["heads"]), heads_of(case["k"], dtype, case["kv_heads"])
    v = heads_of(case["v"], dtype, case["kv_heads"])
    mask = "causal" if case["window"] == 0 else mx.array(visible(case))
    want = mx.fast.scaled_dot_product_attention(
        q, k, v, scale=case["scale"], mask=mask, sinks=to_mx(logits[0], dtype) if sinks else None
    )
    want = ops.from_mx(want.transpose(0, 2, 1, 3).reshape(case["count"], -1))
    within(got, want, attention_bound(case, dtype), dtype)


@given(data=st.data())
def test_attention_with_a_softcap(data):
    """Gemma 2's limit * tanh(score / limit), as mlx-lm composes it; tanh shrinks the scores' error
    and adds a few u32 of the limit."""
    case = attention_case(data.draw, "f32")
    limit = data.draw(st.sampled_from((5.0, 50.0)))
    got = our_attention(case, "f32", limit=limit)
    group = case["heads"] // case["kv_heads"]
    q = heads_of(case["q"], "f32", case["heads"]) * case["scale"]
    q = q.reshape(1, case["kv_heads"], group, case["count"], -1)
    k = heads_of(case["k"], "f32", case["kv_heads"])[:, :, None]
    v = heads_of(case["v"], "f32", case["kv_heads"])[:, :, None]
    scores = mx.tanh(q @ k.swapaxes(-1, -2) / limit) * limit
    scores = mx.where(mx.array(visible(case)), scores, mx.finfo(mx.float32).min)
    want = mx.softmax(scores, axis=-1, precise=True) @ v
    want = want.reshape(1, case["heads"], case["count"], -1).transpose(0, 2, 1, 3)
    largest = np.abs(case["v"]).max()
    bound = attention_bound(case, "f32") + np.expm1(16 * limit * U32) * largest
    within(got, ops.from_mx(want.reshape(case["count"], -1)), bound, "f32")


# --- matmuls with quantized weights ---

QUANTIZED = {
    **{f"{bits} bits": ("affine", bits, 64) for bits in (2, 3, 4, 5, 6, 8)},
    "mxfp4": ("mxfp4", 4, 32),
    "mxfp8": ("mxfp8", 8, 32),
    "nvfp4": ("nvfp4", 4, 16),
}


def with_precisions(*precisions):
    """mxfp8 has no integer form: it is f32 in every precision."""
    return [
        (form, how) for form in QUANTIZED for how in precisions if (form, how[0]) != ("mxfp8", "q")
    ]


def quantized(draw, shape, form):
    mode, width, group = QUANTIZED[form]
    w = tensor(draw, shape, "f32", spread=0) * np.float32(0.1)
    made = mx.quantize(mx.array(w), group_size=group, bits=width, mode=mode)
    flat = [part.reshape(-1, part.shape[-1]) for part in made]
    weight = ops.from_quantized(mode, "f32", shape, width, group, flat)
    return weight, made, {"group_size": group, "bits": width, "mode": mode}


def integers_bound(x, weight, precision, indices=None):
    """What rounding x to 16 or 8 bits per group may change: half a step times sum |w|.  An affine
    group's bias meets the exact sum of the integers, a zero point too."""
    if precision == "f32":
        return 0
    limit = {"q16": 32512, "q8": 127}[precision]
    groups = np.abs(widen(x, "f32")).reshape(len(x), -1, weight.group).max(-1)
    w = np.abs(weight.decode().astype(np.float64))
    w = w.reshape(-1, weight.columns // weight.group, weight.group).sum(-1)
    sums = groups @ w.T * (0.5001 / limit)
    return sums


@pytest.mark.parametrize(("form", "precision"), with_precisions("f32", "q16", "q8"))
@given(data=st.data())
def test_quantized_matmul(form, precision, data):
    """f32 activations and scales: both sides sum K products in f32, so they differ by at most
    2 (K + 3) u32 sum |x w|; MLX's own 16-bit sums on the CPU are no reference (they are in T)."""
    columns, rows = 64 * data.draw(st.integers(1, 6)), data.draw(st.integers(1, 40))
    weight, made, how = quantized(data.draw, (rows, columns), form)
    x = tensor(data.draw, (data.draw(st.integers(1, 14)), columns), "f32", spread=0)
    got = run("matmul", [(x, "f32"), (weight, "f32")], ((len(x), rows), "f32"), precision)
    want = ops.from_mx(mx.quantized_matmul(mx.array(x), *made, transpose=True, **how))
    sums = np.abs(widen(x, "f32")) @ np.abs(weight.decode().astype(np.float64)).T
    bound = 2 * (columns + 3) * U32 * sums * (4 if precision != "f32" else 1)
    within(got, want, bound + integers_bound(x, weight, precision) + 1e-37, "f32")


@pytest.mark.parametrize(("form", "precision"), with_precisions("f32", "q16"))
@given(data=st.data())
def test_gather_qmm(form, precision, data):
    """Every token with the matrices of its experts; the bound of test_quantized_matmul."""
    columns, rows = 64 * data.draw(st.integers(1, 3)), data.draw(st.integers(1, 24))
    experts, k = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    weight, made, how = quantized(data.draw, (experts, rows, columns), form)
    tokens = data.draw(st.integers(1, 9))
    x = tensor(data.draw, (tokens, columns), "f32", spread=0)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    chosen = random.integers(0, experts, (tokens, k), dtype=np.int32)
    inputs = [(x, "f32"), (chosen, "i32"), (weight, "f32")]
    got = run("expert_matmul", inputs, ((tokens, k * rows), "f32"), precision)
    want = mx.gather_qmm(
        mx.array(x)[:, None, None], *made, rhs_indices=mx.array(chosen), transpose=True, **how
    )
    want = ops.from_mx(want.reshape(tokens, k * rows))
    sums = np.abs(widen(x, "f32")) @ np.abs(weight.decode().astype(np.float64)).T
    bound = 2 * (columns + 3) * U32 * sums * (4 if precision != "f32" else 1)
    bound = (bound + integers_bound(x, weight, precision)).reshape(tokens, experts, rows)
    bound = np.take_along_axis(bound, chosen[..., None].astype(np.int64), axis=1)
    within(got, want, bound.reshape(tokens, -1) + 1e-37, "f32")
