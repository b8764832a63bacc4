"""Every block type of GGUF against the package gguf, whose decoders are ggml's: bit for bit.

Blocks are made of random bytes, of one byte repeated, and of bytes that hypothesis finds; the f16
scales are also set to zeros, subnormals, infinities and NaN.  A NaN is as good as another.
"""

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given
from hypothesis import strategies as st

import ops

# By name here: the type, bits and group, and the places of its f16 scales in a block.
TYPES = {
    "q4_0": (Type.Q4_0, 4, 32, (0,)),
    "q4_1": (Type.Q4_1, 4, 32, (0, 2)),
    "q5_0": (Type.Q5_0, 5, 32, (0,)),
    "q5_1": (Type.Q5_1, 5, 32, (0, 2)),
    "q8_0": (Type.Q8_0, 8, 32, (0,)),
    "q2_k": (Type.Q2_K, 2, 16, (80, 82)),
    "q3_k": (Type.Q3_K, 3, 16, (108,)),
    "q4_k": (Type.Q4_K, 4, 32, (0, 2)),
    "q5_k": (Type.Q5_K, 5, 32, (0, 2)),
    "q6_k": (Type.Q6_K, 6, 16, (208,)),
    "iq4_nl": (Type.IQ4_NL, 4, 32, (0,)),
    "iq4_xs": (Type.IQ4_XS, 4, 32, (0,)),
    "mxfp4_b": (Type.MXFP4, 4, 32, ()),
}
# Zeros of both signs, the smallest and largest subnormal, the largest number, infinities, NaN.
HALVES = (0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E01)


def blocks(draw, size, scales):
    """uint8 [blocks, size]"""
    count = draw(st.integers(1, 4))
    kind = draw(st.sampled_from(("random", "same", "drawn")))
    if kind == "random":
        random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        data = random.integers(0, 256, (count, size), dtype=np.uint8)
    elif kind == "same":
        data = np.full((count, size), draw(st.integers(0, 255)), np.uint8)
    else:
        raw = draw(st.binary(min_size=size, max_size=size))
        data = np.tile(np.frombuffer(raw, np.uint8), (count, 1))
    for block in data:
        for at in scales:
            special = draw(st.none() | st.sampled_from(HALVES))
            if special is not None:
                block[at : at + 2] = np.array([special], "<u2").view(np.uint8)
    return data


def same(got, want):
    wrong = np.argwhere((ops.bits(got) != ops.bits(want)) & ~(np.isnan(got) & np.isnan(want)))
    if len(wrong):
        at = tuple(wrong[0])
        raise AssertionError(
            f"{len(wrong)} of {got.size} differ, first at {at}: {got[at]!r}, gguf {want[at]!r}"
        )


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_blocks_decode_as_gguf(name, data):
    kind, bits, group, scales = TYPES[name]
    columns, size = gguf.GGML_QUANT_SIZES[kind]
    raw = blocks(data.draw, size, scales)
    shape = (1, len(raw) * columns)
    with np.errstate(all="ignore"):
        want = gguf.dequantize(raw.reshape(1, -1), kind).astype(np.float32)
    weight = ops.Weight(name, "f32", shape, bits, group, codes=raw)
    same(weight.decode(), want.reshape(shape))


@given(data=st.data())
def test_bf16_decodes_as_gguf(data):
    count = data.draw(st.integers(1, 64))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    raw = random.integers(0, 2**16, (1, count), dtype=np.uint16)
    raw[0, 0] = data.draw(st.sampled_from((0x0000, 0x8000, 0x0001, 0x7F80, 0xFF80, 0x7FC1, 0x7F7F)))
    want = gguf.dequantize(raw.view(np.uint8), Type.BF16).astype(np.float32)
    same(ops.dense(raw, "bf16").decode(), want.reshape(raw.shape))
