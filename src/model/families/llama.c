/* llama.c - Llama and Mistral: pre-norm blocks, rope, grouped heads, SwiGLU.
 *
 *   h = x + attention(rmsnorm(x)),  y = h + mlp(rmsnorm(h))
 *
 * Mistral's sliding_window holds for every layer (the official model; mlx-lm ignores it). */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
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
    if (zx_checkpoint_count(checkpoint) > 0) ZX_TRY(check_biases(checkpoint, config));
    return zx_config_expect(checkpoint, "hidden_act", "silu");
}

static zmlx_status check_mistral(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_pattern(checkpoint, 0, ZX_LAYER_SLIDING, config);
    return check(checkpoint, config);
}

/* The block that most families vary. */
zmlx_status zx_trace_usual_block(zx_trace *trace, const zx_attention *attention, zx_value *x)
{
    zx_value normed, part;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &normed));
    ZX_TRY(zx_block_attention(trace, normed, attention, &part));
    ZX_TRY(zx_block_residual(trace, part, x));
    ZX_TRY(zx_block_norm(trace, *x, "post_attention_layernorm", &normed));
    ZX_TRY(zx_block_glu(trace, normed, "mlp", ZX_ACTIVATION_SILU, trace->config->intermediate_size,
                        &part));
    return zx_block_residual(trace, part, x);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    return zx_trace_usual_block(trace, &attention, x);
}

static const zx_config_row llama_config[] = {
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
    .config = llama_config,
    .check = check_mistral,
    .trace_block = trace_block,
};
