#!/usr/bin/env python3
"""gguf_files.py - tiny GGUF files of every family that has an architecture there, from the golden checkpoints.

    gguf_files.py [--zmlx build/zmlx] [--out tests/golden/gguf] [NAME...]     writes those rows of these names (default: all)

A file is written as llama.cpp's converters write it: names by the official map of the package gguf, rows of queries
and keys in the order of rope's neighbours where the architecture turns these, norms of Gemma with 1 added, experts
stacked, and so on. Beside NAME.gguf lies NAME.safetensors with "tokens" and the "logits" that are expected:

- of the golden checkpoint itself, where the file says the same as its folder;
- else (a config that GGUF has no word for was edited, or the weights were rounded to blocks) those that this program
  gives for the edited folder in f32, whose code the folder's own golden holds to the official one.

llama.cpp is the independent judge: its logits for the file must be near the expected ones (its GELU is a table in
f16 and it rounds what meets blocks to 8 bits, so near means a share of the spread), or the row says why they are not,
and what must be edited further for it to agree. Needs numpy, safetensors, gguf and
llama-cpp-python; by hand, never in CI."""
import argparse
import ctypes
import json
import math
import os
import re
import subprocess
import sys
import tempfile

import gguf
import gguf_recurrent as recurrent
import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType
from safetensors.numpy import load_file, save_file

LIMIT, BLOCKS_LIMIT = 0.004, 0.2  # of the logits' spread
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
OLMO3 = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 16}
DEEPSEEK = {"type": "yarn", "factor": 4, "original_max_position_embeddings": 32, "mscale": 1.0, "mscale_all_dim": 1.0}
ONE_SIZE = "its heads of keys and values have one size"
EPSILON = {"rms_norm_eps": 1e-6}  # llama.cpp has one also for the lengths of queries and keys
WIDENED = {**EPSILON, "linear_value_head_dim": 8}
BETAS = "it takes 32 and 1 for yarn's betas"

# name, golden folder, edits of its config (null: the key goes), type of the blocks, why llama.cpp differs and the
# edits with which it does not (null: it does not load the file, or nothing helps)
ROWS = [
    ("llama-llama3", "llama-llama3", {}, None, None),
    ("llama-nemo", "mistral-nemo", {}, "Q8_0", None),
    ("llama-mixtral", "mixtral-tied", {"sliding_window": None}, None, None),
    ("llama-mixtral-apart", "mixtral-tied", {"sliding_window": None, "experts_apart": True}, None, (
        "it reads stacked experts alone", None)),
    ("qwen2", "qwen2-tied", {}, None, None),
    ("qwen2-q4_0", "qwen2-tied", {}, "Q4_0", None),
    ("qwen3", "qwen3-tied", {}, None, None),
    ("qwen3-q8_0", "qwen3-tied", {}, "Q8_0", None),
    ("qwen2moe", "qwen2_moe-shared", {}, None, None),
    ("qwen3moe", "qwen3_moe-mixed", {"mlp_only_layers": [], "norm_topk_prob": True}, None, None),
    ("qwen3moe-q8_0", "qwen3_moe-mixed", {"mlp_only_layers": [], "norm_topk_prob": True}, "Q8_0", None),
    ("gemma2", "gemma2-caps", {"query_pre_attn_scalar": 16}, None, None),
    ("gemma3", "gemma3_text-1b", {"query_pre_attn_scalar": 16}, None, None),
    ("gemma3-q8_0", "gemma3_text-1b", {"query_pre_attn_scalar": 16, "sliding_window_pattern": 6}, "Q8_0", None),
    ("gemma3-linear", "gemma3_text-layers", {
        "layer_types": ["sliding_attention", "full_attention"], "attn_logit_softcapping": None,
        "final_logit_softcapping": None}, None, None),
    ("gemma4", "gemma4-ple", {}, None, None),
    ("gemma4-a4b", "gemma4-a4b", {}, None, None),
    ("gemma4-a4b-q8_0", "gemma4-a4b", {}, "Q8_0", None),
    ("gemma4-k_eq_v", "gemma4-k_eq_v", {}, None, (
        "it caps logits at 30 where the file does not", {"final_logit_softcapping": 30.0})),
    ("phi3", "phi3-partial", {}, None, None),
    ("phi3-window", "phi3-window", {}, None, ("its Phi-3 has no window", {"sliding_window": None})),
    ("phi3-longrope", "phi3-longrope", {"sliding_window": None}, None, None),
    ("olmo2", "olmo2-gqa", {}, None, None),
    ("olmo3", "olmo3-yarn", {"rope_scaling": None, "rope_theta": None, "rope_parameters": {
        "full_attention": {**OLMO3, "beta_fast": 0.5, "beta_slow": 0.16}, "sliding_attention": PLAIN}}, None,
     (BETAS, {"rope_parameters": {"full_attention": OLMO3, "sliding_attention": PLAIN}})),
    ("olmo3-types", "olmo3-types", {}, None, ("it needs a head", None)),
    ("olmoe", "olmoe-plain", {}, None, None),
    ("granite", "granite-tied", {}, None, None),
    ("granite-bias", "granite-bias", {}, None, None),
    ("granitemoe", "granitemoe-multipliers", {}, None, None),
    ("gpt-oss", "gpt_oss-yarn", {"swiglu_limit": 7.0}, None, (
        BETAS + " and rounds the ramp's bounds",
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}})),
    ("gpt-oss-plain", "gpt_oss-yarn", {"swiglu_limit": 7.0, "rope_scaling": {"rope_type": "default"}}, None, None),
    ("gpt-oss-mxfp4", "gpt_oss", {"swiglu_limit": 7.0, "rope_parameters": {
        "rope_type": "default", "rope_theta": 150000.0}}, "MXFP4", None),
    ("cohere2", "cohere2-pattern", {}, None, None),
    ("smollm3", "smollm3-nope", {"no_rope_layers": None, "no_rope_layer_interval": 4}, None, None),
    ("gptneox", "gpt_neox-pythia", {}, None, None),
    ("gptneox-serial", "gpt_neox-serial", {"hidden_act": "gelu"}, None, ("it needs a head and biases", None)),
    ("starcoder2", "starcoder2-window", {"sliding_window": None}, None, None),
    ("deepseek2", "deepseek_v3-groups", {"rms_norm_eps": 1e-6}, None, (BETAS, {"rope_scaling": DEEPSEEK})),
    ("deepseek2-kimi", "deepseek_v3-kimi_k2", {"rms_norm_eps": 1e-6}, None, (
        BETAS, {"rope_scaling": {**DEEPSEEK, "factor": 32.0, "original_max_position_embeddings": 96}})),
    ("deepseek2-glm", "glm4_moe_lite-flash", {}, None, ("it has one epsilon for all norms", None)),
    ("deepseek2-glm-epsilon", "glm4_moe_lite-flash", {"rms_norm_eps": 1e-6}, None, None),
    ("glm4moe", "glm4_moe-qk_norm", {"num_nextn_predict_layers": 0}, None, None),
    ("glm4moe-nextn", "glm4_moe-qk_norm", {}, None, ("it needs the whole of a layer that is not run", None)),
    ("glm4moe-groups", "glm4_moe-groups", {}, None, None),
    ("mistral3", "ministral3-yarn", {}, None, None),
    ("lfm2", "lfm2-auto", {}, None, None),
    ("lfm2-q8_0", "lfm2-auto", {}, "Q8_0", None),
    ("lfm2-bias", "lfm2-types", {}, None, ("its convolutions have no biases", None)),
    ("lfm2moe", "lfm2_moe-bias", {}, None, None),
    ("lfm2moe-plain", "lfm2_moe-plain", {}, None, ("it needs a bias that chooses", None)),
    ("qwen3next", "qwen3_next-shared", WIDENED, None, None),
    ("qwen3next-together", "qwen3_next-shared", {**WIDENED, "qkvz_together": True}, None, None),
    ("qwen3next-sizes", "qwen3_next-shared", {}, None, (ONE_SIZE, None)),
    ("qwen35", "qwen3_5-text", EPSILON, None, None),
    ("qwen35-f16", "qwen3_5-text", EPSILON, "F16", None),
    ("qwen35-vision", "qwen3_5-vision", EPSILON, None, None),
    ("qwen35-nextn", "qwen3_5-text", {**EPSILON, "mtp_num_hidden_layers": 1}, None, None),
    ("qwen35moe", "qwen3_5_moe-vision", EPSILON, None, None),
    ("qwen35moe-tiled", "qwen3_5_moe-text", {**WIDENED, "hidden_act": "silu"}, None, None),
    ("qwen35moe-sizes", "qwen3_5_moe-text", {"hidden_act": "silu"}, None, (ONE_SIZE, None)),
]

# model_type: architecture, rows in the order of rope's neighbours
KINDS = {
    "llama": (MODEL_ARCH.LLAMA, True),
    "mistral": (MODEL_ARCH.LLAMA, True),
    "mixtral": (MODEL_ARCH.LLAMA, True),
    "ministral3": (MODEL_ARCH.MISTRAL3, True),
    "qwen2": (MODEL_ARCH.QWEN2, False),
    "qwen2_moe": (MODEL_ARCH.QWEN2MOE, False),
    "qwen3": (MODEL_ARCH.QWEN3, False),
    "qwen3_moe": (MODEL_ARCH.QWEN3MOE, False),
    "gemma2": (MODEL_ARCH.GEMMA2, False),
    "gemma3_text": (MODEL_ARCH.GEMMA3, False),
    "gemma4_text": (MODEL_ARCH.GEMMA4, False),
    "phi3": (MODEL_ARCH.PHI3, False),
    "olmo2": (MODEL_ARCH.OLMO2, False),
    "olmo3": (MODEL_ARCH.OLMO2, False),
    "olmoe": (MODEL_ARCH.OLMOE, False),
    "granite": (MODEL_ARCH.GRANITE, True),
    "granitemoe": (MODEL_ARCH.GRANITE_MOE, True),
    "gpt_oss": (MODEL_ARCH.GPT_OSS, False),
    "cohere2": (MODEL_ARCH.COHERE2, False),
    "smollm3": (MODEL_ARCH.SMOLLM3, True),
    "gpt_neox": (MODEL_ARCH.GPTNEOX, False),
    "starcoder2": (MODEL_ARCH.STARCODER2, False),
    "kimi_k2": (MODEL_ARCH.DEEPSEEK2, False),
    "deepseek_v3": (MODEL_ARCH.DEEPSEEK2, False),
    "glm4_moe_lite": (MODEL_ARCH.DEEPSEEK2, False),
    "glm4_moe": (MODEL_ARCH.GLM4_MOE, False),
    "lfm2": (MODEL_ARCH.LFM2, False),
    "lfm2_moe": (MODEL_ARCH.LFM2MOE, False),
    "qwen3_next": (MODEL_ARCH.QWEN3NEXT, False),
    "qwen3_5_text": (MODEL_ARCH.QWEN35, False),
    "qwen3_5_moe_text": (MODEL_ARCH.QWEN35MOE, False),
}


# -------- the folder --------

def give_experts(weights, config):
    """Dense layers get the experts of another layer, in another order."""
    experts = [key for key in weights if ".mlp.experts." in key or ".mlp.gate." in key]
    source = sorted({int(key.split(".")[2]) for key in experts})[0] if experts else None
    for layer in range(config["num_hidden_layers"]):
        dense = f"model.layers.{layer}.mlp.gate_proj.weight"
        if source is None or dense not in weights or "mlp_only_layers" not in config:
            continue
        for part in ("gate_proj", "up_proj", "down_proj"):
            del weights[f"model.layers.{layer}.mlp.{part}.weight"]
        count = config["num_experts"]
        for key in experts:
            value = weights[key][::-1] if ".mlp.gate." in key else weights[key]
            renamed = re.sub(r"experts\.(\d+)", lambda m: f"experts.{(int(m[1]) + 2) % count}", key)
            weights[renamed.replace(f"layers.{source}.", f"layers.{layer}.")] = np.ascontiguousarray(value)


def rounded(name, value, kind):
    """The type of a tensor: matrices whose rows are whole blocks are rounded to them."""
    if kind is None or value.ndim < 2 or value.shape[-1] % 32 or "router" in name or "mlp.gate." in name:
        return value
    wanted = GGMLQuantizationType[kind]
    if kind == "MXFP4":  # of gpt-oss: only the experts, whose folder has columns before rows
        if value.ndim < 3:
            return value
        turned = np.ascontiguousarray(value.swapaxes(1, 2)) if "_exps" not in name else value
        blocks = gguf.dequantize(gguf.quantize(turned, wanted), wanted).astype(np.float32)
        return np.ascontiguousarray(blocks.swapaxes(1, 2)) if "_exps" not in name else blocks
    return gguf.dequantize(gguf.quantize(value, wanted), wanted).astype(np.float32)


def read_folder(source, edits, kind):
    config = json.load(open(f"tests/golden/{source}/config.json", encoding="utf-8"))
    weights = load_file(f"tests/golden/{source}/model.safetensors")
    if "text_config" in config:
        whole = config["architectures"][0].replace("ForConditionalGeneration", "ForCausalLM")
        weights = {key.replace("language_model.", ""): value for key, value in weights.items()
                   if "language_model" in key or key.startswith("lm_head.")}
        tied = config.get("tie_word_embeddings", True)
        config = {"architectures": [whole], "tie_word_embeddings": tied, **config["text_config"]}
    if edits.get("mlp_only_layers") == []:
        give_experts(weights, config)
    if edits.get("num_nextn_predict_layers") == 0:
        weights = {key: value for key, value in weights.items()
                   if not key.startswith(f"model.layers.{config['num_hidden_layers']}.")}
    if "linear_value_head_dim" in edits:
        weights = recurrent.widen(weights, config, edits["linear_value_head_dim"])
    config.update(edits)
    config = {key: value for key, value in config.items() if value is not None or key not in edits}
    return config, {key: rounded(key, value, kind) for key, value in weights.items()}


def own_logits(zmlx, folder, tokens):
    out = os.path.join(folder, "out.safetensors")
    ids = ",".join(str(t) for t in tokens)
    subprocess.run([zmlx, "logits", folder, "--tokens", ids, "--precision", "f32", "--out", out], check=True,
                   stderr=subprocess.DEVNULL)
    return load_file(out)["logits"]


# -------- metadata --------

def rope_of(config):
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if not rope and config["model_type"] == "gemma4_text":  # what the official code takes then
        rope = {"full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
                "sliding_attention": PLAIN}
    if "full_attention" in rope:
        rope = {**rope["full_attention"], "sliding_theta": rope["sliding_attention"]["rope_theta"]}
    rope.setdefault("rope_theta", config.get("rope_theta", config.get("rotary_emb_base")))
    if "original_max_position_embeddings" in config:
        rope.setdefault("original_max_position_embeddings", config["original_max_position_embeddings"])
    return rope


def add_rope(writer, config, arch, head):
    rope = rope_of(config)
    kind = rope.get("rope_type", rope.get("type", "default"))
    share = rope.get("partial_rotary_factor", config.get("partial_rotary_factor", config.get("rotary_pct", 1.0)))
    if arch == MODEL_ARCH.GLM4_MOE:
        share = rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 0.5))
    if arch in (MODEL_ARCH.LLAMA, MODEL_ARCH.MISTRAL3, MODEL_ARCH.GRANITE, MODEL_ARCH.GRANITE_MOE, MODEL_ARCH.SMOLLM3,
                MODEL_ARCH.PHI3, MODEL_ARCH.GPTNEOX, MODEL_ARCH.GLM4_MOE, MODEL_ARCH.COHERE2, MODEL_ARCH.DEEPSEEK2):
        writer.add_rope_dimension_count(int(share * head))
    if rope.get("rope_theta"):
        writer.add_rope_freq_base(float(rope["rope_theta"]))
    if "sliding_theta" in rope:
        writer.add_float32(f"{gguf.MODEL_ARCH_NAMES[arch]}.rope.freq_base_swa", float(rope["sliding_theta"]))
    if arch == MODEL_ARCH.GEMMA4:
        writer.add_rope_dimension_count(config["global_head_dim"])
        writer.add_uint32("gemma4.rope.dimension_count_swa", config["head_dim"])
    if "rope_local_base_freq" in config:
        writer.add_float32("gemma3.rope.freq_base_swa", float(config["rope_local_base_freq"]))
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    if kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        for key, add in (("beta_fast", writer.add_rope_scaling_yarn_beta_fast),
                         ("beta_slow", writer.add_rope_scaling_yarn_beta_slow)):
            if key in rope:
                add(float(rope[key]))
        if "mscale_all_dim" in rope:  # a tenth of it in files of DeepSeek
            tenth = 0.1 if arch == MODEL_ARCH.DEEPSEEK2 else 1.0
            writer.add_rope_scaling_yarn_log_mul(tenth * rope["mscale_all_dim"])
    if arch == MODEL_ARCH.MISTRAL3:
        writer.add_attn_temperature_scale(rope["llama_4_scaling_beta"])
    if arch == MODEL_ARCH.PHI3:
        before, after = rope["original_max_position_embeddings"], config["max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(before)
        if "long_factor" in rope:
            grown = after / before
            writer.add_rope_scaling_attn_factors(
                math.sqrt(1 + math.log(grown) / math.log(before)) if grown > 1 else 1.0)


def add_windows(writer, config, arch):
    window = config.get("sliding_window")
    if arch == MODEL_ARCH.PHI3:
        writer.add_sliding_window(window or 0)
    if arch == MODEL_ARCH.GEMMA4:
        writer.add_sliding_window(window)
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config["layer_types"]])
    if arch not in (MODEL_ARCH.GEMMA2, MODEL_ARCH.GEMMA3, MODEL_ARCH.COHERE2, MODEL_ARCH.GPT_OSS) and \
            config["model_type"] != "olmo3":
        return
    writer.add_sliding_window(window)
    if config["model_type"] == "olmo3":
        kinds = config.get("layer_types") or [
            "full_attention" if (i + 1) % 4 == 0 else "sliding_attention" for i in range(config["num_hidden_layers"])]
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in kinds])
    elif "sliding_window_pattern" in config and config["sliding_window_pattern"] != 6:
        writer.add_uint32(f"{gguf.MODEL_ARCH_NAMES[arch]}.attention.sliding_window_pattern",
                          config["sliding_window_pattern"])
    elif "layer_types" in config and arch == MODEL_ARCH.GEMMA3:
        writer.add_uint32("gemma3.attention.sliding_window_pattern",
                          config["layer_types"].index("full_attention") + 1)


def add_experts(writer, config):
    for keys, add in ((("num_experts", "num_local_experts", "n_routed_experts"), writer.add_expert_count),
                      (("num_experts_per_tok",), writer.add_expert_used_count),
                      (("moe_intermediate_size",), writer.add_expert_feed_forward_length),
                      (("shared_expert_intermediate_size",), writer.add_expert_shared_feed_forward_length),
                      (("n_shared_experts",), writer.add_expert_shared_count),
                      (("n_group",), writer.add_expert_group_count),
                      (("topk_group",), writer.add_expert_group_used_count),
                      (("first_k_dense_replace",), writer.add_leading_dense_block_count),
                      (("routed_scaling_factor",), writer.add_expert_weights_scale),
                      (("num_nextn_predict_layers",), writer.add_nextn_predict_layers)):
        for key in keys:
            if key in config and not (key == "num_nextn_predict_layers" and config["model_type"] != "glm4_moe"):
                add(config[key])
    if "n_routed_experts" in config:
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
        if config["norm_topk_prob"]:
            writer.add_expert_weights_norm(True)
    if config["model_type"] == "gpt_oss":
        writer.add_expert_feed_forward_length(config["intermediate_size"])


def add_scales(writer, config, arch):
    if arch in (MODEL_ARCH.GRANITE, MODEL_ARCH.GRANITE_MOE):
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
    if arch == MODEL_ARCH.COHERE2:
        writer.add_logit_scale(config["logit_scale"])
    if arch == MODEL_ARCH.GEMMA2:
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if arch == MODEL_ARCH.GEMMA4 and config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if arch == MODEL_ARCH.GPTNEOX:
        writer.add_parallel_residual(config.get("use_parallel_residual", True))


def add_gemma4(writer, config):
    layers, shared = config["num_hidden_layers"], config.get("num_kv_shared_layers", 0)
    for length, add in ((config["global_head_dim"], (writer.add_key_length, writer.add_value_length)),
                        (config["head_dim"], (writer.add_key_length_swa, writer.add_value_length_swa))):
        for put in add:
            put(length)
    writer.add_shared_kv_layers(shared)
    writer.add_embedding_length_per_layer_input(config.get("hidden_size_per_layer_input", 0))
    size = config["intermediate_size"]
    writer.add_feed_forward_length(
        [size * (1 if i < layers - shared else 2) for i in range(layers)]
        if config.get("use_double_wide_mlp") else size)
    full = config.get("num_global_key_value_heads")
    writer.add_head_count_kv(
        config["num_key_value_heads"] if full is None else
        [config["num_key_value_heads"] if kind == "sliding_attention" else full for kind in config["layer_types"]])
    if config.get("enable_moe_block"):
        writer.add_expert_used_count(config["top_k_experts"])


def add_latent(writer, config):
    rank, turned = config["kv_lora_rank"], config["qk_rope_head_dim"]
    if config.get("q_lora_rank"):
        writer.add_q_lora_rank(config["q_lora_rank"])
    writer.add_kv_lora_rank(rank)
    writer.add_key_length(rank + turned)
    writer.add_value_length(rank)
    writer.add_key_length_mla(config["qk_nope_head_dim"] + turned)
    writer.add_value_length_mla(config["v_head_dim"])


def add_metadata(writer, config, arch):
    latent, heads = arch == MODEL_ARCH.DEEPSEEK2, config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    extra = config.get("num_nextn_predict_layers", 0) if arch == MODEL_ARCH.GLM4_MOE else 0
    writer.add_block_count(config["num_hidden_layers"] + extra + config.get("mtp_num_hidden_layers", 0))
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    if arch == MODEL_ARCH.GEMMA4:
        add_gemma4(writer, config)
    elif recurrent.mlp_size(config) is not None:
        writer.add_feed_forward_length(recurrent.mlp_size(config))
    writer.add_head_count(heads)
    if arch in recurrent.ARCHS:
        recurrent.add_metadata(writer, config, arch)
    if arch not in (MODEL_ARCH.GPTNEOX, MODEL_ARCH.GEMMA4, *recurrent.LFM2):
        writer.add_head_count_kv(1 if latent else config.get("num_key_value_heads", heads))
    for key in ("layer_norm_eps", "norm_epsilon"):
        if key in config:
            writer.add_layer_norm_eps(config[key])
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if latent:
        add_latent(writer, config)
    elif config.get("head_dim") and arch != MODEL_ARCH.GEMMA4:
        writer.add_key_length(head)
        writer.add_value_length(head)
    add_rope(writer, config, arch, config["qk_rope_head_dim"] if latent else head)
    add_windows(writer, config, arch)
    add_experts(writer, config)
    add_scales(writer, config, arch)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")


# -------- tensors --------

def neighbours(value, heads):
    """Rows of each head: the first and the second half take turns."""
    half = value.shape[0] // heads // 2
    return value.reshape(heads, 2, half, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)


def stack(weights, apart):
    """Experts one by one become one tensor; 'apart': they keep a name each, as old files have them."""
    stacked, out = {}, {}
    parts = {"w1": "gate", "w2": "down", "w3": "up"}
    for key, value in weights.items():
        match = re.match(r"(.*\.experts)\.(\d+)\.(\w+)\.weight$", key)
        if match and apart:
            out[f"blk.{key.split('.')[2]}.ffn_{parts[match[3]]}.{match[2]}.weight"] = value
        elif match:
            stacked.setdefault((match[1], match[3]), {})[int(match[2])] = value
        else:
            out[key] = value
    for (module, part), experts in stacked.items():
        module = re.sub(r"model\.(layers\.\d+)\.(block_sparse_moe|feed_forward)", r"\1.feed_forward",
                        module)  # the map's word
        out[f"{module}.{part}.weight"] = np.stack([experts[i] for i in range(len(experts))])
    return out


def split(weights, config, arch):
    """What a converter cuts, turns or adds to."""
    heads, kv_heads = config["num_attention_heads"], config.get("num_key_value_heads", config["num_attention_heads"])
    interleaved, out = KINDS[config["model_type"]][1], {}
    for key, value in weights.items():
        stem, leaf = key.rsplit(".", 1)
        if interleaved and stem.endswith(("q_proj", "k_proj")):
            value = neighbours(value, heads if stem.endswith("q_proj") else kv_heads)
        if arch in (MODEL_ARCH.GEMMA2, MODEL_ARCH.GEMMA3) and key.endswith("norm.weight"):
            value = value + 1
        if arch == MODEL_ARCH.GPTNEOX and ".query_key_value." in key:
            value = value.reshape(heads, 3, -1, *value.shape[1:]).swapaxes(0, 1).reshape(value.shape)
        if key.endswith("block_sparse_moe.input_linear.weight"):
            gate, up = np.split(value, 2, axis=-2)
            layer = key.split(".")[2]
            out[f"blk.{layer}.ffn_gate_exps.weight"], out[f"blk.{layer}.ffn_up_exps.weight"] = gate, up
        elif arch == MODEL_ARCH.GEMMA4 and key.endswith((".router.scale", ".per_expert_scale", ".router.proj.weight")):
            word = {"scale": "ffn_gate_inp.scale", "per_expert_scale": "ffn_down_exps.scale",
                    "weight": "ffn_gate_inp.weight"}[leaf]
            out[f"blk.{key.split('.')[2]}.{word}"] = value
        elif arch == MODEL_ARCH.GEMMA4 and leaf in ("gate_up_proj", "down_proj", "layer_scalar"):
            out[key + ".weight"] = value
        elif leaf == "gate_up_proj" and arch != MODEL_ARCH.GPT_OSS:
            out[f"{stem}.gate_proj.weight"], out[f"{stem}.up_proj.weight"] = np.split(value, 2, axis=-2)
        elif leaf == "down_proj" and arch != MODEL_ARCH.GPT_OSS:
            out[key + ".weight"] = value
        elif key.endswith("kv_b_proj.weight"):
            nope, size = config["qk_nope_head_dim"], config["v_head_dim"]
            both = value.reshape(heads, nope + size, -1)
            out[key.replace("kv_b_proj", "k_b_proj")] = both[:, :nope].swapaxes(1, 2)
            out[key.replace("kv_b_proj", "v_b_proj")] = both[:, nope:]
        elif arch == MODEL_ARCH.GPT_OSS and "gate_up_proj" in leaf:
            axis = value if leaf.endswith("_bias") else value.swapaxes(1, 2)
            word = "bias" if leaf.endswith("_bias") else "weight"
            out[f"{stem}.gate_proj.{word}"], out[f"{stem}.up_proj.{word}"] = axis[:, ::2], axis[:, 1::2]
        elif arch == MODEL_ARCH.GPT_OSS and leaf.startswith("down_proj"):
            out[f"{stem}.down_proj.{'bias' if leaf.endswith('_bias') else 'weight'}"] = (
                value if leaf.endswith("_bias") else value.swapaxes(1, 2))
        elif leaf == "sinks":
            out[key + ".weight"] = value
        elif leaf == "e_score_correction_bias":
            out[key.replace("_bias", ".bias")] = value
        else:
            out[key] = value
    return out


def llama3_factors(config):
    rope, head = rope_of(config), config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    low, high, length = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    factors = []
    for frequency in 1.0 / rope["rope_theta"] ** (np.arange(0, head, 2, dtype=np.float32) / head):
        wave = 2 * math.pi / frequency
        smooth = (length / wave - low) / (high - low)
        factors.append(1 if wave < length / high else rope["factor"] if wave > length / low
                       else 1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def add_tensors(writer, config, arch, weights, kind):
    extra = config.get("num_nextn_predict_layers", config.get("mtp_num_hidden_layers", 0))
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"] + extra)
    weights = stack(weights, config.get("experts_apart"))
    if arch in recurrent.ARCHS:
        weights = recurrent.split(weights, config, arch)
    if config.get("mtp_num_hidden_layers"):
        weights.update(recurrent.predicting(weights, config))
    for key, value in split(weights, config, arch).items():
        if key.endswith((".attention.bias", ".masked_bias", ".inv_freq")):
            continue
        layer = re.search(r"layers\.(\d+)\.", key)
        if layer and int(layer[1]) >= config["num_hidden_layers"] and \
                arch not in (MODEL_ARCH.GLM4_MOE, *recurrent.QWEN35):
            continue
        name = key if key.startswith(("blk.", "output.")) else names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert name is not None, key
        value = np.ascontiguousarray(value if value.size == 1 else value.squeeze(), dtype=np.float32)
        if kind is not None and (kind != "MXFP4" or value.ndim == 3) and \
                np.array_equal(rounded(name, value, kind), value) and value.ndim > 1 and \
                value.shape[-1] % 32 == 0 and "ffn_gate_inp" not in name:
            wanted = GGMLQuantizationType[kind]
            writer.add_tensor(name, gguf.quantize(value, wanted), raw_dtype=wanted)
        else:
            writer.add_tensor(name, value)
    rope = rope_of(config)
    if rope.get("rope_type", rope.get("type")) == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    if arch == MODEL_ARCH.GEMMA4:
        half = config["global_head_dim"] // 2
        turned = int(config["global_head_dim"] * rope["partial_rotary_factor"] / 2)
        writer.add_tensor("rope_freqs.weight", np.array([1.0] * turned + [1e30] * (half - turned), dtype=np.float32))
    for word in ("long", "short"):
        if f"{word}_factor" in rope:
            writer.add_tensor(f"rope_factors_{word}.weight", np.array(rope[f"{word}_factor"], dtype=np.float32))


def write(path, config, weights, kind):
    arch = KINDS[config["model_type"]][0]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    add_metadata(writer, config, arch)
    add_tensors(writer, config, arch, weights, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# -------- the judge --------

def llama_logits(path, tokens, vocabulary):
    import llama_cpp as lib  # pylint: disable=import-outside-toplevel
    callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
        lambda level, text, user: sys.stderr.write(text.decode()) if level >= 4 else None)
    lib.llama_log_set(callback, None)
    how = lib.llama_model_default_params()
    how.n_gpu_layers = 0
    model = lib.llama_model_load_from_file(path.encode(), how)
    if not model:
        return None
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads = 128, 64, 64, 1
    params.type_k = params.type_v = 0  # f32
    params.flash_attn_type = 0
    context = lib.llama_init_from_model(model, params)
    batch = lib.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = int(token), i, 1, 0, 1
    assert lib.llama_decode(context, batch) == 0
    logits = np.array([np.ctypeslib.as_array(lib.llama_get_logits_ith(context, i), (vocabulary,)).copy()
                       for i in range(len(tokens))])
    lib.llama_free(context)
    lib.llama_model_free(model)
    return logits


def distance(path, tokens, want):
    logits = llama_logits(path, tokens, want.shape[1])
    return math.inf if logits is None else float(np.abs(logits - want).max() / want.std())


def judge(row, path, tokens, want, zmlx):
    name, source, edits, kind, excuse = row
    off, limit = distance(path, tokens, want), BLOCKS_LIMIT if kind else LIMIT
    print(f"{name}: llama.cpp is off by {off:.2g} of the spread{': ' + excuse[0] if excuse else ''}", flush=True)
    if (off <= limit) != (excuse is None):
        sys.exit(f"{name}: {'an excuse that is not needed' if excuse else 'llama.cpp gives other logits'}")
    if excuse is None or excuse[1] is None:
        return
    config, weights = read_folder(source, {**edits, **excuse[1]}, kind)
    off = distance(path, tokens, edited_logits(zmlx, config, weights, tokens))
    print(f"{name}: with {excuse[1]} it is off by {off:.2g}", flush=True)
    if off > limit:
        sys.exit(f"{name}: the excuse does not explain it")


def edited_logits(zmlx, config, weights, tokens):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        save_file(weights, os.path.join(folder, "model.safetensors"))
        return own_logits(zmlx, folder, tokens)


def make(row, zmlx, out):
    name, source, edits, kind, _ = row
    config, weights = read_folder(source, edits, kind)
    golden = load_file(f"tests/golden/{source}/golden.safetensors")
    tokens, want = golden["tokens"], golden["logits"]
    path = os.path.join(out, name + ".gguf")
    if edits or kind:
        want = edited_logits(zmlx, config, weights, tokens)
    write(path, config, weights, kind)
    judge(row, path, tokens, want, zmlx)
    save_file({"tokens": tokens, "logits": want.astype(np.float32)}, os.path.join(out, name + ".safetensors"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zmlx", default="build/zmlx")
    parser.add_argument("--out", default="tests/golden/gguf")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    for row in ROWS:
        if not arguments.names or row[0] in arguments.names:
            make(row, arguments.zmlx, arguments.out)


if __name__ == "__main__":
    main()
