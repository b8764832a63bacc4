/* qwen3_moe.c - Qwen3-MoE: Qwen3's block with a mixture of experts for the mlp of some layers: not
 * of those in mlp_only_layers, and else of every decoder_sparse_step-th. */
#include "model/families/families.h"

bool zx_qwen_has_experts(const zx_trace *trace, size_t layer)
{
    const json_t *config = zx_checkpoint_config(trace->checkpoint);
    const json_t *dense = json_object_get(config, "mlp_only_layers");
    const json_t *step = json_object_get(config, "decoder_sparse_step");
    for (size_t i = 0; i < json_array_size(dense); i++)
        if (json_integer_value(json_array_get(dense, i)) == (json_int_t)layer) return false;
    const json_int_t every = json_is_integer(step) ? json_integer_value(step) : 1;
    return every > 0 && ((json_int_t)layer + 1) % every == 0;
}

/* With use_sliding_window every layer slides, whatever layer_types and max_window_layers say. */
static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    ZX_TRY(zx_qwen_windows(checkpoint, config));
    zx_config_windows(config);
    return zx_moe_check(checkpoint, config);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    attention.query_norm = "q_norm";
    attention.key_norm = "k_norm";
    if (!zx_qwen_has_experts(trace, layer)) return zx_trace_usual_block(trace, &attention, x);
    const zx_moe moe = zx_moe_usual(trace, &zx_router_softmax);
    return zx_trace_moe_block(trace, &attention, &moe, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(2048, 6144, 24, 32, 4, 151936, 32768),
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 4096},
    {"num_experts|num_local_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL,
     128},
    {"num_experts_per_tok", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 8},
    {"moe_intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, expert_size), ZX_OPTIONAL, 768},
    {"norm_topk_prob", ZX_FIELD_BOOL, offsetof(zx_config, normalize_weights), ZX_OPTIONAL, 0},
    {0},
};

const zx_family zx_family_qwen3_moe = {
    .name = "qwen3_moe",
    .architectures = {"Qwen3MoeForCausalLM", NULL},
    .model_types = {"qwen3_moe", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
