#!/usr/bin/env python3
"""families.py - tiny random checkpoints of every family, and the logits that the official code gives them.

    families.py [--out tests/golden] [NAME...]       writes those rows of configs.py whose names begin so (default: all)

The reference is transformers' eager code in float64 on the float32 weights; every explicit float32 upcast in it is left
out, only rope's frequencies, cos and sin stay float32. A checkpoint is written only where it is sharp:

- noise on any tensor (any half of a matrix, any half of an expert) moves some logit by more than 20 atol;
- routers have no near ties: what is chosen and what is not differ by more than 1e-3 of the largest score;
- the folder, opened anew by the official code, gives the same logits.

meta.json also lists the numbers of the config whose change moves no logit so far ("insensitive_config").
Needs transformers 5.23, torch, safetensors; by hand, never in CI."""
import argparse
import copy
import json
import logging
import os
import re
import shutil
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode

from configs import COMMON, ROWS

TOKENS, NOISE, SEEDS = 44, 0.3, 60
OTHER_INPUTS = r"vision|visual|audio|multi_modal_projector"


class Wide(TorchFunctionMode):
    """What would be rounded to float32 stays float64; the smallest gap of all top-k choices is kept."""

    def __init__(self):
        super().__init__()
        self.gap = float("inf")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if args and isinstance(args[0], torch.Tensor) and args[0].dtype == torch.float64:
            if func is torch.Tensor.float:
                return args[0]
            args = tuple(torch.float64 if a is torch.float32 else a for a in args)
            kwargs = {k: torch.float64 if v is torch.float32 else v for k, v in kwargs.items()}
        if func in (torch.topk, torch.Tensor.topk):
            self.look(args[0], kwargs.get("k", args[1] if len(args) > 1 else None))
        return func(*args, **kwargs)

    def look(self, scores, k):
        if k >= scores.shape[-1]:
            return
        ordered = scores.double().sort(dim=-1, descending=True).values
        gaps = (ordered[..., k - 1] - ordered[..., k]) / ordered[..., 0].abs()
        self.gap = min(self.gap, float(gaps.min()))


def run(model, ids):
    """Logits in float64, and the smallest gap of the routers."""
    for module in model.double().modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name.endswith("inv_freq"):
                module._buffers[name] = buffer.float()
    with torch.no_grad(), Wide() as wide:
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    assert logits.dtype == torch.float64
    return logits, wide.gap


def architecture(config):
    return getattr(transformers, config["architectures"][0])


def read_config(folder, config):
    """AutoConfig, but for types that only remote code knows."""
    kind = architecture(config).config_class
    return (transformers.AutoConfig if kind.model_type == config["model_type"] else kind).from_pretrained(folder)


def plain(model):
    """Loops over the experts: the grouped matmul knows no float64."""
    if model._can_set_experts_implementation():
        model.set_experts_implementation("eager")
    return model.eval()


def build(config, weights=None):
    """The model of a config as it stands in config.json; None where the weights do not fit it."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        settings = read_config(folder, config)
    torch.manual_seed(0)
    model = plain(architecture(config)._from_config(settings, attn_implementation="eager", dtype=torch.float32))
    if weights is not None:
        present = model.state_dict()
        if any(key not in weights or weights[key].shape != value.shape for key, value in present.items()):
            return None
        model.load_state_dict(weights, strict=False)
    return model


def randomize(model, row, seed):
    generator = torch.Generator().manual_seed(seed)
    done = set()
    for key, weight in model.state_dict().items():
        if weight.data_ptr() in done or not weight.is_floating_point():
            continue
        done.add(weight.data_ptr())
        noise = torch.randn(weight.shape, generator=generator)
        if key.endswith("_bias") and "gate_up" not in key and "down" not in key:  # a router's: about its scores' spread
            noise *= 0.4
        if key.endswith("A_log"):  # some of the state is to be kept for a while
            weight.fill_(-2.0)
        if weight.dim() < 2:  # norms and scales keep their centre, biases and sinks have none
            weight.copy_(weight + 0.25 * noise)
        elif "embed" in key:
            weight.copy_(0.5 * noise)
        else:
            fan_in = weight.shape[-2] if "gpt_oss" in row["name"] and weight.dim() == 3 else weight.shape[-1]
            weight.copy_(noise * (1.5 / fan_in) ** 0.5)


def pieces(key, tensor):
    """The parts of a tensor that must matter each by itself."""
    if tensor.dim() < 2:
        return [(key, tensor)]
    if tensor.dim() == 3 and "experts" in key:
        return [(f"{key}[{e}, half {i}]", half) for e, expert in enumerate(tensor)
                for i, half in enumerate(expert.chunk(2, 0))]
    return [(f"{key}[half {i}]", half) for i, half in enumerate(tensor.chunk(2, 0))]


def insensitive(model, ids, logits, threshold, ignored):
    found, done = [], set()
    generator = torch.Generator().manual_seed(99)
    for key, tensor in model.state_dict().items():
        if tensor.data_ptr() in done or not tensor.is_floating_point() or re.search(ignored, key):
            continue
        done.add(tensor.data_ptr())
        for name, piece in pieces(key, tensor):
            old = piece.clone()
            spread = float(tensor.std()) if tensor.numel() > 1 else 0.3
            piece.copy_(old + NOISE * spread * torch.randn(piece.shape, generator=generator, dtype=piece.dtype))
            if float((run(model, ids)[0] - logits).abs().max()) <= threshold:
                found.append(name)
            piece.copy_(old)
    return found


def changes(key, value):
    """Other values for a leaf of the config; a window is to be exact."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1] + ([value * 2] if key != "sliding_window" else [])
    if isinstance(value, float):
        return [value * 1.2, value * 2]
    words = {"sliding_attention": "full_attention", "full_attention": "sliding_attention"}
    return [words[value]] if value in words else []


def leaves(config, path=()):
    items = config.items() if isinstance(config, dict) else enumerate(config)
    for key, value in items:
        if key in ("architectures", "vision_config", "vocab_size"):
            continue
        if isinstance(value, (dict, list)):
            yield from leaves(value, path + (key,))
        else:
            yield path + (key,), value


def insensitive_config(config, weights, ids, logits, threshold):
    """Leaves that can be changed without any effect; those that only fit other weights are passed over."""
    found = []
    for path, value in leaves(config):
        moves = []
        for other in changes(path[-1], value):
            changed = copy.deepcopy(config)
            node = changed
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = other
            try:
                model = build(changed, weights)
                if model is not None:
                    moves.append(float((run(model, ids)[0] - logits).abs().max()) > threshold)
            except Exception:  # a config that the official code refuses
                continue
        if moves and not (all(moves) if path[-1] == "sliding_window" else any(moves)):
            found.append(".".join(map(str, path)))
    return found


def write_weights(model, row, folder):
    """As save_pretrained writes them, under the names of the row; and what else published files hold."""
    with tempfile.TemporaryDirectory() as temporary:
        model.float().save_pretrained(temporary)
        weights = load_file(os.path.join(temporary, "model.safetensors"))
    for old, new in row.get("rename", {}).items():
        weights = {re.sub(old, new, key): value for key, value in weights.items()}
    generator = torch.Generator().manual_seed(5)
    for key, shape in row.get("extra", {}).items():
        weights[key] = torch.randn(shape, generator=generator) * 0.3
    assert all(value.dtype in (torch.float32, torch.int64) for value in weights.values())
    save_file({k: weights[k].contiguous() for k in sorted(weights)}, os.path.join(folder, "model.safetensors"),
              metadata={"format": "pt"})


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(json.dumps(value, indent=1) + "\n")


def reopen(folder, config):
    return plain(architecture(config).from_pretrained(
        folder, config=read_config(folder, config), attn_implementation="eager", dtype=torch.float32))


def complete(row):
    """The config of a row: its own keys over the common ones; null leaves a key out."""
    config = copy.deepcopy(row["config"])
    inner = config.get("text_config", config)
    for key, value in COMMON.items():
        inner.setdefault(key, value)
    for key in row.get("without", ()):
        del inner[key]
    return {"architectures": config.pop("architectures"), "model_type": config.pop("model_type")} | config


def attempt(row, config, seed, folder):
    """Writes weights, tokens and logits of one seed; what is said of them, or why they are no good."""
    model = build(config)
    randomize(model, row, seed)
    ids = torch.randint(3, config.get("text_config", config)["vocab_size"], (TOKENS,),
                        generator=torch.Generator().manual_seed(seed)).tolist()
    logits, gap = run(model, ids)
    if gap < 1e-3:
        return None, f"near ties: {gap:.2g}"
    write_json(folder, "config.json", config)
    write_weights(model, row, folder)
    again = reopen(folder, config)
    with torch.no_grad():
        float32 = again(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    if row.get("official_drops"):  # the file is to differ from the model it was made from
        logits = run(again, ids)[0]
    elif float((run(again, ids)[0] - logits).abs().max()) > 1e-12:
        raise SystemExit(f"{row['name']}: the official code reads the folder back as another model")
    off = float((float32.double() - logits).abs().max())
    atol = max(1e-4, 10 * off)
    weights = {key: value.clone() for key, value in again.state_dict().items()}
    dead = insensitive(again, ids, logits, 20 * atol, OTHER_INPUTS)
    loose = [n for n in dead if not any(re.search(pattern, n) for pattern in row.get("dead", ()))]
    if loose:
        return None, f"without effect: {', '.join(loose)}"
    save_file({"tokens": torch.tensor(ids, dtype=torch.int32), "logits": logits.float()},
              os.path.join(folder, "golden.safetensors"))
    return {"dtype": "float32", "atol": float(f"{atol:.3g}"), "rtol": 1e-4, "kl_max": 1e-6,
            "reference": "float64 run of the official eager code on the float32 weights, rounded to float32",
            "max_abs_f32_vs_f64": float(f"{off:.3g}"), "seed": seed, "logits_std": round(float(logits.std()), 4),
            "logits_absmax": round(float(logits.abs().max()), 4),
            "router_min_gap": None if gap == float("inf") else round(gap, 5), "insensitive": dead,
            "insensitive_config": insensitive_config(config, weights, ids, logits, 20 * atol)}, None


def make(name, out):
    row = ROWS[name] | {"name": name}
    config = complete(row)
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for seed in range(1, SEEDS):
        facts, trouble = attempt(row, config, seed, folder)
        if facts is not None:
            break
    else:
        raise SystemExit(f"{name}: no seed will do; the last: {trouble}")
    write_json(folder, "meta.json", {
        "name": name, "family": name.split("-")[0],
        "source": f"transformers {transformers.__version__}, tests/golden/make/families.py"} | facts |
        {"notes": row["notes"]})
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{name}: {size} bytes,", ", ".join(f"{key} {facts[key]}" for key in (
        "seed", "atol", "logits_std", "router_min_gap", "insensitive_config", "insensitive")), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="tests/golden")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for golden in ROWS:
        if not arguments.names or any(golden.startswith(n) for n in arguments.names):
            make(golden, arguments.out)
