"""gguf_recurrent.py - of gguf_files.py: what llama.cpp's converters make of LFM2, Qwen3-Next and Qwen3.5."""
import re

import gguf
import numpy as np
from gguf import MODEL_ARCH

LFM2 = (MODEL_ARCH.LFM2, MODEL_ARCH.LFM2MOE)
QWEN35 = (MODEL_ARCH.QWEN35, MODEL_ARCH.QWEN35MOE)
QWEN = (MODEL_ARCH.QWEN3NEXT, *QWEN35)
ARCHS = (*LFM2, *QWEN)


def layer_types(config):
    layers = range(config["num_hidden_layers"])
    if config.get("layer_types"):
        return config["layer_types"]
    if config.get("full_attn_idxs"):
        return ["full_attention" if i in config["full_attn_idxs"] else "conv" for i in layers]
    interval = config.get("full_attention_interval", 4)
    return ["linear_attention" if (i + 1) % interval else "full_attention" for i in layers]


def mlp_size(config):
    """None: the converter finds no word for it."""
    if config["model_type"] == "qwen3_5_moe_text":
        return None
    size = config.get("block_ff_dim", config.get("intermediate_size"))
    if config["model_type"] != "lfm2" or not config["block_auto_adjust_ff_dim"]:
        return size
    unit, size = config["block_multiple_of"], int(config["block_ffn_dim_multiplier"] * int(2 * size / 3))
    return (size + unit - 1) // unit * unit


def add_metadata(writer, config, arch):
    name, kinds = gguf.MODEL_ARCH_NAMES[arch], layer_types(config)
    if arch in LFM2:
        writer.add_shortconv_l_cache(config["conv_L_cache"])
        writer.add_layer_norm_rms_eps(config["norm_eps"])
        writer.add_head_count_kv([config["num_key_value_heads"] if kind == "full_attention" else 0 for kind in kinds])
    if arch == MODEL_ARCH.LFM2MOE:
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
        writer.add_leading_dense_block_count(config["num_dense_layers"])
        if not config["norm_topk_prob"]:  # a word for what the converter does not say
            writer.add_expert_weights_norm(False)
    if arch not in QWEN:
        return
    writer.add_ssm_conv_kernel(config["linear_conv_kernel_dim"])
    writer.add_ssm_state_size(config["linear_key_head_dim"])
    writer.add_ssm_group_count(config["linear_num_key_heads"])
    writer.add_ssm_time_step_rank(config["linear_num_value_heads"])
    writer.add_ssm_inner_size(config["linear_value_head_dim"] * config["linear_num_value_heads"])
    extra = config.get("mtp_num_hidden_layers", 0)
    if config.get("layer_types"):
        writer.add_array(f"{name}.attention.recurrent_layers",
                         [kind == "linear_attention" for kind in kinds] + [False] * extra)
    else:
        writer.add_full_attention_interval(config["full_attention_interval"])
    if extra:
        writer.add_nextn_predict_layers(extra)
    rope = config.get("rope_parameters", {})
    share = rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 0.25))
    writer.add_rope_dimension_count(int(share * config["head_dim"]))
    if arch in QWEN35:
        writer.add_rope_dimension_sections((rope["mrope_section"] + [0] * 4)[:4])


def tiled(value, config, size, axis=0):
    """Heads of values in the order of the tile, a head of each key after another, not key by key."""
    keys, group = config["linear_num_key_heads"], config["linear_num_value_heads"] // config["linear_num_key_heads"]
    shape = value.shape
    value = value.reshape(*shape[:axis], keys, group, size, *shape[axis + 1:])
    return value.swapaxes(axis, axis + 1).reshape(shape)


def reorder(part, value, config):
    """Qwen3.5's tensors of linear attention."""
    size, keys = config["linear_value_head_dim"], 2 * config["linear_num_key_heads"] * config["linear_key_head_dim"]
    if part in ("in_proj_qkv", "conv1d"):
        return np.concatenate([value[:keys], tiled(value[keys:], config, size)])
    if part == "in_proj_z":
        return tiled(value, config, size)
    if part == "out_proj":
        return tiled(value, config, size, axis=1)
    return value if part == "norm" else tiled(value, config, 1)  # in_proj_a, in_proj_b, A_log, dt_bias


def linear(key, value, config, arch):
    """Tensors of a layer of linear attention, named."""
    match = re.match(r"model\.layers\.(\d+)\.linear_attn\.(\w+)", key)
    block, part = f"blk.{match[1]}", match[2]
    value = value.squeeze() if part == "conv1d" else value
    if arch in QWEN35:
        value = reorder(part, value, config)
    if part == "A_log":
        return {f"{block}.ssm_a": -np.exp(value)}
    if part == "dt_bias":
        return {f"{block}.ssm_dt.bias": value}
    if part == "in_proj_qkvz" and not config.get("qkvz_together"):
        keys, size = config["linear_num_key_heads"], config["linear_key_head_dim"]
        values = config["linear_num_value_heads"] // keys * config["linear_value_head_dim"]
        parts = np.split(value.reshape(keys, -1, value.shape[1]), np.cumsum([size, size, values]), axis=1)
        query, key_rows, value_rows, gate = (rows.reshape(-1, value.shape[1]) for rows in parts)
        return {f"{block}.attn_qkv.weight": np.concatenate([query, key_rows, value_rows]),
                f"{block}.attn_gate.weight": gate}
    return {key: value}


def widen(weights, config, size):
    """Heads of values of another size: llama.cpp wants that of the keys. Their first elements come again."""
    old, keys, key_size = (config[f"linear_{word}"] for word in ("value_head_dim", "num_key_heads", "key_head_dim"))
    index, out = np.arange(size) % old, {}

    def heads(value, axis=0):
        shape = value.shape
        value = value.reshape(*shape[:axis], -1, old, *shape[axis + 1:]).take(index, axis=axis + 1)
        return value.reshape(*shape[:axis], -1, *shape[axis + 1:])

    for name, value in weights.items():
        if name.endswith(("linear_attn.conv1d.weight", "in_proj_qkv.weight")):
            value = np.concatenate([value[:2 * keys * key_size], heads(value[2 * keys * key_size:])])
        elif name.endswith("in_proj_qkvz.weight"):
            parts = value.reshape(keys, -1, value.shape[1])
            value = np.concatenate([parts[:, :2 * key_size], heads(parts[:, 2 * key_size:], axis=1)], axis=1)
            value = value.reshape(-1, value.shape[2])
        elif name.endswith(("in_proj_z.weight", "linear_attn.norm.weight")):
            value = heads(value)
        elif name.endswith("linear_attn.out_proj.weight"):
            value = heads(value, axis=1)
        out[name] = value
    return out


def split(weights, config, arch):
    """What the converters cut, turn or add to."""
    out = {}
    for key, value in weights.items():
        if key.startswith(("mtp.", "model.mtp")):
            continue
        if ".linear_attn." in key:
            out.update(linear(key, value, config, arch))
        elif ".conv.conv.weight" in key:
            out[key] = value.squeeze(1)
        elif key.endswith(".expert_bias"):
            out[key + ".bias"] = value
        elif key == "lm_head.weight" and arch in LFM2:
            out["output.weight"] = value  # the map has no word for LFM2-MoE's
        elif key.endswith("norm.weight") and arch in QWEN:
            out[key] = value + 1
        else:
            out[key] = value
    return out


def predicting(weights, config):
    """A further block that predicts further tokens, as llama.cpp has it: the last one's tensors and some more."""
    last, size = config["num_hidden_layers"] - 1, config["hidden_size"]
    again = {key.replace(f".{last}.", f".{last + 1}."): value for key, value in weights.items() if f".{last}." in key}
    block = f"blk.{last + 1}.nextn"
    again[f"{block}.eh_proj.weight"] = np.ones((size, 2 * size), dtype=np.float32)
    for part in ("enorm", "hnorm", "shared_head_norm"):
        again[f"{block}.{part}.weight"] = np.ones(size, dtype=np.float32)
    return again
