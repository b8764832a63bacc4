/* qwen3_next.c - Qwen3-Next and Qwen3.5: most layers are linear attention by the gated delta rule,
 * every fourth attends, with norms of heads, a gate per head and a rope of a quarter of the head.
 * Qwen3-Next has mixtures of experts with a shared one, Qwen3.5 has them or a plain mlp.
 *
 * The norms' weights are centred at zero; files that mlx-lm has written have the one added already.
 * What tells them apart is the layout of the convolutions, as mlx-lm itself does. */
#include <stdio.h>

#include "model/families/families.h"
#include "model/recurrent.h"
#include "model/rope_config.h"

static bool written_by_mlx(const zx_checkpoint *checkpoint, const zx_config *config)
{
    for (size_t i = 0; i < config->layers; i++) {
        char name[96];
        (void)snprintf(name, sizeof name, "model.layers.%zu.linear_attn.conv1d.weight", i);
        const zx_stored_tensor *tensor = zx_checkpoint_peek(checkpoint, name);
        if (tensor != NULL) return zx_stored_is_mlx_conv(tensor);
    }
    return false;
}

static zmlx_status check_layers(const zx_checkpoint *checkpoint, zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    int64_t interval = 4;
    ZX_TRY(zx_fields_integer(&fields, "full_attention_interval", 1, ZX_MAX_LAYERS, &interval));
    zx_config_pattern(checkpoint, (size_t)interval, ZX_LAYER_LINEAR, config);
    ZX_TRY(zx_config_expect_types(checkpoint, config, ZX_LAYER_FULL, ZX_LAYER_LINEAR));
    config->norms_shifted = written_by_mlx(checkpoint, config);
    return zx_check_delta(checkpoint, config);
}

static zmlx_status check_next(const zx_checkpoint *checkpoint, zx_config *config)
{
    ZX_TRY(check_layers(checkpoint, config));
    return zx_moe_check(checkpoint, config);
}

/* llama.cpp's converter reorders the heads of Qwen3.5's values, not of Qwen3-Next's. */
static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    config->linear_heads_tiled = zx_checkpoint_is_gguf(checkpoint);
    return check_layers(checkpoint, config);
}

static zmlx_status check_moe(const zx_checkpoint *checkpoint, zx_config *config)
{
    config->normalize_weights = true; /* whatever the config says */
    ZX_TRY(check(checkpoint, config));
    return zx_moe_check(checkpoint, config);
}

/* A quarter of the head turns where the config does not say. */
static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    (void)type;
    if (!zx_checkpoint_has_share(checkpoint)) settings->dims = config->head_size / 4;
    return ZMLX_OK;
}

/* x + linear attention or attention of norm(x) */
static zmlx_status trace_mixer(zx_trace *trace, size_t layer, bool together, zx_value *x)
{
    zx_value part;
    zx_attention attention = zx_attention_usual(trace, layer);
    attention.query_norm = "q_norm";
    attention.key_norm = "k_norm";
    attention.gated = true;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &part));
    if (attention.type == ZX_LAYER_LINEAR)
        ZX_TRY(zx_block_delta(trace, part, "linear_attn", together, &part));
    else
        ZX_TRY(zx_block_attention(trace, part, &attention, &part));
    return zx_block_residual(trace, part, x);
}

static zmlx_status trace_mlp(zx_trace *trace, bool experts, zx_value *x)
{
    zx_value part;
    ZX_TRY(zx_block_norm(trace, *x, "post_attention_layernorm", &part));
    if (experts) {
        zx_moe moe = zx_moe_usual(trace, &zx_router_softmax);
        moe.shared = "shared_expert";
        moe.shared_gate = "shared_expert_gate";
        ZX_TRY(zx_block_moe(trace, part, &moe, &part));
    } else {
        ZX_TRY(zx_block_glu(trace, part, "mlp", trace->config->intermediate_size, &part));
    }
    return zx_block_residual(trace, part, x);
}

static zmlx_status trace_next(zx_trace *trace, size_t layer, zx_value *x)
{
    ZX_TRY(trace_mixer(trace, layer, true, x));
    return trace_mlp(trace, zx_qwen_has_experts(trace, layer), x);
}

static zmlx_status trace_dense(zx_trace *trace, size_t layer, zx_value *x)
{
    ZX_TRY(trace_mixer(trace, layer, false, x));
    return trace_mlp(trace, false, x);
}

static zmlx_status trace_moe(zx_trace *trace, size_t layer, zx_value *x)
{
    ZX_TRY(trace_mixer(trace, layer, false, x));
    return trace_mlp(trace, true, x);
}

#define SIZE(key, field, usual) key, ZX_FIELD_SIZE, offsetof(zx_config, field), ZX_OPTIONAL, usual

/* What the three have in common. */
#define COMMON_ROWS                                                                               \
    {SIZE("head_dim", head_size, 256)}, {SIZE("max_position_embeddings", context_length, 32768)}, \
        {SIZE("linear_conv_kernel_dim", conv_taps, 4)},                                           \
        {SIZE("linear_key_head_dim", linear_key_size, 128)},                                      \
        {SIZE("linear_value_head_dim", linear_value_size, 128)},                                  \
        {SIZE("linear_num_key_heads", linear_key_heads, 16)},                                     \
    {                                                                                             \
        SIZE("linear_num_value_heads", linear_value_heads, 32)                                    \
    }

static const zx_config_row next_rows[] = {
    COMMON_ROWS,
    {SIZE("num_key_value_heads", kv_heads, 2)},
    {SIZE("intermediate_size", intermediate_size, 5632)},
    {SIZE("num_experts|num_local_experts", experts, 512)},
    {SIZE("num_experts_per_tok", experts_per_token, 10)},
    {SIZE("moe_intermediate_size", expert_size, 512)},
    {SIZE("shared_expert_intermediate_size", shared_size, 512)},
    {"norm_topk_prob", ZX_FIELD_BOOL, offsetof(zx_config, normalize_weights), ZX_OPTIONAL, 1},
    {0},
};

static const zx_config_row dense_rows[] = {
    COMMON_ROWS,
    {SIZE("num_key_value_heads", kv_heads, 4)},
    {0},
};

/* No layer has a plain mlp. */
static const zx_config_row moe_rows[] = {
    COMMON_ROWS,
    {SIZE("num_key_value_heads", kv_heads, 2)},
    {SIZE("intermediate_size|moe_intermediate_size", intermediate_size, 512)},
    {SIZE("num_experts|num_local_experts", experts, 256)},
    {SIZE("num_experts_per_tok", experts_per_token, 8)},
    {SIZE("moe_intermediate_size", expert_size, 512)},
    {SIZE("shared_expert_intermediate_size", shared_size, 512)},
    {0},
};

const zx_family zx_family_qwen3_next = {
    .name = "qwen3_next",
    .norm = {.offset = 1, .wide = true},
    .architectures = {"Qwen3NextForCausalLM", NULL},
    .model_types = {"qwen3_next", NULL},
    .partial_rope = true,
    .config = next_rows,
    .check = check_next,
    .adjust_rope = adjust_rope,
    .trace_block = trace_next,
};

const zx_family zx_family_qwen3_5 = {
    .name = "qwen3_5",
    .norm = {.offset = 1, .wide = true},
    .architectures = {"Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration", NULL},
    .model_types = {"qwen3_5_text", "qwen3_5", NULL},
    .partial_rope = true,
    .config = dense_rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_dense,
};

const zx_family zx_family_qwen3_5_moe = {
    .name = "qwen3_5_moe",
    .norm = {.offset = 1, .wide = true},
    .architectures = {"Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration", NULL},
    .model_types = {"qwen3_5_moe_text", "qwen3_5_moe", NULL},
    .partial_rope = true,
    .config = moe_rows,
    .check = check_moe,
    .adjust_rope = adjust_rope,
    .trace_block = trace_moe,
};
