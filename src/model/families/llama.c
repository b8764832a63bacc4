/* llama.c - Llama and Mistral: pre-norm blocks, rope, grouped heads, SwiGLU.
 *
 *   h = x + attention(rmsnorm(x)),  y = h + mlp(rmsnorm(h))
 *
 * Llama has no sliding_window, Mistral's holds for every layer, whatever layer_types says (the
 * official models; mlx-lm goes by layer_types in both). */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/families/families.h"

/* A bias that is there is used, so the config must say the same as the tensors: the official model
 * leaves out those that it does not name (Mistral's names none).  GGUF has no word for them. */
static zmlx_status check_bias(const zx_checkpoint *checkpoint, const char *name, const char *key,
                              bool claimed)
{
    const bool there = zx_checkpoint_find(checkpoint, name) != NULL;
    if (there == claimed) return ZMLX_OK;
    if (!there) return zx_checkpoint_missing(checkpoint, name);
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is there, but config key '%s' is not true",
                   zx_checkpoint_path(checkpoint), name, key);
}

static zmlx_status check_biases(const zx_checkpoint *checkpoint, const zx_config *config,
                                bool named)
{
    static const struct {
        const char *key, *modules[5];
    } claims[] = {
        {"attention_bias",
         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", NULL}},
        {"mlp_bias", {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", NULL}},
    };
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        const bool claimed =
            named && json_is_true(json_object_get(zx_checkpoint_config(checkpoint), claims[i].key));
        for (size_t layer = 0; layer < config->layers; layer++)
            for (size_t k = 0; claims[i].modules[k] != NULL; k++) {
                char name[96];
                (void)snprintf(name, sizeof name, "model.layers.%zu.%s.bias", layer,
                               claims[i].modules[k]);
                ZX_TRY(check_bias(checkpoint, name, claims[i].key, claimed));
            }
    }
    return ZMLX_OK;
}

static bool has_bias_names(const zx_checkpoint *checkpoint)
{
    return zx_checkpoint_count(checkpoint) > 0 && !zx_checkpoint_is_gguf(checkpoint);
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    return has_bias_names(checkpoint) ? check_biases(checkpoint, config, true) : ZMLX_OK;
}

static zmlx_status check_mistral(const zx_checkpoint *checkpoint, zx_config *config)
{
    zx_config_windows(config);
    return has_bias_names(checkpoint) ? check_biases(checkpoint, config, false) : ZMLX_OK;
}

/* The block that most families vary. */
zmlx_status zx_trace_usual_block(zx_trace *trace, const zx_attention *attention, zx_value *x)
{
    zx_value normed, part;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &normed));
    ZX_TRY(zx_block_attention(trace, normed, attention, &part));
    ZX_TRY(zx_block_residual(trace, part, x));
    ZX_TRY(zx_block_norm(trace, *x, "post_attention_layernorm", &normed));
    ZX_TRY(zx_block_glu(trace, normed, "mlp", trace->config->intermediate_size, &part));
    return zx_block_residual(trace, part, x);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    return zx_trace_usual_block(trace, &attention, x);
}

static const zx_config_row llama_config[] = {
    ZX_SIZE_ROWS(4096, 11008, 32, 32, 0, 32000, 2048),
    {0},
};

/* What the official code takes for an absent key differs from Llama's. */
static const zx_config_row mistral_config[] = {
    ZX_SIZE_ROWS(4096, 14336, 32, 32, 8, 32000, 131072),
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_NULL_IS_NONE, 4096},
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
    .check = check_mistral,
    .trace_block = trace_block,
};
