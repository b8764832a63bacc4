/* gemma3.c - Gemma 3, its text part: Gemma 2's block, an rmsnorm of every head of
 * queries and keys, every sixth layer full, and a rope of their own for sliding layers.  The
 * official code reads attn_logit_softcapping and does not use it. */
#include "model/families/families.h"
#include "model/rope_config.h"
#include "model/text_part.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_pattern(checkpoint, config->window_pattern, ZX_LAYER_SLIDING, config);
    /* the official code of the whole model caps no logits */
    if (zx_has_text_part(zx_checkpoint_config(checkpoint))) config->logit_limit = 0;
    return zx_check_gemma(checkpoint, config);
}

/* What the rope's object says of layers of that type, if it does, or an older rope_scaling of full
 * ones; one object for all layers counts for nothing there. */
zmlx_status zx_rope_of_type(const zx_checkpoint *checkpoint, zx_layer_type type,
                            const zx_typed_ropes *usual, zx_rope_settings *settings)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    const bool full = type == ZX_LAYER_FULL;
    zx_fields ropes = {fields.file, "rope_parameters", NULL}, own = ropes, older = ropes;
    if (zx_checkpoint_is_gguf(checkpoint)) return ZMLX_OK;
    ZX_TRY(zx_fields_object(&fields, "rope_parameters", &ropes));
    ZX_TRY(zx_fields_object(&ropes, zx_layer_type_names[type], &own));
    if (full) ZX_TRY(zx_fields_object(&fields, "rope_scaling", &older));
    if (own.object == NULL && json_object_size(older.object) == 0) settings->type = ZX_ROPE_DEFAULT;
    settings->truncate = true; /* the official code looks for the word beside the types */
    if (zx_fields_have(&own, "rope_theta") || zx_fields_have(&older, "rope_theta")) return ZMLX_OK;
    settings->theta = full ? usual->full_theta : usual->sliding_theta;
    const char *key = full ? "rope_theta" : usual->sliding_key;
    return key != NULL ? zx_fields_number(&fields, key, 1e-3, 1e30, &settings->theta) : ZMLX_OK;
}

static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    static const zx_typed_ropes usual = {1e6, 1e4, "rope_local_base_freq"};
    (void)config;
    return zx_rope_of_type(checkpoint, type, &usual, settings);
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
    {"hidden_activation", ZX_FIELD_ACTIVATION, offsetof(zx_config, activation), ZX_OPTIONAL,
     ZX_ACTIVATION_GELU_TANH},
    {"vocab_size", ZX_FIELD_SIZE, offsetof(zx_config, vocabulary), ZX_OPTIONAL, 262208},
    {"num_attention_heads", ZX_FIELD_SIZE, offsetof(zx_config, heads), ZX_OPTIONAL, 8},
    {"num_key_value_heads", ZX_FIELD_SIZE, offsetof(zx_config, kv_heads), ZX_OPTIONAL, 4},
    {"head_dim", ZX_FIELD_SIZE, offsetof(zx_config, head_size), ZX_OPTIONAL, 256},
    {"max_position_embeddings", ZX_FIELD_SIZE, offsetof(zx_config, context_length), ZX_OPTIONAL,
     131072},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 4096},
    {"sliding_window_pattern|_sliding_window_pattern", ZX_FIELD_SIZE,
     offsetof(zx_config, window_pattern), ZX_OPTIONAL, 6},
    {"query_pre_attn_scalar", ZX_FIELD_NUMBER, offsetof(zx_config, query_size), ZX_OPTIONAL, 256},
    {"final_logit_softcapping", ZX_FIELD_NUMBER, offsetof(zx_config, logit_limit), ZX_OPTIONAL, 0},
    {"tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 1},
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
