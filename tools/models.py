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
    ("attention", r"= attention\b", "grouped heads"),
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
    ("mlp", r"= clamped_glu\b", "clamped SwiGLU"),
    ("mlp", r"= expert_", "experts"),
    ("routing", r"= softmax\b", "softmax of all"),
    ("routing", r"= sigmoid_scores\b", "sigmoid"),
    ("routing", r"= add_row\b", "a bias that chooses"),
    ("routing", r"= group_limit\b", "groups"),
    ("routing", r"= normalize\b", "normalized"),
    ("norm", r"= rmsnorm\b", "RMSNorm"),
    ("norm", r"= rmsnorm\([^)]*offset=1", "1 + w"),
    ("norm", r"= layernorm\b", "LayerNorm"),
]


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


if __name__ == "__main__":
    main()
