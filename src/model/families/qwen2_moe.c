/* qwen2_moe.c - Qwen2-MoE: Qwen2's block with a mixture of experts for the mlp of some layers, and
 * an expert that every token goes to, weighed by a sigmoid of its own. */
#include "model/families/families.h"

/* Unlike Qwen2, every second of the first max_window_layers layers slides, where any does. */
static void set_windows(const zx_checkpoint *checkpoint, zx_config *config)
{
    const json_t *file = zx_checkpoint_config(checkpoint);
    const json_t *layers = json_object_get(file, "max_window_layers");
    const json_int_t end = json_is_integer(layers) ? json_integer_value(layers) : 28;
    const bool slides = json_is_true(json_object_get(file, "use_sliding_window"));
    if (!slides) config->window = 0;
    if (!slides || json_is_array(json_object_get(file, "layer_types"))) return;
    for (size_t i = 0; i < config->layers; i += 2)
        if ((json_int_t)i < end) config->layer_types[i] = ZX_LAYER_SLIDING;
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    set_windows(checkpoint, config);
    return zx_moe_check(checkpoint, config);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    if (!zx_qwen_has_experts(trace, layer)) return zx_trace_usual_block(trace, &attention, x);
    zx_moe moe = zx_moe_usual(trace, &zx_router_softmax);
    moe.shared = "shared_expert";
    moe.shared_gate = "shared_expert_gate";
    return zx_trace_moe_block(trace, &attention, &moe, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(2048, 5632, 24, 16, 16, 151936, 32768),
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 4096},
    {"num_experts|num_local_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL, 60},
    {"num_experts_per_tok", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 4},
    {"moe_intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, expert_size), ZX_OPTIONAL, 1408},
    {"shared_expert_intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, shared_size),
     ZX_OPTIONAL, 5632},
    {"norm_topk_prob", ZX_FIELD_BOOL, offsetof(zx_config, normalize_weights), ZX_OPTIONAL, 0},
    {0},
};

const zx_family zx_family_qwen2_moe = {
    .name = "qwen2_moe",
    .architectures = {"Qwen2MoeForCausalLM", NULL},
    .model_types = {"qwen2_moe", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
