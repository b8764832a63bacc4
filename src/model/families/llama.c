/* llama.c - Llama and Mistral: pre-norm blocks, rope, grouped heads, SwiGLU.
 *
 *   h = x + attention(rmsnorm(x)),  y = h + mlp(rmsnorm(h))
 *
 * Mistral's sliding_window holds for every layer (the official model; mlx-lm ignores it). */
#include <string.h>

#include "base/fail.h"
#include "model/blocks.h"
#include "model/families/families.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    const json_t *activation = json_object_get(zx_checkpoint_config(checkpoint), "hidden_act");
    (void)config;
    if (activation == NULL || json_is_null(activation)) return ZMLX_OK;
    if (json_is_string(activation) && strcmp(json_string_value(activation), "silu") == 0)
        return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: hidden_act is '%s'; this family knows 'silu'",
                   zx_checkpoint_path(checkpoint),
                   json_is_string(activation) ? json_string_value(activation) : "no string");
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    (void)layer;
    zx_value normed, part;
    ZX_TRY(zx_block_rmsnorm(trace, *x, "input_layernorm", &normed));
    ZX_TRY(zx_block_attention(trace, normed, trace->config->window, &part));
    ZX_TRY(zx_block_add(trace, *x, part, x));
    ZX_TRY(zx_block_rmsnorm(trace, *x, "post_attention_layernorm", &normed));
    ZX_TRY(zx_block_swiglu(trace, normed, &part));
    return zx_block_add(trace, *x, part, x);
}

static const zx_config_row llama_config[] = {{0}};

static const zx_config_row mistral_config[] = {
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), false, 0},
    {0},
};

const zx_family zx_family_llama = {
    .name = "llama",
    .architectures = {"LlamaForCausalLM", NULL},
    .model_types = {"llama", NULL},
    .config = llama_config,
    .check = check,
    .trace_block = trace_block,
};

const zx_family zx_family_mistral = {
    .name = "mistral",
    .architectures = {"MistralForCausalLM", NULL},
    .model_types = {"mistral", NULL},
    .config = mistral_config,
    .check = check,
    .trace_block = trace_block,
};
