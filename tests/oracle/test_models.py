"""Whole tiny models of mlx-lm: random weights, saved as mlx-lm saves them, run on both sides.

mlx-lm runs in f32 on the CPU, ours in precision f32 with MLX's CPU decoding, so both do the same
arithmetic but for the order of sums and a last bit in exp, sin and their like.  No closed bound of
that through some layers is of use; what was measured is below 2e-5 of the largest logit, a gelu of
the other kind makes 1e-4 of it and a wrong eps 2e-3, and CLOSE lies between.  Our chunked and
whole prompts must agree bit for bit.

Where mlx-lm departs from the official implementation, ours follows the official one: those
configurations stand in DEPARTURES and are skipped, with why.
"""

import importlib
import json
import re

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm import utils

import zmlx

CLOSE = 5e-5
TOKENS = 40
VOCABULARY = 160

BASE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-3,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
GEMMA = {
    **BASE,
    "head_dim": 32,
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 24,
    "tie_word_embeddings": True,
}
GEMMA4 = {
    **GEMMA,
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "global_head_dim": 64,
    "sliding_window": 8,
    "hidden_size_per_layer_input": 32,
    "vocab_size_per_layer_input": VOCABULARY,
    "num_kv_shared_layers": 2,
    "use_double_wide_mlp": True,
    "final_logit_softcapping": 15.0,
}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 64, "norm_topk_prob": True}
MLA = {
    **BASE,
    **EXPERTS,
    "num_key_value_heads": 4,
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "n_group": 4,
    "topk_group": 2,
    "num_experts_per_tok": 3,
    "routed_scaling_factor": 2.5,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "kv_lora_rank": 64,
    "q_lora_rank": 32,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
    "attention_bias": False,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
}
SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]

# By case: the model type of mlx-lm and what its config says.
CASES = {
    "llama": ("llama", BASE),
    "llama, tied, biases, head 32": (
        "llama",
        {
            **BASE,
            "head_dim": 32,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
        },
    ),
    "llama, llama3 rope": (
        "llama",
        {
            **BASE,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
    ),
    "llama, linear rope": ("llama", {**BASE, "rope_scaling": {"type": "linear", "factor": 4.0}}),
    "llama, interleaved rope": ("llama", {**BASE, "rope_traditional": True}),
    "mistral": ("mistral", {**BASE, "head_dim": 32}),
    "ministral3": (
        "ministral3",
        {
            **BASE,
            "head_dim": 32,
            "rope_parameters": {
                "type": "yarn",
                "rope_theta": 1e5,
                "factor": 8.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
                "original_max_position_embeddings": 16,
                "llama_4_scaling_beta": 0.3,
            },
        },
    ),
    "mixtral": ("mixtral", {**BASE, "num_local_experts": 8, "num_experts_per_tok": 2}),
    "qwen2": ("qwen2", {**BASE, "rope_theta": 1e6}),
    "qwen2, tied": ("qwen2", {**BASE, "tie_word_embeddings": True}),
    "qwen2_moe": (
        "qwen2_moe",
        {
            **BASE,
            **EXPERTS,
            "num_experts": 8,
            "norm_topk_prob": False,
            "shared_expert_intermediate_size": 96,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        },
    ),
    "qwen3": ("qwen3", {**BASE, "head_dim": 32}),
    "qwen3, tied": ("qwen3", {**BASE, "head_dim": 16, "tie_word_embeddings": True}),
    "qwen3_moe": (
        "qwen3_moe",
        {
            **BASE,
            **EXPERTS,
            "head_dim": 32,
            "num_experts": 8,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [1],
        },
    ),
    "qwen3_moe, weights as they are": (
        "qwen3_moe",
        {
            **BASE,
            **EXPERTS,
            "head_dim": 16,
            "num_experts": 8,
            "num_experts_per_tok": 3,
            "norm_topk_prob": False,
            "decoder_sparse_step": 2,
            "mlp_only_layers": [],
        },
    ),
    "qwen3_next": (
        "qwen3_next",
        {
            **BASE,
            **EXPERTS,
            "num_hidden_layers": 4,
            "head_dim": 32,
            "partial_rotary_factor": 0.25,
            "num_experts": 8,
            "shared_expert_intermediate_size": 64,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
            "full_attention_interval": 4,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 32,
            "linear_value_head_dim": 32,
            "linear_conv_kernel_dim": 4,
        },
    ),
    "gemma2": (
        "gemma2",
        {
            **GEMMA,
            "sliding_window": 64,
            "attn_logit_softcapping": 20.0,
            "final_logit_softcapping": 15.0,
        },
    ),
    "gemma3": (
        "gemma3_text",
        {
            **GEMMA,
            "sliding_window": 8,
            "sliding_window_pattern": 3,
            "rope_local_base_freq": 1000.0,
            "tie_word_embeddings": False,
        },
    ),
    "gemma4": ("gemma4_text", GEMMA4),
    "gemma4, keys as values, experts": (
        "gemma4_text",
        {
            **GEMMA4,
            "hidden_size_per_layer_input": 0,
            "num_kv_shared_layers": 0,
            "use_double_wide_mlp": False,
            "attention_k_eq_v": True,
            "num_global_key_value_heads": 1,
            "enable_moe_block": True,
            "num_experts": 8,
            "top_k_experts": 2,
            "moe_intermediate_size": 64,
        },
    ),
    "phi3": ("phi3", BASE),
    "phi3, part of the head turns": ("phi3", {**BASE, "partial_rotary_factor": 0.5}),
    "phi3, long factors": (
        "phi3",
        {
            **BASE,
            "original_max_position_embeddings": 16,
            "rope_scaling": {
                "type": "longrope",
                "long_factor": [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0],
                "short_factor": [1.0] * 8,
            },
        },
    ),
    "olmo2": ("olmo2", BASE),
    "olmo3": (
        "olmo3",
        {**BASE, "rope_theta": 5e5, "sliding_window": 8, "layer_types": SLIDING},
    ),
    "olmoe": ("olmoe", {**BASE, **EXPERTS, "num_experts": 8, "norm_topk_prob": False}),
    "granite": (
        "granite",
        {
            **BASE,
            "logits_scaling": 4.0,
            "attention_multiplier": 0.2,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.4,
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": True,
        },
    ),
    "granitemoe": (
        "granitemoe",
        {
            **BASE,
            "logits_scaling": 4.0,
            "attention_multiplier": 0.2,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.4,
            "attention_bias": False,
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
            "rope_scaling": None,
        },
    ),
    "cohere2": (
        "cohere2",
        {
            **BASE,
            "head_dim": 16,
            "layer_norm_eps": 1e-3,
            "logit_scale": 0.25,
            "sliding_window": 8,
            "sliding_window_pattern": 3,
            "tie_word_embeddings": True,
        },
    ),
    "smollm3": (
        "smollm3",
        {**BASE, "no_rope_layers": [1, 0, 1], "tie_word_embeddings": True},
    ),
    "gpt_neox": (
        "gpt_neox",
        {
            **BASE,
            "intermediate_size": 256,
            "num_key_value_heads": 4,
            "layer_norm_eps": 1e-3,
            "rotary_emb_base": 10000,
            "rotary_pct": 0.5,
            "hidden_act": "gelu_fast",
        },
    ),
    "starcoder2": (
        "starcoder2",
        {**BASE, "norm_epsilon": 1e-3, "use_bias": True, "hidden_act": "gelu_pytorch_tanh"},
    ),
    "deepseek_v3": ("deepseek_v3", MLA),
    "deepseek_v3, yarn": (
        "deepseek_v3",
        {
            **MLA,
            "q_lora_rank": None,
            "rope_scaling": {
                "type": "yarn",
                "factor": 8.0,
                "beta_fast": 32,
                "beta_slow": 1,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
                "original_max_position_embeddings": 64,
            },
        },
    ),
    "glm4_moe": (
        "glm4_moe",
        {
            **BASE,
            **EXPERTS,
            "head_dim": 32,
            "n_routed_experts": 8,
            "n_shared_experts": 1,
            "n_group": 1,
            "topk_group": 1,
            "routed_scaling_factor": 1.5,
            "first_k_dense_replace": 1,
            "use_qk_norm": True,
            "attention_bias": True,
            "partial_rotary_factor": 0.5,
            "rope_scaling": None,
        },
    ),
    "glm4_moe_lite": (
        "glm4_moe_lite",
        {**MLA, "n_group": 1, "topk_group": 1, "rope_scaling": None, "rms_norm_eps": 1e-6},
    ),
    "lfm2": (
        "lfm2",
        {
            **BASE,
            "norm_eps": 1e-3,
            "conv_bias": False,
            "conv_L_cache": 3,
            "block_dim": 64,
            "block_ff_dim": 128,
            "block_multiple_of": 32,
            "block_ffn_dim_multiplier": 1.0,
            "block_auto_adjust_ff_dim": True,
            "full_attn_idxs": [1],
            "layer_types": ["conv", "full_attention", "conv"],
            "tie_word_embeddings": True,
        },
    ),
    "gpt_oss": (
        "gpt_oss",
        {
            **BASE,
            "head_dim": 32,
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
            "intermediate_size": 64,
            "sliding_window": 8,
            "layer_types": SLIDING,
            "swiglu_limit": 7.0,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 8.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "original_max_position_embeddings": 64,
                "truncate": True,
            },
        },
    ),
}

# What is changed in mlx-lm's models to follow the official ones, for the time of the test.
ADJUSTMENTS = {
    "starcoder2": (nn, "gelu", nn.gelu_approx)  # it has the gelu of erf whatever hidden_act says
}

DEPARTURES = {
    "mistral, sliding_window": "mlx-lm ignores it without layer_types; the official model slides",
    "gemma2, beyond its window": "mlx-lm has a full mask everywhere; officially layers alternate",
    "gpt_neox, gelu": "mlx-lm has gelu_fast whatever hidden_act says; the usual word is gelu",
    "glm4_moe_lite, rms_norm_eps": "mlx-lm has it in the latent norms; officially 1e-6",
    "gemma3, hidden size no square": "mlx-lm rounds the embedding's scale to bf16; officially to T",
    "olmo3, another rope_theta": "mlx-lm's sliding layers take it too; officially the default, 5e5",
    "phi3, within the original context": "mlx-lm always takes the long factors of the rope",
    "gpt_oss, truncate false": "mlx-lm ignores it, and another swiglu_limit than 7",
}

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "ministral3": "Ministral3ForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "qwen3_next": "Qwen3NextForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "gemma4_text": "Gemma4ForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "olmo3": "Olmo3ForCausalLM",
    "olmoe": "OlmoeForCausalLM",
    "granite": "GraniteForCausalLM",
    "granitemoe": "GraniteMoeForCausalLM",
    "cohere2": "Cohere2ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "starcoder2": "Starcoder2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "glm4_moe": "Glm4MoeForCausalLM",
    "glm4_moe_lite": "Glm4MoeLiteForCausalLM",
    "lfm2": "Lfm2ForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
}

OTHER_NAMES = ("KimiK2ForCausalLM",)  # of architectures that are one of the above


def random_parameter(name, old, random, around_zero):
    """Every parameter is random, so that forgetting any of them shows."""
    last = name.rsplit(".", 1)[-1]
    values = random.standard_normal(old.shape)
    if "norm" in name and last == "weight":
        values = 0.3 * values + (0 if around_zero else 1)
    elif "embed" in name or old.ndim == 1:
        values = 0.5 * values
    else:
        values = values * 1.5 / np.sqrt(old.shape[-1] if old.shape[-1] > 1 else old.shape[-2])
    if (
        last == "e_score_correction_bias"
    ):  # a group that is out counts 0 there: keep the others above
        values = np.abs(values) * 0.2
    return mx.array(values.astype(np.float32))


def make(kind, config, seed=1):
    """mlx-lm's model of that config, with random weights, in f32."""
    name = utils.MODEL_REMAPPING.get(kind, kind)
    arch = importlib.import_module("mlx_lm.models." + name)
    config = {**config, "model_type": kind, "architectures": [ARCHITECTURES[kind]]}
    model = arch.Model(arch.ModelArgs.from_dict(config))
    random = np.random.default_rng(seed)
    fill = [
        (path, random_parameter(path, old, random, kind.startswith("gemma")))
        for path, old in tree_flatten(model.parameters())
    ]
    model.update(tree_unflatten(fill))
    mx.eval(model.parameters())
    return model, config


def logits_of(model, ids):
    logits = model(mx.array([ids]))[0].astype(mx.float32)
    mx.eval(logits)
    return np.array(logits)


@pytest.fixture(autouse=True)
def adjusted(request, monkeypatch):
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    if name in ADJUSTMENTS:
        monkeypatch.setattr(*ADJUSTMENTS[name])


def compare(folder, model, config):
    utils.save_model(folder, model)
    (folder / "config.json").write_text(json.dumps(config))
    ids = np.random.default_rng(5).integers(0, VOCABULARY, TOKENS).tolist()
    want = logits_of(model, ids)
    with zmlx.Model(str(folder), mlx_cpu_decode=True) as ours:
        assert ours.vocabulary == VOCABULARY and ours.dtype == "f32"
        with ours.session(precision="f32", threads=2) as session:
            got = np.array(session.logits(ids))
            assert np.array_equal(got, np.array(session.logits(ids, chunk=7)))
    off = np.abs(got - want).max(-1) / np.abs(want).max()
    assert (
        off.max() <= CLOSE
    ), f"token {np.argmax(off > CLOSE)}: {off.max():.2e} of the largest logit"


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The architectures of this build, as its refusal of another lists them."""
    folder = tmp_path_factory.mktemp("unknown")
    (folder / "config.json").write_text(json.dumps({"architectures": ["Unheard"]}))
    mx.save_safetensors(str(folder / "model.safetensors"), {"weight": mx.zeros((4, 4))})
    with pytest.raises(zmlx.UnsupportedError) as refusal:
        zmlx.Model(str(folder))
    return re.findall(r"\w+", str(refusal.value).split("known are:")[1])


def skip_unless(kind, known):
    if ARCHITECTURES[kind] not in known:
        pytest.skip(f"{kind}: a family that zmlx does not have")


def test_every_family_has_a_case(known):
    kinds = {ARCHITECTURES[kind] for kind, _ in CASES.values()} | set(OTHER_NAMES)
    missing = sorted(set(known) - kinds)
    if missing:
        pytest.skip(f"no case here for {', '.join(missing)}")


@pytest.mark.parametrize("name", CASES)
def test_float_weights(name, known, tmp_path):
    kind, config = CASES[name]
    skip_unless(kind, known)
    compare(tmp_path, *make(kind, config))


@pytest.mark.parametrize("name", CASES)
def test_four_bits(name, known, tmp_path):
    kind, config = CASES[name]
    skip_unless(kind, known)
    model, config = make(kind, config)
    compare(tmp_path, *utils.quantize_model(model, config, 32, 4))


@pytest.mark.parametrize(
    ("mode", "bits", "group"),
    [("affine", bits, group) for bits in (2, 3, 5, 6, 8) for group in (32, 64)]
    + [("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)],
)
def test_other_widths(mode, bits, group, tmp_path):
    model, config = make(*CASES["llama, tied, biases, head 32"])
    compare(tmp_path, *utils.quantize_model(model, config, group, bits, mode))


def test_mixed_widths(tmp_path):
    from mlx_lm.convert import mixed_quant_predicate_builder

    model, config = make(*CASES["llama"])
    predicate = mixed_quant_predicate_builder("mixed_3_6", model, 32)
    compare(tmp_path, *utils.quantize_model(model, config, 32, 4, quant_predicate=predicate))


@pytest.mark.parametrize("name", DEPARTURES)
def test_departures(name):
    pytest.skip(f"{name}: {DEPARTURES[name]}")
