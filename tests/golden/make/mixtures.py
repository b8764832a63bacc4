#!/usr/bin/env python3
"""mixtures.py - tiny mixtures of experts and the logits they must give.

    mixtures.py [--out tests/golden] [NAME...]

Further configurations of the families: the weights of the chosen normalized or not, dense layers in between, windows, a
shared expert, heads of another width than hidden / heads, tied heads. "official" checkpoints have the names that
save_pretrained writes, "state" ones those of the modules (gate and up of all experts in one tensor). The reference is
the official eager code in float64 on the float32 weights, rounded to float32. No router is near a tie. Needs
transformers, torch, safetensors."""
import argparse
import json
import os

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

TOKENS = 40
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
         "num_key_value_heads": 1, "vocab_size": 96, "rms_norm_eps": 3e-3, "max_position_embeddings": 128,
         "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
QWEN = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "decoder_sparse_step": 1,
        "mlp_only_layers": [], "norm_topk_prob": False}
GRANITE = {"num_local_experts": 5, "num_experts_per_tok": 2, "embedding_multiplier": 3.0, "attention_multiplier": 0.2,
           "residual_multiplier": 0.7, "logits_scaling": 2.5}
MODELS = {
    "granitemoe": ("granitemoe", "official", GRANITE),
    "granitemoe-tied": ("granitemoe", "official", GRANITE | {
        "num_local_experts": 8, "num_experts_per_tok": 3, "tie_word_embeddings": True, "embedding_multiplier": 1.0}),
    "qwen2_moe": ("qwen2_moe", "official", QWEN | {
        "shared_expert_intermediate_size": 40, "mlp_only_layers": [1]}),
    "qwen2_moe-norm": ("qwen2_moe", "state", QWEN | {
        "shared_expert_intermediate_size": 16, "decoder_sparse_step": 2, "norm_topk_prob": True, "qkv_bias": False,
        "use_sliding_window": True, "sliding_window": 9, "max_window_layers": 2}),
    "qwen3_moe-plain": ("qwen3_moe", "state", QWEN | {"head_dim": 24, "decoder_sparse_step": 2}),
    "mixtral-window": ("mixtral", "state", {
        "num_local_experts": 5, "num_experts_per_tok": 3, "sliding_window": 11, "head_dim": 24}),
    "olmoe-norm": ("olmoe", "state", {
        "num_experts": 6, "num_experts_per_tok": 3, "norm_topk_prob": True, "num_key_value_heads": 2}),
}


def run(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def router_gap(model, ids, top_k):
    """The smallest distance of a k-th score from the next, relative to the largest of its row."""
    gaps = []

    def look(module, inputs, outputs):
        scores = torch.softmax(outputs[0].double(), -1).sort(-1, descending=True).values
        gaps.append(((scores[:, top_k - 1] - scores[:, top_k]) / scores[:, top_k - 1]).min().item())

    hooks = [m.register_forward_hook(look) for m in model.modules() if type(m).__name__.endswith("TopKRouter")]
    run(model, ids)
    for hook in hooks:
        hook.remove()
    return min(gaps)


def fill(model, generator):
    for weight in dict.fromkeys(model.parameters()):
        noise = torch.randn(weight.shape, generator=generator)
        with torch.no_grad():
            weight.copy_(1 + 0.2 * noise if weight.dim() == 1 else noise * (1.5 / weight.shape[-1]) ** 0.5)


def make(name, out):
    family, form, settings = MODELS[name]
    config = AutoConfig.for_model(family, **json.loads(json.dumps(SIZES | settings)))
    config.architectures = None
    config.rope_parameters = {"rope_type": "default", "rope_theta": 5000.0}
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
        model.set_experts_implementation("eager")
        model.eval()
        fill(model, generator)
        ids = torch.randint(0, SIZES["vocab_size"], (TOKENS,), generator=generator).tolist()
        gap = router_gap(model, ids, config.num_experts_per_tok)
        if gap > 2e-3:
            break
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    model.save_pretrained(folder)
    if form == "state":
        weights = {key: value.clone() for key, value in model.state_dict().items()}
        if config.tie_word_embeddings:
            del weights["lm_head.weight"]
        save_file(weights, os.path.join(folder, "model.safetensors"))
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))
    float32 = run(model, ids)
    logits = run(model.double(), ids)
    off = float((float32.double() - logits).abs().max())
    meta = {"name": name, "family": family, "source": "transformers 5.23.0, tests/golden/make/mixtures.py",
            "dtype": "float32", "atol": max(1e-4, 10 * off), "rtol": 1e-4, "kl_max": 1e-6,
            "reference": "float64 run of the official eager code on the float32 weights, rounded to float32",
            "max_abs_f32_vs_f64": off, "logits_std": round(float(logits.std()), 4), "seed": seed,
            "router_min_gap": round(gap, 5)}
    save_file({"tokens": torch.tensor(ids, dtype=torch.int32), "logits": logits.float()},
              os.path.join(folder, "golden.safetensors"))
    with open(os.path.join(folder, "meta.json"), "w", encoding="utf-8") as f:
        f.write(json.dumps(meta, indent=1) + "\n")
    print(name, meta, sorted(load_file(os.path.join(folder, "model.safetensors")))[:12])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="tests/golden")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    for golden in arguments.names or MODELS:
        make(golden, arguments.out)
