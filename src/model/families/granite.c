/* granite.c - Granite: Llama's block, with multipliers on embeddings, scores and residuals and a
 * divisor of the logits. */
#include "model/families/families.h"

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    return zx_trace_usual_block(trace, &attention, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(4096, 11008, 32, 32, 0, 32000, 2048),
    {"embedding_multiplier", ZX_FIELD_NUMBER, offsetof(zx_config, embedding_scale), ZX_OPTIONAL, 1},
    {"attention_multiplier", ZX_FIELD_NUMBER, offsetof(zx_config, attention_scale), ZX_OPTIONAL, 1},
    {"residual_multiplier", ZX_FIELD_NUMBER, offsetof(zx_config, residual_scale), ZX_OPTIONAL, 1},
    {"logits_scaling", ZX_FIELD_NUMBER, offsetof(zx_config, logit_divisor), ZX_OPTIONAL, 1},
    {0},
};

const zx_family zx_family_granite = {
    .name = "granite",
    .architectures = {"GraniteForCausalLM", NULL},
    .model_types = {"granite", NULL},
    .config = rows,
    .trace_block = trace_block,
};
