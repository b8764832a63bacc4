#!/usr/bin/env python3
"""models.py [ZMLX] - writes docs/models.md from the golden checkpoints and the program itself.

For every architecture among tests/golden: what its graph is made of, which fusion rules discovery
applied to it (on every one of its goldens), and the goldens that hold its logits to the official
ones.  Run it when a family or a rule was added: python3 tools/models.py > docs/models.md
"""
import json
import pathlib
import re
import subprocess
import sys

ZMLX = sys.argv[1] if len(sys.argv) > 1 else "build/zmlx"

# What an op in the printed graph says about a family.
MARKS = [
    ("attention", r"= head_matmul\b", "latent (MLA)"),
    ("attention", r"= attention_sinks\b", "sinks"),
    ("attention", r"attention(_sinks)?\([^)]*window=", "window"),
    ("attention", r"attention(_sinks)?\([^)]*limit=", "soft cap"),
    ("attention", r"= head_rmsnorm\b", "norms of heads"),
    ("attention", r"= short_conv\b", "short convolution"),
    ("attention", r"= gated_delta\b", "linear (gated delta rule)"),
    ("attention", r"= activation\(sigmoid\).*# \S*self_attn", "gated output"),
    ("attention", r"rope=\d+i", "rope of neighbours"),
    ("attention", r"= position_scale\b", "scale by position"),
    ("mlp", r"= (matmul_glu|glu|activation)\(silu", "SwiGLU"),
    ("mlp", r"= (matmul_glu|glu|activation)\(gelu_tanh", "GELU (tanh)"),
    ("mlp", r"= (matmul_glu|glu|activation)\(gelu\)", "GELU"),
    ("mlp", r"= activation\(relu2\)", "ReLU2"),
    ("mlp", r"= clamped_glu\b", "clamped SwiGLU"),
    ("mlp", r"= expert_", "experts"),
    ("routing", r"= softmax\b.*\n.*= topk\(", "softmax of all"),
    ("routing", r"= gather_scores\b.*\n.*= softmax\b", "softmax of the chosen"),
    ("routing", r"= sigmoid_scores\b", "sigmoid"),
    ("routing", r"= add_row\b", "a bias that chooses"),
    ("routing", r"= group_limit\b", "groups"),
    ("routing", r"= normalize\b", "normalized"),
    ("norm", r"= rmsnorm\b", "RMSNorm"),
    ("norm", r"= rmsnorm\([^)]*offset=1", "1 + w"),
    ("norm", r"= layernorm\b", "LayerNorm"),
]


# Where mlx-lm computes something else than the official code, which is what is computed here.
MLX_LM = [
    ("Llama", "no layer slides", "goes by layer_types and sliding_window"),
    ("Mistral", "sliding_window holds for every layer", "ignores it without layer_types"),
    ("Gemma 2", "every second layer slides", "no layer does"),
    ("Gemma 3", "the embeddings' scale is rounded to the activations' dtype", "always to bfloat16"),
    ("Phi-3", "longrope's short factors up to the original context", "the long ones always"),
    ("gpt-oss", "yarn's truncate, swiglu_limit and swiglu_alpha come from the config", "they are fixed"),
]


def heads(config):
    """How queries share keys."""
    text = config.get("text_config", config)
    keys, queries = text.get("num_key_value_heads"), text["num_attention_heads"]
    return "grouped heads" if keys and keys < queries else "heads with keys of their own"


def run(*arguments):
    """The program's output; ends everything where it fails."""
    done = subprocess.run([ZMLX, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def gguf_names():
    """The architectures of GGUF by the class that they are: rows of gguf_architectures.c."""
    found = {}
    text = pathlib.Path("src/model/gguf_architectures.c").read_text()
    for name, hub in re.findall(r'\.name = "([^"]+)",\s*\.hub = "([^"]+)"', text):
        found.setdefault(hub, []).append(name)
    found["MistralForCausalLM"] = found["LlamaForCausalLM"]  # the same there
    found["Glm4MoeLiteForCausalLM"] = found["DeepseekV3ForCausalLM"]
    found["Gemma4ForConditionalGeneration"] = found["Gemma4ForCausalLM"]
    found["Gemma3ForConditionalGeneration"] = found["Gemma3ForCausalLM"]
    for name in ("Qwen3_5", "Qwen3_5Moe"):
        found[f"{name}ForConditionalGeneration"] = found[f"{name}ForCausalLM"]
    found["Mistral3ForConditionalGeneration"] = found["Ministral3ForCausalLM"]
    return found


def main():
    families, gguf = {}, gguf_names()
    for folder in sorted(pathlib.Path("tests/golden").iterdir()):
        if not (folder / "model.safetensors").exists():
            continue
        config = json.loads((folder / "config.json").read_text())
        name = config["architectures"][0]
        row = families.setdefault(name, {"goldens": [], "rules": set(), "words": {}})
        row["goldens"].append(folder.name)
        graph = run("inspect", str(folder), "--graph", "--no-fuse")
        if "= head_matmul" not in graph:
            row["words"].setdefault("attention", {})[heads(config)] = True
        for column, pattern, word in MARKS:
            if re.search(pattern, graph):
                row["words"].setdefault(column, {})[word] = True
        found = json.loads(run("discover", str(folder), "--no-keep", "--json"))
        row["rules"] |= {site["rule"] for site in found["applied"]}

    print("# Models\n")
    print("Made by `tools/models.py` from the golden checkpoints and what the program makes of them. Every golden's")
    print("logits are those of the official code within the bounds beside it, whole, in chunks, step by step, fused and")
    print("unfused (`src/serve/golden_test.c`, `fidelity_test.c`). The column GGUF has the architecture of such files.\n")
    print("| architecture | attention | mlp | routing | norm | fusions applied | GGUF | goldens |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in sorted(families.items()):
        words = [", ".join(row["words"].get(c, {})) for c in ("attention", "mlp", "routing", "norm")]
        rules, files = ", ".join(sorted(row["rules"])), ", ".join(gguf.get(name, []))
        print(f"| {name} | {' | '.join(words)} | {rules} | {files} | {', '.join(row['goldens'])} |")

    print("\nWhere mlx-lm differs from the official code, the official code counts:\n")
    print("| family | here | mlx-lm |\n|---|---|---|")
    for line in MLX_LM:
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
