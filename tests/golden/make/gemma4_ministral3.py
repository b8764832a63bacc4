#!/usr/bin/env python3
"""gemma4_ministral3.py - tiny Gemma 4 and Ministral 3 checkpoints and the logits they must give.

    gemma4_ministral3.py [--out tests/golden] [NAME...]

"saved" configs are what save_pretrained writes, "published" ones have the keys of released checkpoints; "whole" ones
are those of a checkpoint that can do more than text: text_config, prefixed names, a tensor of another part. The
reference is the official eager code in float64 on the float32 weights, its upcasts to float32 included (frequencies,
cos, sin and the scale of queries stay f32 there), rounded to float32. No router is near a tie. Needs transformers,
torch, safetensors."""
import argparse
import json
import os

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

TOKENS = 56
SIZES = {"hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 3, "num_attention_heads": 2,
         "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 64, "rms_norm_eps": 3e-3,
         "max_position_embeddings": 128, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
         "pad_token_id": 0}
GEMMA = {"global_head_dim": 16, "sliding_window": 9, "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 64}
ROPES = {"full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.3, "rope_theta": 300.0},
         "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}
YARN = {"rope_type": "yarn", "rope_theta": 5000.0, "factor": 4.0, "original_max_position_embeddings": 16,
        "beta_fast": 8.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.3}
MODELS = {
    # inputs of every layer, shared caches, wide mlps: the small models
    "gemma4": ("gemma4_text", "saved whole", GEMMA | {
        "num_hidden_layers": 5, "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention"] + ["sliding_attention", "full_attention"] * 2,
        "use_double_wide_mlp": True, "hidden_size_per_layer_input": 4,
        "final_logit_softcapping": 3.0, "tie_word_embeddings": True, "rope_parameters": ROPES}),
    # keys that are values, heads of full layers by their own number, a last layer that is made a full one
    "gemma4-keys": ("gemma4_text", "published whole", GEMMA | {
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "attention_k_eq_v": True,
        "num_global_key_value_heads": 1, "global_head_dim": 24, "intermediate_size": 16, "rope_parameters": None,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "sliding_attention"]}),
    # a mixture of experts beside the mlp, and biases
    "gemma4-moe": ("gemma4_text", "published", GEMMA | {
        "enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 12,
        "layer_types": ["full_attention", "sliding_attention", "full_attention"], "rope_parameters": ROPES,
        "attention_bias": True, "tie_word_embeddings": True}),
    "ministral3": ("ministral3", "saved", {"rope_parameters": YARN}),
    "ministral3-window": ("ministral3", "published whole", {
        "num_key_value_heads": 2, "head_dim": 16, "sliding_window": 11, "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 900.0, "original_max_position_embeddings": 7,
                            "llama_4_scaling_beta": 0.7}}),
}
WHOLE = {"gemma4_text": ("Gemma4ForConditionalGeneration", "gemma4"),
         "ministral3": ("Mistral3ForConditionalGeneration", "mistral3")}


class Wide:
    """Upcasts to float32 go to float64, except where rope is computed."""

    def __init__(self, model):
        self.rotary = [m for m in model.modules() if type(m).__name__.endswith("RotaryEmbedding")]

    def __enter__(self):
        self.float, self.softmax = torch.Tensor.float, torch.nn.functional.softmax

        def softmax(x, dim=None, dtype=None, **rest):
            return self.softmax(x, dim=dim, dtype=torch.float64 if dtype == torch.float32 else dtype, **rest)

        def narrow(forward):
            def run(*args, **rest):
                torch.Tensor.float = self.float
                try:
                    return forward(*args, **rest)
                finally:
                    torch.Tensor.float = torch.Tensor.double
            return run

        torch.Tensor.float, torch.nn.functional.softmax = torch.Tensor.double, softmax
        for module in self.rotary:
            module.forward = narrow(module.forward)

    def __exit__(self, *_):
        torch.Tensor.float, torch.nn.functional.softmax = self.float, self.softmax


def run(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def router_gap(model, ids, top_k):
    """The smallest distance of a k-th score from the next, relative to it; 1 where there is no router."""
    gaps = [1.0]

    def look(module, inputs, outputs):
        scores = outputs[0].double().sort(-1, descending=True).values
        gaps.append(((scores[:, top_k - 1] - scores[:, top_k]) / scores[:, top_k - 1]).min().item())

    hooks = [m.register_forward_hook(look) for m in model.modules() if type(m).__name__.endswith("TextRouter")]
    run(model, ids)
    for hook in hooks:
        hook.remove()
    return min(gaps)


def fill(model, generator):
    scalars = [value for name, value in model.named_buffers() if name.endswith("layer_scalar")]
    for weight in list(dict.fromkeys(model.parameters())) + scalars:
        noise = torch.randn(weight.shape, generator=generator)
        with torch.no_grad():
            weight.copy_(1 + 0.2 * noise if weight.dim() == 1 else noise * (1.5 / weight.shape[-1]) ** 0.5)


def write(folder, model, family, forms, settings):
    weights = {key: value.clone().contiguous() for key, value in model.state_dict().items()}
    if settings["tie_word_embeddings"]:
        del weights["lm_head.weight"]
    if settings.get("num_kv_shared_layers"):  # published files have keys of layers that do not use them
        weights["model.layers.%d.self_attn.k_proj.weight" % (settings["num_hidden_layers"] - 1)] = torch.ones(16, 24)
    config = dict(settings, architectures=model.config.architectures, model_type=family)
    path = os.path.join(folder, "config.json")
    if "saved" in forms:
        model.config.save_pretrained(folder)
        with open(path, encoding="utf-8") as f:
            config = json.load(f)
    if "whole" in forms:
        weights = {key.replace("model.", "model.language_model.", 1): value for key, value in weights.items()}
        weights["model.vision_tower.patch.weight"] = torch.ones(3)
        architecture, kind = WHOLE[family]
        config = {"architectures": [architecture], "model_type": kind, "vision_config": {"hidden_size": 3},
                  "tie_word_embeddings": settings["tie_word_embeddings"],
                  "text_config": {key: value for key, value in config.items() if key != "architectures"}}
    with open(path, "w", encoding="utf-8") as f:
        f.write(json.dumps(config, indent=1) + "\n")
    save_file(weights, os.path.join(folder, "model.safetensors"))


def make(name, out):
    family, forms, changes = MODELS[name]
    settings = SIZES | changes
    config = AutoConfig.for_model(family, **json.loads(json.dumps(settings)))
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
        model.set_experts_implementation("eager")
        model.eval()
        model.config.architectures = [type(model).__name__]
        fill(model, generator)
        ids = torch.randint(0, settings["vocab_size"], (TOKENS,), generator=generator).tolist()
        gap = router_gap(model, ids, settings.get("top_k_experts") or 1)
        float32 = run(model, ids)
        write(folder, model, family, forms, settings)
        model = model.double()
        with Wide(model):
            logits = run(model, ids)
        off = float((float32.double() - logits).abs().max())
        if gap > 2e-3 and off < 1e-5:  # no near tie, and float32 is good enough to judge by
            break
    meta = {"name": name, "family": family, "source": "transformers 5.23.0, tests/golden/make/gemma4_ministral3.py",
            "dtype": "float32", "atol": max(1e-4, 10 * off), "rtol": 1e-4, "kl_max": 1e-6,
            "reference": "float64 run of the official eager code on the float32 weights, rounded to float32",
            "max_abs_f32_vs_f64": off, "logits_std": round(float(logits.std()), 4), "seed": seed,
            "router_min_gap": round(gap, 5)}
    save_file({"tokens": torch.tensor(ids, dtype=torch.int32), "logits": logits.float()},
              os.path.join(folder, "golden.safetensors"))
    with open(os.path.join(folder, "meta.json"), "w", encoding="utf-8") as f:
        f.write(json.dumps(meta, indent=1) + "\n")
    print(json.dumps(meta))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="tests/golden")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    for golden in arguments.names or MODELS:
        make(golden, arguments.out)
