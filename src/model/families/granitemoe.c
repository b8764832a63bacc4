/* granitemoe.c - GraniteMoE: Granite's block and multipliers, with a mixture of experts whose
 * router takes the softmax of the chosen logits. */
#include "model/families/families.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    return zx_moe_check(checkpoint, config);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    zx_moe moe = zx_moe_usual(trace, &zx_router_chosen);
    moe.gate = "router.layer";
    return zx_trace_moe_block(trace, &attention, &moe, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(4096, 11008, 32, 32, 0, 32000, 2048),
    {"embedding_multiplier", ZX_FIELD_NUMBER, offsetof(zx_config, embedding_scale), ZX_OPTIONAL, 1},
    {"attention_multiplier", ZX_FIELD_NUMBER, offsetof(zx_config, attention_scale), ZX_OPTIONAL, 1},
    {"residual_multiplier", ZX_FIELD_NUMBER, offsetof(zx_config, residual_scale), ZX_OPTIONAL, 1},
    {"logits_scaling", ZX_FIELD_NUMBER, offsetof(zx_config, logit_divisor), ZX_OPTIONAL, 1},
    {"num_local_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL, 8},
    {"num_experts_per_tok", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 2},
    {0},
};

const zx_family zx_family_granitemoe = {
    .name = "granitemoe",
    .architectures = {"GraniteMoeForCausalLM", NULL},
    .model_types = {"granitemoe", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
