/* olmo2.c - OLMo 2 and 3: no norm before attention and mlp but one behind each, and an rmsnorm of
 * all queries and of all keys before they are cut into heads.  OLMo 3 adds sliding layers, with a
 * rope of their own.
 *
 *   h = x + norm(attention(x)),  y = h + norm(mlp(h)) */
#include "model/families/families.h"
#include "model/rope_config.h"

static zmlx_status check_olmo3(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_pattern(checkpoint, 4, ZX_LAYER_SLIDING, config);
    return ZMLX_OK;
}

static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    static const zx_typed_ropes usual = {5e5, 5e5, NULL};
    (void)config;
    return zx_rope_of_type(checkpoint, type, &usual, settings);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    zx_value part;
    attention.query_norm = "q_norm";
    attention.key_norm = "k_norm";
    attention.whole_norm = true;
    ZX_TRY(zx_block_attention(trace, *x, &attention, &part));
    ZX_TRY(zx_block_norm(trace, part, "post_attention_layernorm", &part));
    ZX_TRY(zx_block_add(trace, *x, part, x));
    ZX_TRY(zx_block_glu(trace, *x, "mlp", trace->config->intermediate_size, &part));
    ZX_TRY(zx_block_norm(trace, part, "post_feedforward_layernorm", &part));
    return zx_block_add(trace, *x, part, x);
}

static const zx_config_row olmo2_rows[] = {
    ZX_SIZE_ROWS(4096, 11008, 32, 32, 0, 50304, 2048),
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {0},
};

static const zx_config_row olmo3_rows[] = {
    ZX_SIZE_ROWS(4096, 11008, 32, 32, 0, 50304, 2048),
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 4096},
    {0},
};

const zx_family zx_family_olmo2 = {
    .name = "olmo2",
    .norm = {.wide = true},
    .architectures = {"Olmo2ForCausalLM", NULL},
    .model_types = {"olmo2", NULL},
    .config = olmo2_rows,
    .trace_block = trace_block,
};

const zx_family zx_family_olmo3 = {
    .name = "olmo3",
    .norm = {.wide = true},
    .architectures = {"Olmo3ForCausalLM", NULL},
    .model_types = {"olmo3", NULL},
    .rope_theta = 5e5,
    .config = olmo3_rows,
    .check = check_olmo3,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
