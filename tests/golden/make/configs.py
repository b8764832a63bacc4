"""configs.py - the checkpoints that families.py makes: configs as published files write them, at least two a family.

Keys of a row: "config", "notes"; "extra" (tensors that published files also hold), "rename" (pattern to replacement,
over the saved names), "dead" (patterns of tensors that cannot matter), "without" (keys of COMMON to leave out),
"official_drops" (the official code reads the file as another model)."""

COMMON = {"hidden_size": 32, "intermediate_size": 36, "num_hidden_layers": 2, "num_attention_heads": 4,
          "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 128, "rms_norm_eps": 3e-3}
MOE = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
EPS = ("rms_norm_eps",)
LAST_SCALAR = (r"layer_scalar",)  # of the last layer: a norm follows


def of(architecture, model_type, **keys):
    return {"architectures": [architecture], "model_type": model_type, **keys}


def llama(**keys):
    return of("LlamaForCausalLM", "llama", hidden_act="silu", **keys)


def mtp(layer, hidden=32):
    """The first tensors of a layer that predicts further tokens."""
    names = {"enorm.weight": [hidden], "hnorm.weight": [hidden], "eh_proj.weight": [hidden, 2 * hidden],
             "shared_head.norm.weight": [hidden], "input_layernorm.weight": [hidden]}
    return {f"model.layers.{layer}.{name}": shape for name, shape in names.items()}


SMALL_VISION = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                "image_size": 8, "patch_size": 4}

ROWS = {
    # --- Llama, Mistral, Ministral 3, Mixtral ---
    "llama-llama3": {
        "config": llama(rope_theta=500000.0, tie_word_embeddings=True, head_dim=16, rope_scaling={
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
            "rope_type": "llama3"}),
        "notes": "Llama 3.2: llama3 rope scaling, tied, heads * head_dim != hidden"},
    "llama-linear-bias": {
        "config": llama(rope_scaling={"type": "linear", "factor": 2.5}, attention_bias=True, mlp_bias=True,
                        pretraining_tp=1, num_attention_heads=2),
        "without": ("num_key_value_heads",),
        "notes": "linear rope scaling in its old form, biases everywhere, as many key heads as query heads"},
    "llama-yarn": {
        "config": llama(head_dim=16, tie_word_embeddings=False, rope_parameters={
            "rope_type": "yarn", "rope_theta": 20000.0, "factor": 4.0, "original_max_position_embeddings": 64,
            "beta_fast": 2.0, "beta_slow": 0.25, "truncate": False, "attention_factor": 1.3}),
        "extra": {"model.layers.0.self_attn.rotary_emb.inv_freq": [8],
                  "model.layers.1.self_attn.rotary_emb.inv_freq": [8]},
        "notes": "yarn with all its parameters, in transformers 5's form; the file holds rope's frequencies"},
    "llama-tied-head": {
        "config": llama(tie_word_embeddings=True), "extra": {"lm_head.weight": [96, 32]}, "official_drops": True,
        "notes": "tied by its config, but the file holds a head of its own: the official code uses that"},
    "llama-relu2": {
        "config": of("LlamaForCausalLM", "llama", hidden_act="relu2"),
        "notes": "an activation other than silu"},
    "mistral-window": {
        "config": of("MistralForCausalLM", "mistral", sliding_window=9, rope_theta=10000.0, hidden_act="silu"),
        "notes": "sliding window on every layer"},
    "mistral-nemo": {
        "config": of("MistralForCausalLM", "mistral", sliding_window=None, rope_theta=1e6, head_dim=16,
                     hidden_act="silu",
                     tie_word_embeddings=True),
        "notes": "no window, heads * head_dim != hidden, tied"},
    "ministral3-yarn": {
        "config": of("Ministral3ForCausalLM", "ministral3", head_dim=16, tie_word_embeddings=True, rope_parameters={
            "type": "yarn", "rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "beta_fast": 0.5,
            "beta_slow": 0.16, "original_max_position_embeddings": 16, "mscale": 1.0, "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": 0.3}),
        "notes": "yarn and a factor of the queries that grows with the position"},
    "ministral3-vision": {
        "config": of("Mistral3ForConditionalGeneration", "mistral3", image_token_index=2, spatial_merge_size=2,
                     tie_word_embeddings=False,
                     vision_config=SMALL_VISION | {"model_type": "pixtral", "head_dim": 4, "num_channels": 3},
                     text_config={"model_type": "ministral3", "head_dim": 16, "sliding_window": 9,
                     "intermediate_size": 20, "rope_parameters": {
                         "rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0, "beta_fast": 0.6, "beta_slow": 0.2,
                         "original_max_position_embeddings": 20, "mscale": 1.0, "mscale_all_dim": 0.5,
                         "llama_4_scaling_beta": 0.2}}),
        "notes": "the text part of a multimodal file; untied, window, two magnitudes of yarn"},
    "mixtral-tied": {
        "config": of("MixtralForCausalLM", "mixtral", sliding_window=9, rope_theta=1e4, head_dim=24,
                     num_local_experts=5,
                     num_experts_per_tok=3, intermediate_size=12, tie_word_embeddings=True) | MOE,
        "notes": "window, heads * head_dim != hidden, tied, three of five experts"},
    "mixtral-gelu": {
        "config": of("MixtralForCausalLM", "mixtral", hidden_act="gelu", num_local_experts=4, num_experts_per_tok=2,
                     intermediate_size=12) | MOE,
        "notes": "experts with the erf gelu, no window"},
    # --- Qwen ---
    "qwen2-tied": {
        "config": of("Qwen2ForCausalLM", "qwen2", rope_theta=1e6, tie_word_embeddings=True, use_sliding_window=False,
                     sliding_window=8, max_window_layers=0),
        "notes": "as Qwen2.5-0.5B: a window is written but not used"},
    "qwen2-window-yarn": {
        "config": of("Qwen2ForCausalLM", "qwen2", rope_theta=1e4, tie_word_embeddings=False, use_sliding_window=True,
                     sliding_window=8, max_window_layers=1, num_hidden_layers=3, intermediate_size=24, rope_scaling={
                         "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
        "notes": "layers from max_window_layers on slide; yarn as Qwen2.5's model card tells to add it"},
    "qwen2_moe-shared": {
        "config": of("Qwen2MoeForCausalLM", "qwen2_moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=12,
                     shared_expert_intermediate_size=20, norm_topk_prob=False, decoder_sparse_step=1,
                     use_sliding_window=False, sliding_window=8, max_window_layers=2, rope_theta=1e6) | MOE,
        "notes": "as Qwen1.5-MoE: weights are not normalized, a gated shared expert"},
    "qwen2_moe-step": {
        "config": of("Qwen2MoeForCausalLM", "qwen2_moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8,
                     shared_expert_intermediate_size=12, norm_topk_prob=True, decoder_sparse_step=2,
                     mlp_only_layers=[3],
                     qkv_bias=False, tie_word_embeddings=True, use_sliding_window=True, sliding_window=8,
                     max_window_layers=3, intermediate_size=20, rope_theta=1e4) | MOE | {"num_hidden_layers": 4},
        "notes": "dense layers by step and by list, normalized, no biases, every other early layer slides, tied"},
    "qwen3-tied": {
        "config": of("Qwen3ForCausalLM", "qwen3", head_dim=16, rope_theta=1e6, tie_word_embeddings=True,
                     use_sliding_window=False, sliding_window=None, max_window_layers=2, attention_bias=False),
        "notes": "as Qwen3-0.6B: heads * head_dim != hidden, tied"},
    "qwen3-window-bias": {
        "config": of("Qwen3ForCausalLM", "qwen3", head_dim=8, rope_theta=1e4, tie_word_embeddings=False,
                     use_sliding_window=True, sliding_window=8, max_window_layers=1, attention_bias=True,
                     rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
        "notes": "biases, a sliding layer, yarn"},
    "qwen3_moe-mixed": {
        "config": of("Qwen3MoeForCausalLM", "qwen3_moe", head_dim=16, num_experts=5, num_experts_per_tok=2,
                     moe_intermediate_size=16, norm_topk_prob=False, decoder_sparse_step=1, mlp_only_layers=[0],
                     rope_theta=1e6, tie_word_embeddings=True, use_sliding_window=False, sliding_window=8) | MOE,
        "notes": "a dense layer by list, weights are not normalized, tied"},
    "qwen3_moe-step": {
        "config": of("Qwen3MoeForCausalLM", "qwen3_moe", head_dim=16, num_experts=5, num_experts_per_tok=3,
                     moe_intermediate_size=12, norm_topk_prob=True, decoder_sparse_step=2, attention_bias=True,
                     rope_theta=1e4, use_sliding_window=True, sliding_window=8, intermediate_size=24) | MOE,
        "notes": "every other layer has experts, biases, a window on every layer"},
    "qwen3_next-shared": {
        "config": of("Qwen3NextForCausalLM", "qwen3_next", head_dim=16, num_experts=3, num_experts_per_tok=2,
                     moe_intermediate_size=6, shared_expert_intermediate_size=8, norm_topk_prob=True,
                     decoder_sparse_step=1, full_attention_interval=3, partial_rotary_factor=0.25, rope_theta=1e4,
                     linear_conv_kernel_dim=4, linear_key_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=4,
                     linear_value_head_dim=6) | MOE | {"num_hidden_layers": 3},
        "extra": {"mtp.fc.weight": [32, 64], "mtp.layers.0.input_layernorm.weight": [32], "mtp.norm.weight": [32]},
        "notes": "twice as many value heads as key heads, of another size; layers that predict further tokens"},
    "qwen3_next-dense": {
        "config": of("Qwen3NextForCausalLM", "qwen3_next", head_dim=16, num_experts=4, num_experts_per_tok=2,
                     moe_intermediate_size=8, shared_expert_intermediate_size=8, norm_topk_prob=False,
                     decoder_sparse_step=1, mlp_only_layers=[1], tie_word_embeddings=True, attention_bias=True,
                     layer_types=["full_attention", "linear_attention"], rope_parameters={
                         "rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
                     linear_conv_kernel_dim=3, linear_key_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=2,
                     linear_value_head_dim=8) | MOE,
        "notes": "a dense layer, weights are not normalized, as many key as value heads, kernel of 3, biases, tied"},
    "qwen3_5-text": {
        "config": of("Qwen3_5ForCausalLM", "qwen3_5_text", head_dim=16, full_attention_interval=2, rope_parameters={
                         "rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.25,
                         "mrope_interleaved": True, "mrope_section": [1, 1, 0]},
                     linear_conv_kernel_dim=4, linear_key_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=4,
                     linear_value_head_dim=8, num_attention_heads=2, num_key_value_heads=1, intermediate_size=32,
                     tie_word_embeddings=True),
        "notes": "the text model alone, tied"},
    "qwen3_5-vision": {
        "config": of("Qwen3_5ForConditionalGeneration", "qwen3_5", image_token_id=2, tie_word_embeddings=False,
                     vision_config={"model_type": "qwen3_5", "depth": 1, "hidden_size": 8, "intermediate_size": 8,
                                    "num_heads": 2, "out_hidden_size": 32, "patch_size": 2, "spatial_merge_size": 1,
                                    "temporal_patch_size": 1, "num_position_embeddings": 4, "in_channels": 3},
                     text_config=dict(
                         model_type="qwen3_5_text", head_dim=16, rope_parameters={
                             "rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5,
                             "mrope_interleaved": True, "mrope_section": [2, 1, 1]},
                         layer_types=["linear_attention", "full_attention"], linear_conv_kernel_dim=4,
                         linear_key_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=2,
                         linear_value_head_dim=8, num_attention_heads=2, num_key_value_heads=1, intermediate_size=24)),
        "extra": {"mtp.fc.weight": [32, 64], "mtp.norm.weight": [32]},
        "notes": "the text part of a multimodal file with layers that predict further tokens; untied"},
    "qwen3_5_moe-text": {
        "config": of("Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", head_dim=16, num_experts=4, num_experts_per_tok=2,
                     moe_intermediate_size=6, shared_expert_intermediate_size=8, full_attention_interval=2,
                     rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.25,
                                      "mrope_interleaved": True, "mrope_section": [1, 1, 0]},
                     linear_conv_kernel_dim=4, linear_key_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=4,
                     linear_value_head_dim=6, hidden_act="gelu_pytorch_tanh", tie_word_embeddings=False) | MOE,
        "notes": "the text model alone, value heads of another size, another activation, untied"},
    "qwen3_5_moe-vision": {
        "config": of("Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe", image_token_id=2, tie_word_embeddings=True,
                     vision_config={"model_type": "qwen3_5_moe", "depth": 1, "hidden_size": 8, "intermediate_size": 8,
                                    "num_heads": 2, "out_hidden_size": 32, "patch_size": 2, "spatial_merge_size": 1,
                                    "temporal_patch_size": 1, "num_position_embeddings": 4, "in_channels": 3},
                     text_config=dict(
                         model_type="qwen3_5_moe_text", head_dim=16, num_experts=3, num_experts_per_tok=2,
                         moe_intermediate_size=8, shared_expert_intermediate_size=6, rope_parameters={
                             "rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5,
                             "mrope_interleaved": True, "mrope_section": [2, 1, 1]},
                         layer_types=["linear_attention", "full_attention"], linear_conv_kernel_dim=3,
                         linear_key_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=2,
                         linear_value_head_dim=8, num_attention_heads=2, num_key_value_heads=1,
                         tie_word_embeddings=True)),
        "notes": "the text part of a multimodal file, as many key as value heads, kernel of 3, tied"},
    # --- Gemma ---
    "gemma2-caps": {
        "config": of("Gemma2ForCausalLM", "gemma2", head_dim=16, query_pre_attn_scalar=12, sliding_window=8,
                     attn_logit_softcapping=4.0, final_logit_softcapping=5.0, hidden_act="gelu_pytorch_tanh",
                     hidden_activation="gelu_pytorch_tanh"),
        "notes": "as the 27B: a scale of the scores, both soft caps, sliding and full layers alternate"},
    "gemma2-plain": {
        "config": of("Gemma2ForCausalLM", "gemma2", head_dim=8, query_pre_attn_scalar=8, sliding_window=8,
                     attn_logit_softcapping=None, final_logit_softcapping=None, hidden_size=24, rope_theta=20000.0,
                     layer_types=["full_attention", "sliding_attention"], tie_word_embeddings=False,
                     attention_bias=True, num_key_value_heads=1),
        "notes": "no soft caps, layer types of its own, biases, untied"},
    "gemma2-usual": {
        "config": of("Gemma2ForCausalLM", "gemma2", head_dim=16, query_pre_attn_scalar=2, sliding_window=8),
        "notes": "soft caps and the activation left out of the config: the official code has them all the same"},
    "gemma3_text-1b": {
        "config": of("Gemma3ForCausalLM", "gemma3_text", head_dim=16, query_pre_attn_scalar=24, sliding_window=8,
                     sliding_window_pattern=3, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1,
                     intermediate_size=12, rope_theta=1e6, rope_local_base_freq=10000.0,
                     hidden_activation="gelu_pytorch_tanh"),
        "notes": "as the 1B writes it: a pattern of layers, a rope for each kind"},
    "gemma3_text-layers": {
        "config": of("Gemma3ForCausalLM", "gemma3_text", head_dim=8, query_pre_attn_scalar=8, sliding_window=8,
                     layer_types=["full_attention", "sliding_attention"], tie_word_embeddings=False,
                     attn_logit_softcapping=4.0, final_logit_softcapping=5.0, rope_parameters={
                         "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0}}),
        "notes": "layer types, a linear rope on full layers, soft caps, untied"},
    "gemma3-vision": {
        "config": of("Gemma3ForConditionalGeneration", "gemma3", image_token_index=2, mm_tokens_per_image=4,
                     vision_config=SMALL_VISION | {"model_type": "siglip_vision_model"},
                     text_config={"model_type": "gemma3_text", "head_dim": 16, "query_pre_attn_scalar": 16,
                                  "sliding_window": 8, "sliding_window_pattern": 2, "rope_theta": 1e6,
                                  "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}),
        "rename": {r"^vision_tower\.": "vision_tower.vision_model."},
        "notes": "the text part of a multimodal file, names as the 4B has them"},
    "gemma4-ple": {
        "config": of("Gemma4ForConditionalGeneration", "gemma4", image_token_id=2, tie_word_embeddings=True,
                     vision_config=None, audio_config=None, text_config=dict(
                         model_type="gemma4_text", head_dim=8, global_head_dim=16, num_hidden_layers=4,
                         layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
                         sliding_window=8, num_attention_heads=2, num_key_value_heads=1, num_kv_shared_layers=2,
                         use_double_wide_mlp=True, hidden_size_per_layer_input=6, vocab_size_per_layer_input=96,
                         intermediate_size=12, final_logit_softcapping=5.0, rope_parameters={
                             "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25,
                                                "rope_theta": 1e6},
                             "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})),
        "extra": {"model.vision_tower.patch_embedder.input_proj.weight": [8, 12],
                  "model.embed_vision.embedding_projection.weight": [32, 8],
                  "model.audio_tower.output_proj.weight": [8, 8]},
        "dead": LAST_SCALAR,
        "notes": "as E2B: text part of a multimodal file, inputs per layer, layers share keys and values, wide mlps"},
    "gemma4-k_eq_v": {
        "config": of("Gemma4ForCausalLM", "gemma4_text", head_dim=8, global_head_dim=16, num_hidden_layers=3,
                     layer_types=["sliding_attention", "sliding_attention", "full_attention"], sliding_window=8,
                     num_global_key_value_heads=1, attention_k_eq_v=True, hidden_size_per_layer_input=0,
                     final_logit_softcapping=None, intermediate_size=24),
        "dead": LAST_SCALAR, "notes": "as the 31B: full layers have fewer heads, and values that are the keys"},
    "gemma4-a4b": {
        "config": of("Gemma4ForCausalLM", "gemma4_text", head_dim=8, global_head_dim=16, num_hidden_layers=2,
                     layer_types=["sliding_attention", "full_attention"], sliding_window=8, attention_k_eq_v=True,
                     num_global_key_value_heads=1, hidden_size_per_layer_input=0, final_logit_softcapping=5.0,
                     intermediate_size=24, enable_moe_block=True, num_experts=4, top_k_experts=2,
                     moe_intermediate_size=8),
        "dead": LAST_SCALAR, "notes": "as 26B-A4B: an mlp and experts side by side"},
    # --- Phi-3, OLMo, Granite ---
    "phi3-window": {
        "config": of("Phi3ForCausalLM", "phi3", rope_scaling=None, sliding_window=9,
                     original_max_position_embeddings=128,
                     num_key_value_heads=4, pad_token_id=0, eos_token_id=1),
        "notes": "as Phi-3-mini-4k: a window on every layer, no grouped heads"},
    "phi3-partial": {
        "config": of("Phi3ForCausalLM", "phi3", rope_scaling=None, sliding_window=None, partial_rotary_factor=0.75,
                     tie_word_embeddings=True, original_max_position_embeddings=128, num_attention_heads=2,
                     num_key_value_heads=1, pad_token_id=0, eos_token_id=1),
        "notes": "three quarters of the head turn, grouped heads, tied"},
    "phi3-longrope": {
        "config": of("Phi3ForCausalLM", "phi3", sliding_window=100, partial_rotary_factor=0.75,
                     tie_word_embeddings=True,
                     original_max_position_embeddings=24, num_attention_heads=2, num_key_value_heads=1, pad_token_id=0,
                     eos_token_id=1, rope_scaling={
                         "type": "longrope", "long_factor": [1.1, 1.5, 2.2, 3.1, 4.0, 5.5],
                         "short_factor": [1.0, 1.1, 1.2, 1.4, 1.7, 2.0]}),
        "notes": "as Phi-4-mini: longrope beyond its original length"},
    "phi3-longrope-short": {
        "config": of("Phi3ForCausalLM", "phi3", sliding_window=100, original_max_position_embeddings=64, pad_token_id=0,
                     eos_token_id=1, rope_scaling={"type": "longrope", "long_factor": [1.1, 2.2, 4.0, 5.5],
                                                   "short_factor": [1.0, 1.2, 1.7, 2.0]}),
        "notes": "longrope within the original length: short factors, but the magnitude of the long ones"},
    "olmo2-gqa": {
        "config": of("Olmo2ForCausalLM", "olmo2", rope_theta=500000.0, tie_word_embeddings=False, attention_bias=False),
        "notes": "as the 32B: grouped heads"},
    "olmo2-bias": {
        "config": of("Olmo2ForCausalLM", "olmo2", rope_scaling={"type": "linear", "factor": 2.0}, attention_bias=True,
                     tie_word_embeddings=True),
        "without": ("num_key_value_heads",),
        "notes": "biases, linear rope, no grouped heads, tied"},
    "olmo3-yarn": {
        "config": of("Olmo3ForCausalLM", "olmo3", num_hidden_layers=4, sliding_window=8, rope_theta=10000.0,
                     intermediate_size=12, num_attention_heads=2, num_key_value_heads=1, rope_scaling={
                         "rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 16,
                         "attention_factor": 1.2079441541679836, "beta_fast": 0.5, "beta_slow": 0.16}),
        "notes": "as published: every fourth layer is full, and only its rope is scaled"},
    "olmo3-types": {
        "config": of("Olmo3ForCausalLM", "olmo3", sliding_window=8, layer_types=["full_attention", "sliding_attention"],
                     tie_word_embeddings=True, attention_bias=True, rope_parameters={
                         "full_attention": {"rope_type": "default", "rope_theta": 50000.0},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}),
        "notes": "layer types of its own, grouped heads, biases, tied, a theta for each kind"},
    "olmoe-plain": {
        "config": of("OlmoeForCausalLM", "olmoe", num_experts=5, num_experts_per_tok=2, norm_topk_prob=False,
                     clip_qkv=None, intermediate_size=12, rope_theta=10000.0) | MOE | {"num_key_value_heads": 2},
        "notes": "as published: weights are not normalized"},
    "olmoe-bias": {
        "config": of("OlmoeForCausalLM", "olmoe", num_experts=5, num_experts_per_tok=3, norm_topk_prob=True,
                     intermediate_size=12, attention_bias=True, tie_word_embeddings=True) | MOE,
        "notes": "normalized weights, grouped heads, biases, tied"},
    "granite-tied": {
        "config": of("GraniteForCausalLM", "granite", embedding_multiplier=3.0, attention_multiplier=0.2,
                     residual_multiplier=0.6, logits_scaling=2.0, tie_word_embeddings=True, rope_theta=1e4),
        "notes": "all four multipliers, tied"},
    "granite-bias": {
        "config": of("GraniteForCausalLM", "granite", embedding_multiplier=2.0, attention_multiplier=0.5,
                     residual_multiplier=1.0, logits_scaling=0.8, attention_bias=True, mlp_bias=True, rope_scaling={
                         "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
        "notes": "biases everywhere, yarn, untied"},
    "granitemoe-multipliers": {
        "config": of("GraniteMoeForCausalLM", "granitemoe", num_local_experts=6, num_experts_per_tok=2,
                     embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.6, logits_scaling=2.0,
                     intermediate_size=12, tie_word_embeddings=True) | MOE,
        "notes": "all four multipliers, tied"},
    "granitemoe-bias": {
        "config": of("GraniteMoeForCausalLM", "granitemoe", num_local_experts=4, num_experts_per_tok=3,
                     embedding_multiplier=2.0, attention_multiplier=0.5, residual_multiplier=1.0, logits_scaling=0.8,
                     intermediate_size=12, attention_bias=True, rope_theta=20000.0) | MOE,
        "notes": "biases, untied, three of four experts"},
    # --- LFM2 ---
    "lfm2-auto": {
        "config": of("Lfm2ForCausalLM", "lfm2", norm_eps=3e-3, block_auto_adjust_ff_dim=True, block_ff_dim=40,
                     block_ffn_dim_multiplier=1.0, block_multiple_of=16, full_attn_idxs=[1], conv_L_cache=3,
                     conv_bias=False, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, rope_theta=1e6,
                     tie_embedding=True),
        "without": EPS + ("intermediate_size",),
        "notes": "as published: the mlp's size is computed, attending layers are listed"},
    "lfm2-types": {
        "config": of("Lfm2ForCausalLM", "lfm2", norm_eps=3e-3, block_auto_adjust_ff_dim=False, intermediate_size=24,
                     layer_types=["full_attention", "conv", "conv"], conv_L_cache=4, conv_bias=True,
                     num_hidden_layers=3,
                     rope_parameters={"rope_type": "default", "rope_theta": 1e4}, tie_word_embeddings=False),
        "without": EPS,
        "notes": "layer types, biases in convolutions, a kernel of 4, untied"},
    "lfm2_moe-bias": {
        "config": of("Lfm2MoeForCausalLM", "lfm2_moe", norm_eps=3e-3, num_dense_layers=1, num_experts=4,
                     num_experts_per_tok=2, moe_intermediate_size=8, intermediate_size=24, use_expert_bias=True,
                     norm_topk_prob=True,
                     routed_scaling_factor=1.0, layer_types=["conv", "full_attention", "conv"], conv_L_cache=3,
                     conv_bias=False, rope_theta=1e6, tie_embedding=True) | MOE | {"num_hidden_layers": 3},
        "without": EPS,
        "notes": "as published: a bias that only chooses, normalized weights"},
    "lfm2_moe-plain": {
        "config": of("Lfm2MoeForCausalLM", "lfm2_moe", norm_eps=3e-3, num_dense_layers=0, num_experts=5,
                     num_experts_per_tok=3, moe_intermediate_size=12, use_expert_bias=False, norm_topk_prob=False,
                     routed_scaling_factor=1.7, layer_types=["full_attention", "conv"], conv_L_cache=4, conv_bias=True,
                     tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 1e4}) | MOE,
        "without": EPS,
        "notes": "no bias for choosing, weights are not normalized but scaled, no dense layer, untied"},
    # --- DeepSeek-V3, Kimi K2, GLM ---
    "deepseek_v3-groups": {
        "config": of("DeepseekV3ForCausalLM", "deepseek_v3", q_lora_rank=12, kv_lora_rank=16, qk_nope_head_dim=8,
                     qk_rope_head_dim=8, v_head_dim=6, n_routed_experts=8, num_experts_per_tok=3, n_group=4,
                     topk_group=2,
                     n_shared_experts=1, moe_intermediate_size=8, first_k_dense_replace=1, norm_topk_prob=True,
                     routed_scaling_factor=2.5, scoring_func="sigmoid", topk_method="noaux_tc", rope_theta=10000,
                     num_nextn_predict_layers=1, num_attention_heads=4, num_key_value_heads=4, rope_scaling={
                         "type": "yarn", "factor": 4, "original_max_position_embeddings": 32, "beta_fast": 0.5,
                         "beta_slow": 0.048, "mscale": 1.0, "mscale_all_dim": 1.0}),
        "extra": mtp(2),
        "notes": "as published: groups of experts, yarn; the file holds a layer that predicts further tokens"},
    "deepseek_v3-moonlight": {
        "config": of("DeepseekV3ForCausalLM", "deepseek_v3", q_lora_rank=None, kv_lora_rank=16, qk_nope_head_dim=8,
                     qk_rope_head_dim=8, v_head_dim=8, n_routed_experts=6, num_experts_per_tok=2, n_group=1,
                     topk_group=1,
                     n_shared_experts=2, moe_intermediate_size=8, first_k_dense_replace=0, norm_topk_prob=False,
                     routed_scaling_factor=1.4, rope_theta=50000.0, rope_scaling=None, num_nextn_predict_layers=0,
                     rope_interleave=False, attention_bias=True, tie_word_embeddings=True, num_attention_heads=2,
                     num_key_value_heads=2),
        "dead": (r"kv_a_proj_with_mqa\.bias",),
        "notes": "queries without a latent, no groups, two shared experts, not normalized, halves turn, biases, tied"},
    "deepseek_v3-kimi_k2": {
        "config": of("DeepseekV3ForCausalLM", "kimi_k2", q_lora_rank=12, kv_lora_rank=16, qk_nope_head_dim=8,
                     qk_rope_head_dim=8, v_head_dim=8, n_routed_experts=6, num_experts_per_tok=2, n_group=1,
                     topk_group=1,
                     n_shared_experts=1, moe_intermediate_size=8, first_k_dense_replace=1, norm_topk_prob=True,
                     routed_scaling_factor=2.827, rope_theta=50000.0, num_nextn_predict_layers=0, num_attention_heads=2,
                     num_key_value_heads=2, rope_scaling={
                         "type": "yarn", "factor": 32.0, "original_max_position_embeddings": 96, "beta_fast": 1.0,
                         "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0}),
        "notes": "as Kimi K2: the class of DeepSeek-V3 under another type; yarn with one beta"},
    "glm4_moe-qk_norm": {
        "config": of("Glm4MoeForCausalLM", "glm4_moe", head_dim=16, n_routed_experts=5, num_experts_per_tok=2,
                     n_group=1,
                     topk_group=1, n_shared_experts=1, moe_intermediate_size=8, first_k_dense_replace=1,
                     norm_topk_prob=True, routed_scaling_factor=2.5, use_qk_norm=True, attention_bias=True,
                     partial_rotary_factor=0.5, rope_theta=1000000, num_nextn_predict_layers=1, rope_scaling=None,
                     num_attention_heads=2, num_key_value_heads=1),
        "extra": mtp(2),
        "notes": "as GLM-4.5: norms of queries and keys, biases; the file holds a layer that predicts further tokens"},
    "glm4_moe-groups": {
        "config": of("Glm4MoeForCausalLM", "glm4_moe", head_dim=16, n_routed_experts=6, num_experts_per_tok=2,
                     n_group=3,
                     topk_group=2, n_shared_experts=2, moe_intermediate_size=8, first_k_dense_replace=0,
                     norm_topk_prob=False, routed_scaling_factor=1.5, use_qk_norm=False, attention_bias=False,
                     rope_theta=10000.0, tie_word_embeddings=True, num_attention_heads=2, num_key_value_heads=1),
        "notes": "groups, weights are not normalized, no norms of queries and keys, two shared experts, tied"},
    "glm4_moe_lite-flash": {
        "config": of("Glm4MoeLiteForCausalLM", "glm4_moe_lite", q_lora_rank=12, kv_lora_rank=16, qk_nope_head_dim=10,
                     qk_rope_head_dim=8, v_head_dim=12, n_routed_experts=6, num_experts_per_tok=2, n_group=1,
                     topk_group=1, n_shared_experts=1, moe_intermediate_size=8, first_k_dense_replace=1,
                     norm_topk_prob=True, routed_scaling_factor=1.8, rope_theta=1000000, num_nextn_predict_layers=1,
                     rope_scaling=None, partial_rotary_factor=1.0, topk_method="noaux_tc", num_attention_heads=2,
                     num_key_value_heads=2),
        "extra": mtp(2),
        "notes": "as GLM-4.7-Flash: the file holds a layer that predicts further tokens"},
    "glm4_moe_lite-types": {
        "config": of("Glm4MoeLiteForCausalLM", "glm4_moe_lite", q_lora_rank=None, kv_lora_rank=16, qk_nope_head_dim=8,
                     qk_rope_head_dim=8, v_head_dim=8, n_routed_experts=6, num_experts_per_tok=2, n_group=3,
                     topk_group=2,
                     n_shared_experts=1, moe_intermediate_size=8, mlp_layer_types=["sparse", "dense"],
                     norm_topk_prob=False, routed_scaling_factor=1.3, rope_interleave=False, tie_word_embeddings=True,
                     num_attention_heads=2, num_key_value_heads=2, rope_parameters={
                         "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
                         "original_max_position_embeddings": 32, "beta_fast": 0.5, "beta_slow": 0.048, "mscale": 1.0,
                         "mscale_all_dim": 0.8}),
        "notes": "types of mlps, queries without a latent, groups, halves turn, yarn with two magnitudes, tied"},
    # --- gpt-oss, Cohere 2, SmolLM3, StarCoder2, GPT-NeoX ---
    "gpt_oss-yarn": {
        "config": of("GptOssForCausalLM", "gpt_oss", head_dim=16, num_local_experts=4, num_experts_per_tok=2,
                     experts_per_token=2, intermediate_size=12, sliding_window=8, swiglu_limit=1.5, attention_bias=True,
                     initial_context_length=64, rope_theta=150000, rope_scaling={
                         "rope_type": "yarn", "factor": 4.0, "beta_fast": 2.0, "beta_slow": 0.25, "truncate": False,
                         "original_max_position_embeddings": 64}) | MOE,
        "notes": "as published, except that the clamp is tight"},
    "gpt_oss-types": {
        "config": of("GptOssForCausalLM", "gpt_oss", head_dim=8, num_local_experts=5, num_experts_per_tok=3,
                     intermediate_size=12, sliding_window=8, swiglu_limit=2.0, swiglu_alpha=1.3, attention_bias=True,
                     tie_word_embeddings=True, layer_types=["full_attention", "sliding_attention"], rope_parameters={
                         "rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0, "beta_fast": 0.5,
                         "beta_slow": 0.048,
                         "original_max_position_embeddings": 32}) | MOE,
        "notes": "layer types, another alpha, truncated yarn, tied"},
    "cohere2-pattern": {
        "config": of("Cohere2ForCausalLM", "cohere2", layer_norm_eps=3e-3, num_hidden_layers=3, sliding_window=8,
                     sliding_window_pattern=3, logit_scale=0.25, rope_theta=50000, intermediate_size=24),
        "without": EPS,
        "notes": "as Command R7B writes it: a pattern of layers"},
    "cohere2-types-bias": {
        "config": of("Cohere2ForCausalLM", "cohere2", layer_norm_eps=3e-3, sliding_window=8, logit_scale=0.5,
                     layer_types=["full_attention", "sliding_attention"], attention_bias=True,
                     rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}),
        "without": EPS, "dead": (r"layers\.0\.self_attn\.k_proj\.bias",),
        "notes": "layer types, biases (a key's bias cannot matter without rope), linear rope"},
    "smollm3-nope": {
        "config": of("SmolLM3ForCausalLM", "smollm3", num_hidden_layers=4, no_rope_layer_interval=2,
                     no_rope_layers=[1, 0, 1, 0], rope_theta=5000000.0, intermediate_size=16, attention_bias=False,
                     use_sliding_window=False, pad_token_id=0, tie_word_embeddings=True),
        "notes": "as published: some layers without rope, tied"},
    "smollm3-window": {
        "config": of("SmolLM3ForCausalLM", "smollm3", num_hidden_layers=3, no_rope_layer_interval=2,
                     intermediate_size=16,
                     use_sliding_window=True, sliding_window=8, attention_bias=True, mlp_bias=True, pad_token_id=0,
                     tie_word_embeddings=False, rope_scaling={
                         "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
        "dead": (r"layers\.1\.self_attn\.k_proj\.bias",),
        "notes": "layers without rope slide, biases (a key's bias cannot matter without rope), yarn, untied"},
    "starcoder2-window": {
        "config": of("Starcoder2ForCausalLM", "starcoder2", norm_epsilon=3e-3, sliding_window=9, use_bias=True,
                     hidden_act="gelu_pytorch_tanh", rope_theta=999999.4420358813),
        "without": EPS,
        "notes": "as published: biases, window, tied"},
    "starcoder2-plain": {
        "config": of("Starcoder2ForCausalLM", "starcoder2", norm_epsilon=3e-3, sliding_window=None, use_bias=False,
                     hidden_act="gelu", num_key_value_heads=1, tie_word_embeddings=False, intermediate_size=64),
        "without": EPS,
        "notes": "no biases, no window, gelu by erf, one key head, untied"},
    "gpt_neox-pythia": {
        "config": of("GPTNeoXForCausalLM", "gpt_neox", layer_norm_eps=3e-3, hidden_act="gelu", rotary_pct=0.25,
                     rotary_emb_base=10000, use_parallel_residual=True, tie_word_embeddings=False,
                     num_attention_heads=2,
                     intermediate_size=48),
        "without": EPS + ("num_key_value_heads",),
        "extra": {"gpt_neox.layers.0.attention.bias": [1, 1, 16, 16], "gpt_neox.layers.0.attention.masked_bias": [],
                  "gpt_neox.layers.0.attention.rotary_emb.inv_freq": [2]},
        "notes": "as Pythia: attention beside mlp, a quarter of the head turns; the file holds masks and frequencies"},
    "gpt_neox-serial": {
        "config": of("GPTNeoXForCausalLM", "gpt_neox", layer_norm_eps=3e-3, hidden_act="gelu_fast",
                     attention_bias=False,
                     use_parallel_residual=False, tie_word_embeddings=True, num_attention_heads=2, intermediate_size=48,
                     rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 20000.0,
                                      "partial_rotary_factor": 1.0}),
        "without": EPS + ("num_key_value_heads",),
        "notes": "attention before the mlp, no biases in attention, the whole head turns, linear rope, tied"},
}
