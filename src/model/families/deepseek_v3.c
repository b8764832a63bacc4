/* deepseek_v3.c - DeepSeek-V3 (and R1, Kimi K2, which are of its class) and GLM-4.7-Flash: latent
 * attention, and behind some dense layers mixtures of experts with a sigmoid router, a bias that
 * only chooses, groups of experts, and an expert that every token goes to.
 *
 *   h = x + mla(norm(x)),  y = h + moe(norm(h)) */
#include <string.h>

#include "model/families/families.h"
#include "model/mla.h"
#include "model/moe.h"
#include "model/rope_config.h"

/* The official code leaves these norms at their class's default. */
static const double latent_epsilon = 1e-6;

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    ZX_TRY(zx_mla_check(checkpoint, config));
    ZX_TRY(zx_moe_check(checkpoint, config));
    return zx_mla_scale(checkpoint, config, &config->attention_scale);
}

static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    (void)config, (void)type;
    const json_t *interleave = json_object_get(zx_checkpoint_config(checkpoint), "rope_interleave");
    settings->interleaved = interleave == NULL || json_is_true(interleave);
    return ZMLX_OK;
}

/* first_k_dense_replace dense layers (DeepSeek), or a word for each layer (GLM, whose first one is
 * dense by default). */
static bool has_experts(const zx_trace *trace, size_t layer)
{
    const json_t *config = zx_checkpoint_config(trace->checkpoint);
    const json_t *dense = json_object_get(config, "first_k_dense_replace");
    const char *word =
        json_string_value(json_array_get(json_object_get(config, "mlp_layer_types"), layer));
    if (trace->family != &zx_family_deepseek_v3)
        return word != NULL ? strcmp(word, "sparse") == 0 : layer >= 1;
    return (json_int_t)layer >= (json_is_integer(dense) ? json_integer_value(dense) : 3);
}

static zmlx_status trace_mlp(zx_trace *trace, size_t layer, zx_value x, zx_value *y)
{
    const zx_config *config = trace->config;
    if (!has_experts(trace, layer))
        return zx_block_glu(trace, x, "mlp", config->intermediate_size, y);
    zx_moe moe = zx_moe_usual(trace, &zx_router_sigmoid);
    moe.shared = config->shared_experts > 0 ? "shared_experts" : NULL;
    moe.shared_size = config->expert_size * config->shared_experts;
    return zx_block_moe(trace, x, &moe, y);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_mla mla = {"self_attn", latent_epsilon, trace->config->attention_scale};
    zx_value part;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &part));
    ZX_TRY(zx_block_mla(trace, part, &mla, &part));
    ZX_TRY(zx_block_add(trace, *x, part, x));
    ZX_TRY(zx_block_norm(trace, *x, "post_attention_layernorm", &part));
    ZX_TRY(trace_mlp(trace, layer, part, &part));
    return zx_block_add(trace, *x, part, x);
}

static const zx_config_row deepseek_rows[] = {
    ZX_SIZE_ROWS(7168, 18432, 61, 128, 128, 129280, 4096),
    ZX_MLA_ROWS,
    {"n_routed_experts|num_local_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL,
     256},
    {"num_experts_per_tok", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 8},
    {"moe_intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, expert_size), ZX_OPTIONAL, 2048},
    {"n_shared_experts", ZX_FIELD_SIZE, offsetof(zx_config, shared_experts), ZX_OPTIONAL, 1},
    {"n_group", ZX_FIELD_SIZE, offsetof(zx_config, groups), ZX_OPTIONAL, 8},
    {"topk_group", ZX_FIELD_SIZE, offsetof(zx_config, top_groups), ZX_OPTIONAL, 4},
    {"norm_topk_prob", ZX_FIELD_BOOL, offsetof(zx_config, normalize_weights), ZX_NULL_IS_NONE, 1},
    {"routed_scaling_factor", ZX_FIELD_NUMBER, offsetof(zx_config, router_scale), ZX_OPTIONAL, 2.5},
    {0},
};

static const zx_config_row glm_rows[] = {
    ZX_SIZE_ROWS(2048, 10240, 47, 20, 20, 154880, 202752),
    ZX_MLA_ROWS,
    {"n_routed_experts|num_local_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL,
     64},
    {"num_experts_per_tok", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 4},
    {"moe_intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, expert_size), ZX_OPTIONAL, 1536},
    {"n_shared_experts", ZX_FIELD_SIZE, offsetof(zx_config, shared_experts), ZX_OPTIONAL, 1},
    {"n_group", ZX_FIELD_SIZE, offsetof(zx_config, groups), ZX_OPTIONAL, 1},
    {"topk_group", ZX_FIELD_SIZE, offsetof(zx_config, top_groups), ZX_OPTIONAL, 1},
    {"norm_topk_prob", ZX_FIELD_BOOL, offsetof(zx_config, normalize_weights), ZX_OPTIONAL, 1},
    {"routed_scaling_factor", ZX_FIELD_NUMBER, offsetof(zx_config, router_scale), ZX_OPTIONAL, 1.8},
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {0},
};

const zx_family zx_family_deepseek_v3 = {
    .name = "deepseek_v3",
    .architectures = {"DeepseekV3ForCausalLM", "KimiK2ForCausalLM", NULL},
    .model_types = {"deepseek_v3", "kimi_k2", NULL},
    .config = deepseek_rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};

const zx_family zx_family_glm4_moe_lite = {
    .name = "glm4_moe_lite",
    .architectures = {"Glm4MoeLiteForCausalLM", NULL},
    .model_types = {"glm4_moe_lite", NULL},
    .partial_rope = true,
    .config = glm_rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
