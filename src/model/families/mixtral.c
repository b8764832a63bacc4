/* mixtral.c - Mixtral: Llama's block with a mixture of experts for its mlp.  The weights of the
 * chosen experts are always normalized; a sliding_window holds for every layer. */
#include "model/families/families.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_windows(config);
    config->normalize_weights = true;
    return zx_moe_check(checkpoint, config);
}

zmlx_status zx_trace_moe_block(zx_trace *trace, const zx_attention *attention, const zx_moe *moe,
                               zx_value *x)
{
    zx_value normed, part;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &normed));
    ZX_TRY(zx_block_attention(trace, normed, attention, &part));
    ZX_TRY(zx_block_residual(trace, part, x));
    ZX_TRY(zx_block_norm(trace, *x, "post_attention_layernorm", &normed));
    ZX_TRY(zx_block_moe(trace, normed, moe, &part));
    return zx_block_residual(trace, part, x);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    const zx_moe moe = zx_moe_usual(trace, &zx_router_softmax);
    return zx_trace_moe_block(trace, &attention, &moe, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(4096, 14336, 32, 32, 8, 32000, 131072),
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 0},
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {"num_local_experts|num_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL, 8},
    {"num_experts_per_tok", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 2},
    {0},
};

const zx_family zx_family_mixtral = {
    .name = "mixtral",
    .architectures = {"MixtralForCausalLM", NULL},
    .model_types = {"mixtral", NULL},
    .rope_theta = 1e6,
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
