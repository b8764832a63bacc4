#!/usr/bin/env python3
"""mlx_forms.py - goldens again in the form in which mlx-lm saves a converted model: its names and layouts, the same logits.

    mlx_forms.py [--out tests/golden]

Convolutions [columns, 1, taps] become [columns, taps, 1]; experts are stacked under switch_mlp; Qwen's norms, whose
weights are centred at zero, get the one added (all but the gated one of linear attention); what predicts further
tokens and the tower of another input are left out; the text part of a multimodal model stands under language_model.
Needs safetensors and numpy; the originals must be there."""
import argparse
import json
import os
import re
import shutil

import numpy as np
from safetensors.numpy import load_file, save_file

SHIFTED = re.compile(r"(input_layernorm|post_attention_layernorm|model\.norm|q_norm|k_norm)\.weight$")
GONE = re.compile(r"^mtp\.|^model\.visual\.")
EXPERT = re.compile(r"(.*)\.experts\.(\d+)\.(w1|w2|w3|gate_proj|up_proj|down_proj)\.weight$")
USUAL = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


def convert(weights, shift, usual_names, prefix):
    result, experts = {}, {}
    for key, value in weights.items():
        if GONE.search(key):
            continue
        if key.endswith(("conv.weight", "conv1d.weight")):
            value = value.transpose(0, 2, 1)
        if shift and SHIFTED.search(key):
            value = value + np.float32(1)
        match = EXPERT.match(key)
        if match:
            module, number, name = match.groups()
            experts.setdefault(f"{module}.switch_mlp.{USUAL.get(name, name)}.weight", {})[int(number)] = value
            continue
        if usual_names:
            key = re.sub(r"\.(w1|w2|w3)\.", lambda m: f".{USUAL[m.group(1)]}.", key)
        if prefix:
            key = key.replace("model.language_model.", "model.")
            key = prefix + key
        result[key] = value
    for key, parts in experts.items():
        result[key] = np.stack([parts[i] for i in range(len(parts))])
    return {key: np.ascontiguousarray(value) for key, value in sorted(result.items())}


FORMS = {  # shift the norms, usual names in plain mlps, prefix of all names
    "lfm2-auto": (False, False, ""), "lfm2_moe-bias": (False, True, ""), "qwen3_next-shared": (True, False, ""),
    "qwen3_5-vision": (True, False, "language_model."),
}


def make(name, out):
    source, folder = os.path.join(out, name), os.path.join(out, name + "-mlx")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for file in ("config.json", "golden.safetensors"):
        shutil.copy(os.path.join(source, file), folder)
    weights = convert(load_file(os.path.join(source, "model.safetensors")), *FORMS[name])
    save_file(weights, os.path.join(folder, "model.safetensors"), metadata={"format": "mlx"})
    with open(os.path.join(source, "meta.json"), encoding="utf-8") as f:
        meta = json.load(f)
    meta |= {"name": name + "-mlx", "source": meta["source"] + ", mlx_forms.py", "notes": f"{name} as mlx-lm saves it"}
    with open(os.path.join(folder, "meta.json"), "w", encoding="utf-8") as f:
        f.write(json.dumps(meta, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="tests/golden")
    arguments = parser.parse_args()
    for golden in FORMS:
        make(golden, arguments.out)
