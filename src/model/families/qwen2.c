/* qwen2.c - Qwen2 and Qwen2.5: Llama's block, with biases on queries, keys and values. */
#include "model/families/families.h"

/* With use_sliding_window, layers from max_window_layers on are sliding ones. */
zmlx_status zx_qwen_windows(const zx_checkpoint *checkpoint, zx_config *config)
{
    const json_t *file = zx_checkpoint_config(checkpoint);
    const json_t *first = json_object_get(file, "max_window_layers");
    const bool slides = json_is_true(json_object_get(file, "use_sliding_window"));
    if (!slides || json_is_null(json_object_get(file, "sliding_window"))) config->window = 0;
    if (json_is_array(json_object_get(file, "layer_types"))) return ZMLX_OK;
    const json_int_t full = json_is_integer(first) ? json_integer_value(first) : 28;
    for (size_t i = 0; slides && i < config->layers; i++)
        if ((json_int_t)i >= full) config->layer_types[i] = ZX_LAYER_SLIDING;
    return ZMLX_OK;
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    return zx_qwen_windows(checkpoint, config);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    return zx_trace_usual_block(trace, &attention, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(4096, 22016, 32, 32, 32, 151936, 32768),
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 4096},
    {0},
};

const zx_family zx_family_qwen2 = {
    .name = "qwen2",
    .architectures = {"Qwen2ForCausalLM", NULL},
    .model_types = {"qwen2", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
