/* lfm2.c - LFM2 and LFM2-MoE: layers with a short convolution, and some that attend, with norms of
 * heads; no rope or norm is other than Llama's.  The norm behind the last layer is called
 * embedding_norm.
 *
 * The size of LFM2's mlp is computed from the config's, unless that says not to. */
#include <stdio.h>

#include "base/fail.h"
#include "model/families/families.h"
#include "model/recurrent.h"

/* Layers that attend are listed where they have no word each; without a list all do. */
static void set_layer_types(const zx_checkpoint *checkpoint, zx_config *config)
{
    const json_t *file = zx_checkpoint_config(checkpoint);
    const json_t *listed = json_object_get(file, "full_attn_idxs");
    if (json_is_array(json_object_get(file, "layer_types")) || !json_is_array(listed)) return;
    for (size_t i = 0; i < config->layers; i++) config->layer_types[i] = ZX_LAYER_CONV;
    for (size_t i = 0; i < json_array_size(listed); i++) {
        const json_int_t layer = json_integer_value(json_array_get(listed, i));
        if (layer >= 0 && (size_t)layer < config->layers)
            config->layer_types[layer] = ZX_LAYER_FULL;
    }
}

static zmlx_status check_size(const zx_checkpoint *checkpoint, const zx_config *config)
{
    const size_t size = config->intermediate_size;
    if (size > 0 && size <= ZX_MAX_SIZE) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: config key 'intermediate_size', adjusted as the config says, is %zu; "
                   "expected a usual size",
                   zx_checkpoint_path(checkpoint), size);
}

/* int(multiplier * int(2 * size / 3)), rounded up to a multiple; a multiplier of null: neither. */
static zmlx_status adjust_mlp(const zx_checkpoint *checkpoint, zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    const json_t *said = json_object_get(fields.object, "block_ffn_dim_multiplier");
    bool adjust = true;
    double multiplier = 1;
    int64_t multiple = 256;
    ZX_TRY(zx_fields_bool(&fields, "block_auto_adjust_ff_dim", &adjust));
    ZX_TRY(zx_fields_number(&fields, "block_ffn_dim_multiplier", 1e-6, 1024, &multiplier));
    ZX_TRY(zx_fields_integer(&fields, "block_multiple_of", 1, 1 << 20, &multiple));
    if (!adjust) return ZMLX_OK;
    config->intermediate_size = 2 * config->intermediate_size / 3;
    if (json_is_null(said)) return check_size(checkpoint, config);
    const size_t size = (size_t)(multiplier * (double)config->intermediate_size);
    const size_t unit = (size_t)multiple;
    config->intermediate_size = (size + unit - 1) / unit * unit;
    return check_size(checkpoint, config);
}

/* The activation is silu whatever a config says. */
static zmlx_status check_layers(const zx_checkpoint *checkpoint, zx_config *config)
{
    config->activation = ZX_ACTIVATION_SILU;
    ZX_TRY(zx_config_expect_types(checkpoint, config, ZX_LAYER_FULL, ZX_LAYER_CONV));
    return zx_check_taps(checkpoint, config);
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    set_layer_types(checkpoint, config);
    ZX_TRY(check_layers(checkpoint, config));
    return adjust_mlp(checkpoint, config);
}

static zmlx_status check_moe(const zx_checkpoint *checkpoint, zx_config *config)
{
    ZX_TRY(zx_moe_check(checkpoint, config));
    return check_layers(checkpoint, config);
}

/* Convolution or attention. */
static zmlx_status trace_operator(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_value part;
    zx_attention attention = zx_attention_usual(trace, layer);
    attention.query_norm = "q_layernorm";
    attention.key_norm = "k_layernorm";
    attention.output = "out_proj";
    ZX_TRY(zx_block_norm(trace, *x, "operator_norm", &part));
    ZX_TRY(attention.type == ZX_LAYER_CONV ? zx_block_short_conv(trace, part, "conv", &part)
                                           : zx_block_attention(trace, part, &attention, &part));
    return zx_block_residual(trace, part, x);
}

/* Files of MLX have the usual names where there are experts. */
static zmlx_status trace_mlp(zx_trace *trace, zx_value x, zx_value *y)
{
    const size_t size = trace->config->intermediate_size;
    const char *outer = NULL;
    zx_value gate, up;
    if (zx_block_has(trace, "feed_forward.gate_proj"))
        return zx_block_glu(trace, x, "feed_forward", size, y);
    ZX_TRY(zx_block_enter(trace, "feed_forward", &outer));
    ZX_TRY(zx_block_linear(trace, x, "w1", size, &gate));
    ZX_TRY(zx_block_linear(trace, x, "w3", size, &up));
    ZX_TRY(zx_block_gate(trace, gate, up, trace->config->activation, &gate));
    ZX_TRY(zx_block_linear(trace, gate, "w2", trace->config->hidden_size, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_value part;
    ZX_TRY(trace_operator(trace, layer, x));
    ZX_TRY(zx_block_norm(trace, *x, "ffn_norm", &part));
    ZX_TRY(trace_mlp(trace, part, &part));
    return zx_block_residual(trace, part, x);
}

/* The first layers are dense.  The bias only chooses, and may be missing. */
static zmlx_status trace_moe_block(zx_trace *trace, size_t layer, zx_value *x)
{
    static const zx_router unbiased = {.scores = ZX_OP_SIGMOID_SCORES, .epsilon = 1e-6F};
    const zx_fields fields = zx_checkpoint_fields(trace->checkpoint);
    bool biased = true;
    zx_value part;
    if (layer < trace->config->dense_layers) return trace_block(trace, layer, x);
    ZX_TRY(zx_fields_bool(&fields, "use_expert_bias", &biased));
    zx_moe moe = zx_moe_usual(trace, biased ? &zx_router_lfm2 : &unbiased);
    moe.modules[0] = "feed_forward";
    moe.modules[1] = NULL;
    ZX_TRY(trace_operator(trace, layer, x));
    ZX_TRY(zx_block_norm(trace, *x, "ffn_norm", &part));
    ZX_TRY(zx_block_moe(trace, part, &moe, &part));
    return zx_block_residual(trace, part, x);
}

#define SIZE(key, field, usual) key, ZX_FIELD_SIZE, offsetof(zx_config, field), ZX_OPTIONAL, usual

static const zx_config_row rows[] = {
    {"norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {"tie_embedding|tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 1},
    {SIZE("num_key_value_heads", kv_heads, 8)},
    {SIZE("max_position_embeddings", context_length, 128000)},
    {SIZE("conv_L_cache", conv_taps, 3)},
    {SIZE("block_ff_dim|intermediate_size", intermediate_size, 12288)},
    {0},
};

static const zx_config_row moe_rows[] = {
    {"norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {"tie_embedding|tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 1},
    ZX_SIZE_ROWS(2048, 7168, 32, 32, 8, 65536, 128000),
    {SIZE("conv_L_cache", conv_taps, 3)},
    {SIZE("num_dense_layers", dense_layers, 2)},
    {SIZE("num_experts", experts, 32)},
    {SIZE("num_experts_per_tok", experts_per_token, 4)},
    {SIZE("moe_intermediate_size", expert_size, 1792)},
    {"norm_topk_prob", ZX_FIELD_BOOL, offsetof(zx_config, normalize_weights), ZX_OPTIONAL, 1},
    {"routed_scaling_factor", ZX_FIELD_NUMBER, offsetof(zx_config, router_scale), ZX_OPTIONAL, 1},
    {0},
};

const zx_family zx_family_lfm2 = {
    .name = "lfm2",
    .architectures = {"Lfm2ForCausalLM", NULL},
    .model_types = {"lfm2", NULL},
    .names = {.norm = "model.embedding_norm"},
    .rope_theta = 1e6,
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};

const zx_family zx_family_lfm2_moe = {
    .name = "lfm2_moe",
    .architectures = {"Lfm2MoeForCausalLM", NULL},
    .model_types = {"lfm2_moe", NULL},
    .names = {.norm = "model.embedding_norm"},
    .rope_theta = 1e6,
    .config = moe_rows,
    .check = check_moe,
    .trace_block = trace_moe_block,
};
