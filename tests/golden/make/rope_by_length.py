#!/usr/bin/env python3
"""rope_by_length.py - tiny llamas whose rope depends on the length of the sequence, and the logits they must give.

    rope_by_length.py [--out tests/golden]      writes llama-dynamic and llama-longrope
    rope_by_length.py --rows                    prints the rows of rope_config_test.c instead

"tokens" and "logits" are a prompt longer than the length before extension, "tokens_short" and "logits_short" its
beginning, alone: with another rope its logits differ from the long one's first rows. The reference is the official
eager code in float64 on the float32 weights (frequencies, cos and sin stay f32 there). Needs transformers, torch,
safetensors."""
import argparse
import json
import os
import struct

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

LONG, SHORT, BEFORE = 130, 70, 80
LONG_FACTORS = [1.1, 1.4, 1.9, 2.6, 3.3, 4.4, 5.5, 7.0]
SHORT_FACTORS = [1.0, 1.1, 1.2, 1.4, 1.7, 2.0, 2.3, 2.6]
MODELS = {
    "llama-dynamic": {"max_position_embeddings": BEFORE,
                      "rope_scaling": {"type": "dynamic", "factor": 4.0}},
    "llama-longrope": {"max_position_embeddings": 4 * BEFORE, "original_max_position_embeddings": BEFORE,
                       "rope_scaling": {"type": "longrope", "long_factor": LONG_FACTORS,
                                        "short_factor": SHORT_FACTORS}},
}
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 96, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
         "tie_word_embeddings": False}


def run(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def make(name, out):
    settings = SIZES | MODELS[name]
    model = LlamaForCausalLM(LlamaConfig(**json.loads(json.dumps(settings)), attn_implementation="eager"))
    generator = torch.Generator().manual_seed(7)
    for key, weight in model.state_dict().items():
        noise = torch.randn(weight.shape, generator=generator)
        weight.copy_(1 + 0.2 * noise if weight.dim() == 1 else noise * (1.5 / weight.shape[-1]) ** 0.5)
    ids = torch.randint(0, SIZES["vocab_size"], (LONG,), generator=generator).tolist()
    weights = {key: weight.clone() for key, weight in model.state_dict().items()}
    float32 = run(model, ids)
    model = model.double()
    long, short = run(model, ids), run(model, ids[:SHORT])
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    config = settings | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu"}
    meta = {"name": name, "family": "llama", "source": "transformers 5.23.0, tests/golden/make/rope_by_length.py",
            "dtype": "float32", "atol": 1e-4, "rtol": 1e-4, "kl_max": 1e-6,
            "reference": "float64 run of the official eager code on the float32 weights, rounded to float32",
            "max_abs_f32_vs_f64": float((float32.double() - long).abs().max()),
            "logits_std": round(float(long.std()), 4),
            "short_differs_by": round(float((long[:SHORT] - short).abs().max()), 4)}
    save_file(weights, os.path.join(folder, "model.safetensors"))
    save_file({"tokens": torch.tensor(ids, dtype=torch.int32), "logits": long.float(),
               "tokens_short": torch.tensor(ids[:SHORT], dtype=torch.int32), "logits_short": short.float()},
              os.path.join(folder, "golden.safetensors"))
    for file, value in (("config.json", config), ("meta.json", meta)):
        with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
            f.write(json.dumps(value, indent=1) + "\n")


def hexadecimal(value):
    return "0x%08x" % struct.unpack("<I", struct.pack("<f", float(value)))


def rows():
    for head, config, lengths in (
            (16, {"max_position_embeddings": 256, "rope_scaling": {"type": "dynamic", "factor": 2.5}},
             (200, 256, 257, 1000, 4096)),
            (16, {"max_position_embeddings": 128, "original_max_position_embeddings": 32,
                  "rope_scaling": {"type": "longrope", "long_factor": LONG_FACTORS, "short_factor": SHORT_FACTORS}},
             (32, 33)),
            (8, {"max_position_embeddings": 64, "rope_scaling": {"type": "longrope", "factor": 8.0,
                 "original_max_position_embeddings": 16, "attention_factor": 1.25,
                 "long_factor": LONG_FACTORS[:4], "short_factor": SHORT_FACTORS[:4]}}, (16, 17))):
        copy = json.loads(json.dumps(config))
        full = LlamaConfig(hidden_size=head, num_attention_heads=1, head_dim=head, rope_theta=10000.0, **copy)
        for length in lengths:
            rope = LlamaRotaryEmbedding(full)
            rope(torch.zeros(1, 1, head), torch.arange(length)[None])
            print(json.dumps(config), length, hexadecimal(rope.attention_scaling),
                  "{" + ", ".join(hexadecimal(f) for f in rope.inv_freq) + "}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="tests/golden")
    parser.add_argument("--rows", action="store_true")
    arguments = parser.parse_args()
    if arguments.rows:
        rows()
    else:
        for golden in MODELS:
            make(golden, arguments.out)
