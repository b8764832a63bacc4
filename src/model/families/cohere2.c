/* cohere2.c - Cohere 2 (Command R7B, Command A): one layernorm for attention and mlp, which stand
 * side by side; sliding layers have a rope of neighbours, full ones none.
 *
 *   y = x + attention(n) + mlp(n),  n = layernorm(x) */
#include "model/families/families.h"
#include "model/rope_config.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_pattern(checkpoint, config->window_pattern, ZX_LAYER_SLIDING, config);
    return ZMLX_OK;
}

static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    (void)checkpoint, (void)config, (void)type;
    settings->interleaved = true;
    return ZMLX_OK;
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    zx_value normed, attended, part;
    if (trace->config->layer_types[layer] != ZX_LAYER_SLIDING) attention.rope = NULL;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &normed));
    ZX_TRY(zx_block_attention(trace, normed, &attention, &attended));
    ZX_TRY(zx_block_glu(trace, normed, "mlp", trace->config->intermediate_size, &part));
    ZX_TRY(zx_block_add(trace, *x, attended, x));
    return zx_block_add(trace, *x, part, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(8192, 22528, 40, 64, 0, 256000, 8192),
    {"layer_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 4096},
    {"sliding_window_pattern|_sliding_window_pattern", ZX_FIELD_SIZE,
     offsetof(zx_config, window_pattern), ZX_OPTIONAL, 4},
    {"logit_scale", ZX_FIELD_NUMBER, offsetof(zx_config, logit_scale), ZX_OPTIONAL, 0.0625},
    {"tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 1},
    {0},
};

const zx_family zx_family_cohere2 = {
    .name = "cohere2",
    .norm = {.layernorm = true},
    .architectures = {"Cohere2ForCausalLM", NULL},
    .model_types = {"cohere2", NULL},
    .config = rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
