/* glm4_moe.c - GLM-4.5 and 4.6: grouped heads with a rope of half the head, perhaps norms of
 * queries and keys, and behind some dense layers DeepSeek's mixtures of experts. */
#include "model/families/families.h"
#include "model/moe.h"
#include "model/rope_config.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    return zx_moe_check(checkpoint, config);
}

static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    (void)type;
    if (!zx_checkpoint_has_share(checkpoint)) settings->dims = config->head_size / 2;
    return ZMLX_OK;
}

static bool has_experts(const zx_trace *trace, size_t layer)
{
    const json_t *dense =
        json_object_get(zx_checkpoint_config(trace->checkpoint), "first_k_dense_replace");
    return (json_int_t)layer >= (json_is_integer(dense) ? json_integer_value(dense) : 1);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_config *config = trace->config;
    zx_attention attention = zx_attention_usual(trace, layer);
    if (json_is_true(json_object_get(zx_checkpoint_config(trace->checkpoint), "use_qk_norm"))) {
        attention.query_norm = "q_norm";
        attention.key_norm = "k_norm";
    }
    if (!has_experts(trace, layer)) return zx_trace_usual_block(trace, &attention, x);
    zx_moe moe = zx_moe_usual(trace, &zx_router_sigmoid);
    moe.shared = config->shared_experts > 0 ? "shared_experts" : NULL;
    moe.shared_size = config->expert_size * config->shared_experts;
    return zx_trace_moe_block(trace, &attention, &moe, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(4096, 10944, 46, 96, 8, 151552, 131072),
    {"n_routed_experts|num_local_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL,
     128},
    {"num_experts_per_tok", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 8},
    {"moe_intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, expert_size), ZX_OPTIONAL, 1408},
    {"n_shared_experts", ZX_FIELD_SIZE, offsetof(zx_config, shared_experts), ZX_OPTIONAL, 1},
    {"n_group", ZX_FIELD_SIZE, offsetof(zx_config, groups), ZX_OPTIONAL, 1},
    {"topk_group", ZX_FIELD_SIZE, offsetof(zx_config, top_groups), ZX_OPTIONAL, 1},
    {"norm_topk_prob", ZX_FIELD_BOOL, offsetof(zx_config, normalize_weights), ZX_OPTIONAL, 1},
    {"routed_scaling_factor", ZX_FIELD_NUMBER, offsetof(zx_config, router_scale), ZX_OPTIONAL, 1},
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {0},
};

const zx_family zx_family_glm4_moe = {
    .name = "glm4_moe",
    .architectures = {"Glm4MoeForCausalLM", NULL},
    .model_types = {"glm4_moe", NULL},
    .partial_rope = true,
    .config = rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
