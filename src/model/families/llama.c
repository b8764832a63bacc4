/* llama.c - Llama and Mistral: pre-norm blocks, rope, grouped heads, SwiGLU.
 *
 *   h = x + attention(rmsnorm(x)),  y = h + mlp(rmsnorm(h))
 *
 * Mistral's sliding_window holds for every layer (the official model; mlx-lm ignores it). */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/blocks.h"
#include "model/families/families.h"

/* Weights say themselves whether they have biases; a config that claims them must not be wrong. */
static zmlx_status check_biases(const zx_checkpoint *checkpoint, const zx_config *config)
{
    static const struct {
        const char *key, *modules[5];
    } claims[] = {
        {"attention_bias",
         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", NULL}},
        {"mlp_bias", {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", NULL}},
    };
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        if (!json_is_true(json_object_get(zx_checkpoint_config(checkpoint), claims[i].key)))
            continue;
        for (size_t layer = 0; layer < config->layers; layer++)
            for (size_t k = 0; claims[i].modules[k] != NULL; k++) {
                char name[96];
                (void)snprintf(name, sizeof name, "model.layers.%zu.%s.bias", layer,
                               claims[i].modules[k]);
                if (zx_checkpoint_find(checkpoint, name) == NULL)
                    return zx_checkpoint_missing(checkpoint, name);
            }
    }
    return ZMLX_OK;
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    const json_t *activation = json_object_get(zx_checkpoint_config(checkpoint), "hidden_act");
    if (zx_checkpoint_count(checkpoint) > 0) ZX_TRY(check_biases(checkpoint, config));
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
