/* olmoe.c - OLMoE: Llama's block with an rmsnorm of all queries and of all keys before they are cut
 * into heads, and a mixture of experts. */
#include "model/families/families.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    ZX_TRY(zx_moe_check(checkpoint, config));
    if (zx_fields_have(&fields, "clip_qkv"))
        return zx_fields_fail(&fields, "clip_qkv", "null: values are not clipped here");
    return ZMLX_OK;
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    attention.query_norm = "q_norm";
    attention.key_norm = "k_norm";
    attention.whole_norm = true;
    const zx_moe moe = zx_moe_usual(trace, &zx_router_softmax);
    return zx_trace_moe_block(trace, &attention, &moe, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(2048, 2048, 16, 16, 0, 50304, 4096),
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {"num_experts|num_local_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL, 64},
    {"num_experts_per_tok", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 8},
    {"norm_topk_prob", ZX_FIELD_BOOL, offsetof(zx_config, normalize_weights), ZX_OPTIONAL, 0},
    {0},
};

const zx_family zx_family_olmoe = {
    .name = "olmoe",
    .architectures = {"OlmoeForCausalLM", NULL},
    .model_types = {"olmoe", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
