/* llama.c - Llama and Mistral: pre-norm blocks, rope, grouped heads, SwiGLU.
 *
 *   h = x + attention(rmsnorm(x)),  y = h + mlp(rmsnorm(h))
 *
 * Mistral's sliding_window holds for every layer (the official model; mlx-lm ignores it). */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/families/families.h"
#include "model/rope_config.h"

/* A bias that is there is used, so the config must say the same as the tensors: the official model
 * leaves out those that it does not name.  GGUF has no word for them. */
static zmlx_status check_bias(const zx_checkpoint *checkpoint, const char *name, const char *key,
                              bool claimed)
{
    const bool there = zx_checkpoint_find(checkpoint, name) != NULL;
    if (there == claimed) return ZMLX_OK;
    if (!there) return zx_checkpoint_missing(checkpoint, name);
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is there, but config key '%s' is not true",
                   zx_checkpoint_path(checkpoint), name, key);
}

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
        const bool claimed =
            json_is_true(json_object_get(zx_checkpoint_config(checkpoint), claims[i].key));
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

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    if (zx_checkpoint_count(checkpoint) > 0 && !zx_checkpoint_is_gguf(checkpoint))
        ZX_TRY(check_biases(checkpoint, config));
    return ZMLX_OK;
}

/* The official models turn whole heads, whatever the config says; GGUF's llama may turn a part. */
static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    (void)type;
    if (!zx_checkpoint_is_gguf(checkpoint)) settings->dims = config->head_size;
    return ZMLX_OK;
}

static zmlx_status check_mistral(const zx_checkpoint *checkpoint, zx_config *config)
{
    /* null means none */
    if (json_object_get(zx_checkpoint_config(checkpoint), "sliding_window") == NULL)
        config->window = 4096;
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
    ZX_TRY(zx_block_glu(trace, normed, "mlp", trace->config->intermediate_size, &part));
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

/* What the official code takes for an absent key differs from Llama's. */
static const zx_config_row mistral_config[] = {
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), false, 0},
    {"num_key_value_heads", ZX_FIELD_SIZE, offsetof(zx_config, kv_heads), false, 8},
    {"max_position_embeddings", ZX_FIELD_SIZE, offsetof(zx_config, context_length), false, 131072},
    {0},
};

const zx_family zx_family_llama = {
    .name = "llama",
    .architectures = {"LlamaForCausalLM", NULL},
    .model_types = {"llama", NULL},
    .config = llama_config,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};

const zx_family zx_family_mistral = {
    .name = "mistral",
    .architectures = {"MistralForCausalLM", NULL},
    .model_types = {"mistral", NULL},
    .config = mistral_config,
    .check = check_mistral,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
