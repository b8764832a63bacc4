/* phi3.c - Phi-3 and Phi-4: Llama's block over one matrix for queries, keys and values and one for
 * gate and up; a sliding_window holds for every layer. */
#include "model/families/families.h"
#include "model/rope_config.h"

static const double original_length = 4096; /* where a config does not say */

/* The official code refuses other types, and takes yarn's factors for those of longrope.  The
 * context before it was extended stands outside the rope's object alone. */
static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    (void)config, (void)type;
    if (zx_checkpoint_is_gguf(checkpoint)) return ZMLX_OK;
    if (settings->type != ZX_ROPE_DEFAULT && settings->type != ZX_ROPE_LONGROPE)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "%s: the rope's type is not known of this family; known are default and "
                       "longrope",
                       zx_checkpoint_path(checkpoint));
    if (!zx_fields_have(&fields, "original_max_position_embeddings"))
        settings->original_length = original_length;
    return ZMLX_OK;
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    (void)checkpoint;
    zx_config_windows(config);
    return ZMLX_OK;
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    zx_value normed, part;
    attention.together = "qkv_proj";
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &normed));
    ZX_TRY(zx_block_attention(trace, normed, &attention, &part));
    ZX_TRY(zx_block_add(trace, *x, part, x));
    ZX_TRY(zx_block_norm(trace, *x, "post_attention_layernorm", &normed));
    ZX_TRY(zx_block_glu_together(trace, normed, "mlp", trace->config->intermediate_size, &part));
    return zx_block_add(trace, *x, part, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(3072, 8192, 32, 32, 0, 32064, 4096),
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 0},
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {0},
};

const zx_family zx_family_phi3 = {
    .name = "phi3",
    .architectures = {"Phi3ForCausalLM", NULL},
    .model_types = {"phi3", NULL},
    .partial_rope = true,
    .config = rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
