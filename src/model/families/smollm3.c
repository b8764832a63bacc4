/* smollm3.c - SmolLM3: Llama's block; every fourth layer, or those that no_rope_layers marks with
 * 0, has no rope. */
#include "base/fail.h"
#include "model/families/families.h"

static bool has_rope(const zx_checkpoint *checkpoint, size_t layer)
{
    const json_t *file = zx_checkpoint_config(checkpoint);
    const json_t *marks = json_object_get(file, "no_rope_layers");
    const json_t *interval = json_object_get(file, "no_rope_layer_interval");
    if (json_is_array(marks)) return json_integer_value(json_array_get(marks, layer)) != 0;
    const json_int_t every = json_is_integer(interval) ? json_integer_value(interval) : 4;
    return every <= 0 || (json_int_t)(layer + 1) % every != 0;
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    const json_t *file = zx_checkpoint_config(checkpoint);
    const json_t *marks = json_object_get(file, "no_rope_layers");
    const bool slides = json_is_true(json_object_get(file, "use_sliding_window"));
    if (json_is_array(marks) && json_array_size(marks) != config->layers)
        return ZX_FAIL(
            ZMLX_ERROR_FORMAT,
            "%s: config key 'no_rope_layers' has %zu items; expected one for each of %zu "
            "layers",
            zx_checkpoint_path(checkpoint), json_array_size(marks), config->layers);
    if (!json_is_array(json_object_get(file, "layer_types")))
        for (size_t i = 0; i < config->layers; i++)
            if (slides && config->window > 0 && !has_rope(checkpoint, i))
                config->layer_types[i] = ZX_LAYER_SLIDING;
    return ZMLX_OK;
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    if (!has_rope(trace->checkpoint, layer)) attention.rope = NULL;
    return zx_trace_usual_block(trace, &attention, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(2048, 11008, 36, 16, 4, 128256, 32768),
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 0},
    {"tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 1},
    {0},
};

const zx_family zx_family_smollm3 = {
    .name = "smollm3",
    .architectures = {"SmolLM3ForCausalLM", NULL},
    .model_types = {"smollm3", NULL},
    .rope_theta = 2e6,
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
