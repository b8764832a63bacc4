/* gemma3.c - Gemma 3, its text part: Gemma 2's block, an rmsnorm of every head of
 * queries and keys, every sixth layer full, and a rope of their own for sliding layers.  The
 * official code reads attn_logit_softcapping and does not use it. */
#include "model/families/families.h"
#include "model/rope_config.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_pattern(checkpoint, config->window_pattern, ZX_LAYER_SLIDING, config);
    return zx_check_gemma(checkpoint, config);
}

/* Configs of before transformers 5 have rope_theta and rope_scaling for the full layers and
 * rope_local_base_freq for the sliding ones. */
static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    (void)config;
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    const json_t *parameters = json_object_get(fields.object, "rope_parameters");
    const char *own = zx_layer_type_names[type];
    if (json_is_object(json_object_get(parameters, own))) return ZMLX_OK;
    if (type == ZX_LAYER_FULL) {
        if (!zx_fields_have(&fields, "rope_theta") && parameters == NULL) settings->theta = 1e6;
        return ZMLX_OK;
    }
    settings->type = ZX_ROPE_DEFAULT;
    settings->theta = 1e4;
    return zx_fields_number(&fields, "rope_local_base_freq", 1e-3, 1e30, &settings->theta);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    attention.query_norm = "q_norm";
    attention.key_norm = "k_norm";
    return zx_trace_gemma_block(trace, &attention, x);
}

/* The published configs leave out what is as in the code. */
static const zx_config_row rows[] = {
    {"hidden_activation", ZX_FIELD_ACTIVATION, offsetof(zx_config, activation), false,
     ZX_ACTIVATION_GELU_TANH},
    {"vocab_size", ZX_FIELD_SIZE, offsetof(zx_config, vocabulary), false, 262208},
    {"num_attention_heads", ZX_FIELD_SIZE, offsetof(zx_config, heads), false, 8},
    {"num_key_value_heads", ZX_FIELD_SIZE, offsetof(zx_config, kv_heads), false, 4},
    {"head_dim", ZX_FIELD_SIZE, offsetof(zx_config, head_size), false, 256},
    {"max_position_embeddings", ZX_FIELD_SIZE, offsetof(zx_config, context_length), false, 131072},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), false, 4096},
    {"sliding_window_pattern|_sliding_window_pattern", ZX_FIELD_SIZE,
     offsetof(zx_config, window_pattern), false, 6},
    {"query_pre_attn_scalar", ZX_FIELD_NUMBER, offsetof(zx_config, query_size), false, 256},
    {"final_logit_softcapping", ZX_FIELD_NUMBER, offsetof(zx_config, logit_limit), false, 0},
    {"tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), false, 1},
    {0},
};

const zx_family zx_family_gemma3 = {
    .name = "gemma3",
    .norm = {.offset = 1, .wide = true},
    .architectures = {"Gemma3ForCausalLM", NULL},
    .model_types = {"gemma3_text", "gemma3", NULL},
    .config = rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
