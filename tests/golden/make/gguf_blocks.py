#!/usr/bin/env python3
"""gguf_blocks.py - one row of every block type of GGUF as bytes, and the values that the package gguf decodes.

    gguf_blocks.py [--out tests/golden/blocks.txt]

Two lines a type: "NAME COLUMNS hex of the bytes", then the bits of its f32 values in hex. Random bytes, whose f16
scales are random too (but finite), so that every bit of a block matters.
Needs numpy and gguf; by hand, never in CI."""
import argparse

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

NAMES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="tests/golden/blocks.txt")
    out = open(parser.parse_args().out, "w", encoding="utf-8")
    random = np.random.default_rng(20)
    for name in NAMES:
        block, size = gguf.GGML_QUANT_SIZES[Type[name]]
        count = 1 if block == 256 else 3
        while True:
            data = random.integers(0, 256, (1, count * size), dtype=np.uint8)
            with np.errstate(all="ignore"):
                values = gguf.dequantize(data, Type[name]).astype(np.float32)
            if np.isfinite(values).all():
                break
        print(name, count * block, data.tobytes().hex(), file=out)
        print(values.view(np.uint32).byteswap().tobytes().hex(), file=out)
    out.close()


if __name__ == "__main__":
    main()
