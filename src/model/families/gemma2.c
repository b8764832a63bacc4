/* gemma2.c - Gemma 2: norms before and after attention and mlp, weights of norms that are 1 + w,
 * soft caps, and every second layer sliding (mlx-lm gives all layers the full mask).
 *
 *   h = x + norm(attention(norm(x))),  y = h + norm(mlp(norm(h))) */
#include <math.h>

#include "model/families/families.h"

zmlx_status zx_trace_gemma_block(zx_trace *trace, const zx_attention *attention, zx_value *x)
{
    zx_value part;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &part));
    ZX_TRY(zx_block_attention(trace, part, attention, &part));
    ZX_TRY(zx_block_norm(trace, part, "post_attention_layernorm", &part));
    ZX_TRY(zx_block_add(trace, *x, part, x));
    ZX_TRY(zx_block_norm(trace, *x, "pre_feedforward_layernorm", &part));
    ZX_TRY(zx_block_glu(trace, part, "mlp", trace->config->intermediate_size, &part));
    ZX_TRY(zx_block_norm(trace, part, "post_feedforward_layernorm", &part));
    return zx_block_add(trace, *x, part, x);
}

zmlx_status zx_check_gemma(const zx_checkpoint *checkpoint, zx_config *config)
{
    if (!(config->query_size > 0 && config->query_size < 1e9)) {
        const zx_fields fields = zx_checkpoint_fields(checkpoint);
        return zx_fields_fail(&fields, "query_pre_attn_scalar", "a number above 0");
    }
    config->attention_scale = 1 / sqrt(config->query_size);
    config->embedding_scale = sqrt((double)config->hidden_size);
    config->embedding_scale_rounded = true;
    return zx_config_refuse_true(checkpoint, "use_bidirectional_attention");
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_pattern(checkpoint, 2, ZX_LAYER_SLIDING, config);
    return zx_check_gemma(checkpoint, config);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    return zx_trace_gemma_block(trace, &attention, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(2304, 9216, 26, 8, 4, 256000, 8192),
    {"hidden_activation", ZX_FIELD_ACTIVATION, offsetof(zx_config, activation), ZX_OPTIONAL,
     ZX_ACTIVATION_GELU_TANH},
    {"head_dim", ZX_FIELD_SIZE, offsetof(zx_config, head_size), ZX_OPTIONAL, 256},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 4096},
    {"query_pre_attn_scalar", ZX_FIELD_NUMBER, offsetof(zx_config, query_size), ZX_OPTIONAL, 256},
    {"attn_logit_softcapping", ZX_FIELD_NUMBER, offsetof(zx_config, attention_limit),
     ZX_NULL_IS_NONE, 50},
    {"final_logit_softcapping", ZX_FIELD_NUMBER, offsetof(zx_config, logit_limit), ZX_NULL_IS_NONE,
     30},
    {"tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 1},
    {0},
};

const zx_family zx_family_gemma2 = {
    .name = "gemma2",
    .norm = {.offset = 1, .wide = true},
    .architectures = {"Gemma2ForCausalLM", NULL},
    .model_types = {"gemma2", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
