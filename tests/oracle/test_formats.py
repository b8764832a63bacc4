"""Weight formats against mx.quantize and mx.dequantize of MLX's CPU build, bit for bit.

Decoding: affine with mlx_cpu_decode is RN_T(RN_T(q s) + b), as there; the canonical decoding
RN_T(f32(q s) + b) is computed here in float64, where f32's products and sums are exact enough to be
rounded once more (both have at most 24 + 8 bits, double has 53).  The modes mxfp4, mxfp8 and nvfp4
round once on both sides.

Encoding: codes, scales and biases of mx.quantize.  In the fp modes a value half way between two
codes may go to either (CPU and GPU builds of MLX differ), and MLX computes in the input's dtype,
so there the input is f32.
"""

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ops

BITS = (2, 3, 4, 5, 6, 8)
GROUPS = (32, 64, 128)
DTYPES = ("f32", "f16", "bf16")
FP_MODES = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}
LARGEST = {"f32": 2.0**100, "f16": 60000.0, "bf16": 2.0**100}


def groups_of_values(draw, group, largest):
    """float32 [rows, columns]: groups of kinds that occur in weights or break codes."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, count = draw(st.integers(1, 3)), draw(st.integers(1, 4)) * (2 if group < 32 else 1)
    w = random.standard_normal((rows * count, group)).astype(np.float32)
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=rows * count, max_size=rows * count))
    for row, kind in zip(w, kinds):
        kind(row, random)
    w *= np.float32(2.0) ** draw(st.integers(-12, 8))
    for place, value in draw(
        st.lists(
            st.tuples(st.integers(0, w.size - 1), st.floats(-largest, largest, width=32)),
            max_size=2,
        )
    ):
        w.flat[place] = 0 if abs(value) < 1e-30 else value
    return np.clip(w, -largest, largest).reshape(rows, count * group)


def zeros(row, _):
    row[:] = 0


def constant(row, random):
    row[:] = row[0]


def negative(row, _):
    row[:] = -np.abs(row)


def positive(row, _):
    row[:] = np.abs(row)


def ties(row, random):
    """Multiples of a quarter: half way between codes again and again."""
    row[:] = random.integers(-24, 25, len(row)) / 4


def one_outlier(row, random):
    row[random.integers(len(row))] *= 1000


def symmetric(row, _):
    row[0], row[1] = 7.5, -7.5


def signed_zeros(row, random):
    row[random.integers(0, 2, len(row)) == 1] = -0.0


def plain(row, _):
    pass


KINDS = (plain, zeros, constant, negative, positive, ties, one_outlier, symmetric, signed_zeros)


def same(got, want, what):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    wrong = np.argwhere(got != want)
    if len(wrong):
        first = tuple(int(index) for index in wrong[0])
        raise AssertionError(
            f"{what}: {len(wrong)} of {got.size} differ, first at {first}: "
            f"{got[first]:#x}, MLX {want[first]:#x}"
        )


def same_values(got, want):
    """Decoded values: the same bits, a NaN being as good as another."""
    want = ops.from_mx(want.astype(mx.float32))
    both = np.isnan(got) & np.isnan(want)
    same(np.where(both, 0, ops.bits(got)), np.where(both, 0, ops.bits(want)), "values")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", BITS)
@given(data=st.data())
def test_affine_encodes_as_mlx(width, dtype, data):
    group = data.draw(st.sampled_from(GROUPS))
    w = ops.narrow(groups_of_values(data.draw, group, LARGEST[dtype]), dtype)
    codes, scales, biases = mx.quantize(ops.to_mx(w, dtype), group_size=group, bits=width)
    ours = ops.encode("affine", dtype, width, group, ops.widen(w, dtype).astype(np.float32))
    same(ops.bits(ours.parts["scales"]), ops.bits(ops.from_mx(scales)), "scales")
    same(ops.bits(ours.parts["biases"]), ops.bits(ops.from_mx(biases)), "biases")
    same(ours.parts["codes"], ops.from_mx(codes), "codes")


def random_affine(draw, width, dtype):
    """Any bytes are codes; scales and biases of any sign, and now and then huge, tiny or 0."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    group = draw(st.sampled_from(GROUPS))
    rows, columns = draw(st.integers(1, 4)), group * draw(st.integers(1, 4))
    codes = random.integers(0, 2**32, (rows, columns * width // 32), dtype=np.uint32)
    spread = draw(st.sampled_from((0, 2, 8)))
    scale = 2.0 ** draw(st.integers(-12, 2))
    parts = []
    for _ in range(2):
        values = random.standard_normal((rows, columns // group)) * scale
        values *= 2.0 ** random.uniform(-spread, spread, values.shape)
        values[random.random(values.shape) < 0.05] = 0
        parts.append(ops.narrow(values, dtype))
    return group, (rows, columns), codes, *parts


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", BITS)
@given(data=st.data())
def test_affine_decodes_as_mlx_on_the_cpu(width, dtype, data):
    group, shape, codes, scales, biases = random_affine(data.draw, width, dtype)
    weight = ops.Weight(
        "affine",
        dtype,
        shape,
        width,
        group,
        codes=codes,
        scales=scales,
        biases=biases,
        mlx_cpu_decode=True,
    )
    want = mx.dequantize(
        mx.array(codes), ops.to_mx(scales, dtype), ops.to_mx(biases, dtype), group, width
    )
    assert want.dtype == ops.MX[dtype]
    same_values(weight.decode(), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", BITS)
@given(data=st.data())
def test_affine_decodes_by_the_canonical_formula(width, dtype, data):
    group, shape, codes, scales, biases = random_affine(data.draw, width, dtype)
    weight = ops.Weight(
        "affine", dtype, shape, width, group, codes=codes, scales=scales, biases=biases
    )
    place = np.arange(shape[1]) * width
    string = codes.view(np.uint8).astype(np.uint32)
    string = np.pad(string, ((0, 0), (0, 1)))
    q = (string[:, place // 8] | string[:, place // 8 + 1] << 8) >> (place % 8) & (2**width - 1)
    s, b = (np.repeat(ops.widen(part, dtype), group, axis=1) for part in (scales, biases))
    product = (q * s).astype(np.float32).astype(np.float64)
    want = ops.narrow((product + b).astype(np.float32), dtype)
    same_values(weight.decode(), ops.to_mx(want, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", FP_MODES)
@given(data=st.data())
def test_fp_modes_decode_as_mlx(mode, dtype, data):
    width, group = FP_MODES[mode]
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rows, columns = data.draw(st.integers(1, 4)), 64 * data.draw(st.integers(1, 3))
    codes = random.integers(0, 2**32, (rows, columns * width // 32), dtype=np.uint32)
    # E8M0 scales in whose range a product neither leaves T nor is subnormal there
    low, high = {"f32": (12, 245), "bf16": (12, 245), "f16": (122, 133)}[dtype]
    scales = random.integers(low, high, (rows, columns // group), dtype=np.uint8)
    if mode == "nvfp4":
        scales = random.integers(0, 256, scales.shape, dtype=np.uint8)  # of either sign, and NaN
    weight = ops.Weight(mode, dtype, (rows, columns), width, group, codes=codes, scales=scales)
    want = mx.dequantize(
        mx.array(codes), mx.array(scales), None, group, width, mode, dtype=ops.MX[dtype]
    )
    same_values(weight.decode(), want)


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
E4M3 = np.array(
    [2.0 ** (max(c >> 3, 1) - 10) * ((c & 7) + (8 if c >> 3 else 0)) for c in range(127)]
)


def one_by_one(codes, mode):
    """The codes of each row, an entry each."""
    each = codes.view(np.uint8)
    if mode == "mxfp8":
        return each
    return np.stack([each & 15, each >> 4], axis=-1).reshape(len(codes), -1)


def scale_values(scales, mode):
    """float32"""
    if mode == "nvfp4":
        return E4M3[scales & 127].astype(np.float32)
    return np.ldexp(np.float32(1), scales.astype(np.int32) - 127).astype(np.float32)


@pytest.mark.parametrize("mode", FP_MODES)
@given(data=st.data())
def test_fp_modes_encode_as_mlx(mode, data):
    width, group = FP_MODES[mode]
    # beyond 448 * 6 an nvfp4 scale saturates, and MLX finds the nearest code in f32, where values
    # far off are equally far from every code
    w = groups_of_values(data.draw, group, 2.0**17 if mode == "nvfp4" else LARGEST["f32"])
    codes, scales = mx.quantize(mx.array(w), group_size=group, bits=width, mode=mode)[:2]
    ours = ops.encode(mode, "f32", width, group, w)
    same(ours.parts["scales"], ops.from_mx(scales), "scales")
    got, want = one_by_one(ours.parts["codes"], mode), one_by_one(ops.from_mx(codes), mode)
    table, mask = (E4M3, 127) if mode == "mxfp8" else (E2M1, 7)
    low, high = np.minimum(got & mask, want & mask), np.maximum(got & mask, want & mask)
    with np.errstate(all="ignore"):
        scaled = np.abs(w) / np.repeat(scale_values(ours.parts["scales"], mode), group, axis=1)
    halfway = (high - low == 1) & (scaled == (table[low] + table[high]) / 2)
    excused = halfway | (high == 0)  # a zero of either sign
    same(got[~excused], want[~excused], "codes")
