#!/usr/bin/env python3
"""random_gguf.py - a GGUF file of a known model's shape with random 4-bit weights, to measure speed.

    random_gguf.py SHAPE OUT.gguf [--layers N]

Needs numpy and the 'gguf' package.  Speed does not depend on the weights' values, so the layers of
a model that is too large can be cut: what is measured is a layer's rate.  The vocabulary is made
up; the file is good for benchmarks alone.
"""
import argparse

import gguf
import numpy as np

# hidden, inner, layers, heads, kv heads, head size, vocabulary, experts, experts a token, type
SHAPES = {
    "smollm2-135m": (576, 1536, 30, 9, 3, 64, 49152, 0, 0, "Q4_1"),
    "mixtral-8x7b": (4096, 14336, 32, 32, 8, 128, 32000, 8, 2, "Q4_0"),
    "qwen3-30b-a3b": (2048, 768, 48, 32, 4, 128, 151936, 128, 8, "Q4_0"),
}
ARCHITECTURES = {"smollm2-135m": "llama", "mixtral-8x7b": "llama", "qwen3-30b-a3b": "qwen3moe"}
GROUP = 32
SCALES = {"Q4_0": 1, "Q4_1": 2}  # f16 values at the head of a block
BLOCKS = 1 << 20  # random ones, repeated


class Writer:
    def __init__(self, path, architecture, kind, seed=1):
        self.rng = np.random.default_rng(seed)
        self.file = gguf.GGUFWriter(path, architecture)
        self.type = gguf.GGMLQuantizationType[kind]
        heads = SCALES[kind]
        blocks = self.rng.integers(0, 256, (BLOCKS, 2 * heads + GROUP // 2), dtype=np.uint8)
        scales = (self.rng.random((BLOCKS, heads)) * 0.003 + 0.001).astype(np.float16)
        scales[:, 1:] *= -7.5
        blocks[:, : 2 * heads] = scales.view(np.uint8)
        self.blocks = blocks

    def matrix(self, name, *shape):
        count = int(np.prod(shape)) // GROUP
        rows = np.resize(self.blocks, (count, self.blocks.shape[1]))
        row_bytes = shape[-1] // GROUP * self.blocks.shape[1]
        self.file.add_tensor(name + ".weight", rows.reshape(*shape[:-1], row_bytes), raw_dtype=self.type)

    def floats(self, name, *shape):
        self.file.add_tensor(name + ".weight", (self.rng.random(shape) * 0.02 + 1).astype(np.float32))

    def close(self):
        self.file.write_header_to_file()
        self.file.write_kv_data_to_file()
        self.file.write_tensors_to_file()
        self.file.close()


def write_metadata(file, shape, layers):
    hidden, inner, _, heads, kv_heads, size, vocabulary, experts, chosen, _ = shape
    file.add_block_count(layers)
    file.add_context_length(8192)
    file.add_embedding_length(hidden)
    file.add_feed_forward_length(inner)
    file.add_head_count(heads)
    file.add_head_count_kv(kv_heads)
    file.add_key_length(size)
    file.add_value_length(size)
    file.add_rope_dimension_count(size)
    file.add_rope_freq_base(1e6)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_vocab_size(vocabulary)
    if experts:
        file.add_expert_count(experts)
        file.add_expert_used_count(chosen)
        file.add_expert_feed_forward_length(inner)
    bytes_ = ["<0x%02X>" % i for i in range(256)]
    file.add_tokenizer_model("llama")
    file.add_token_list(["<unk>", "<s>", "</s>"] + bytes_ + ["t%d" % i for i in range(vocabulary - 259)])
    file.add_token_scores([-float(i) for i in range(vocabulary)])
    file.add_token_types([2, 3, 3] + [6] * 256 + [1] * (vocabulary - 259))
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)


def write_layer(w, architecture, block, shape):
    hidden, inner, _, heads, kv_heads, size, _, experts, _, _ = shape
    w.floats(block + "attn_norm", hidden)
    w.floats(block + "ffn_norm", hidden)
    w.matrix(block + "attn_q", heads * size, hidden)
    w.matrix(block + "attn_k", kv_heads * size, hidden)
    w.matrix(block + "attn_v", kv_heads * size, hidden)
    w.matrix(block + "attn_output", hidden, heads * size)
    if architecture == "qwen3moe":
        w.floats(block + "attn_q_norm", size)
        w.floats(block + "attn_k_norm", size)
    if not experts:
        w.matrix(block + "ffn_gate", inner, hidden)
        w.matrix(block + "ffn_up", inner, hidden)
        w.matrix(block + "ffn_down", hidden, inner)
        return
    w.file.add_tensor(block + "ffn_gate_inp.weight",
                      (w.rng.standard_normal((experts, hidden)) * 0.02).astype(np.float32))
    w.matrix(block + "ffn_gate_exps", experts, inner, hidden)
    w.matrix(block + "ffn_up_exps", experts, inner, hidden)
    w.matrix(block + "ffn_down_exps", experts, hidden, inner)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=sorted(SHAPES))
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, help="default: all of the model's")
    args = parser.parse_args()
    shape, architecture = SHAPES[args.shape], ARCHITECTURES[args.shape]
    layers = args.layers or shape[2]
    w = Writer(args.out, architecture, shape[9])
    write_metadata(w.file, shape, layers)
    w.matrix("token_embd", shape[6], shape[0])
    w.matrix("output", shape[6], shape[0])
    w.floats("output_norm", shape[0])
    for layer in range(layers):
        write_layer(w, architecture, "blk.%d." % layer, shape)
    w.close()


if __name__ == "__main__":
    main()
