/* gpt_oss.c - gpt-oss: every second layer slides, every head has a sink, every matrix but the head
 * a bias; a mixture of experts with the softmax of the chosen logits and a clamped gating of its
 * own. swiglu_limit and swiglu_alpha come from the config (mlx-lm has 7 and 1.702 fixed). */
#include "model/families/families.h"
#include "model/rope_config.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_pattern(checkpoint, 2, ZX_LAYER_SLIDING, config);
    if (!(config->gate_limit > 0))
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: config key 'swiglu_limit' is %g; expected more than 0",
                       zx_checkpoint_path(checkpoint), config->gate_limit);
    return zx_moe_check(checkpoint, config);
}

/* A config without an object for its rope has the official one: yarn. */
static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    (void)config;
    (void)type;
    zx_fields rope;
    ZX_TRY(zx_rope_object(&fields, NULL, &rope));
    if (rope.object != NULL || zx_checkpoint_is_gguf(checkpoint)) return ZMLX_OK;
    settings->type = ZX_ROPE_YARN;
    settings->factor = 32;
    settings->original_length = 4096;
    settings->truncate = false;
    return ZMLX_OK;
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    attention.sinks = "sinks";
    zx_moe moe = zx_moe_usual(trace, &zx_router_chosen);
    moe.gate = "router";
    moe.transposed = true;
    moe.limit = (float)trace->config->gate_limit;
    moe.alpha = (float)trace->config->gate_alpha;
    return zx_trace_moe_block(trace, &attention, &moe, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(2880, 2880, 36, 64, 8, 201088, 131072),
    {"head_dim", ZX_FIELD_SIZE, offsetof(zx_config, head_size), ZX_NULL_IS_NONE, 64},
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 128},
    {"num_local_experts|num_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL,
     128},
    {"num_experts_per_tok|experts_per_token", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token),
     ZX_OPTIONAL, 4},
    {"swiglu_limit", ZX_FIELD_NUMBER, offsetof(zx_config, gate_limit), ZX_OPTIONAL, 7},
    {"swiglu_alpha", ZX_FIELD_NUMBER, offsetof(zx_config, gate_alpha), ZX_OPTIONAL, 1.702},
    {0},
};

const zx_family zx_family_gpt_oss = {
    .name = "gpt_oss",
    .architectures = {"GptOssForCausalLM", NULL},
    .model_types = {"gpt_oss", NULL},
    .rope_theta = 150000,
    .config = rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
