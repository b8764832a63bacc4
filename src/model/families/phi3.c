/* phi3.c - Phi-3 and Phi-4: Llama's block over one matrix for queries, keys and values and one for
 * gate and up; a sliding_window holds for every layer. */
#include "model/families/families.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_pattern(checkpoint, 0, ZX_LAYER_SLIDING, config);
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
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), false, 0},
    {0},
};

const zx_family zx_family_phi3 = {
    .name = "phi3",
    .architectures = {"Phi3ForCausalLM", NULL},
    .model_types = {"phi3", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
