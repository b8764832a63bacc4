/* gpt_neox.c - GPT-NeoX and Pythia: layernorms, biases everywhere, queries, keys and values of a
 * head side by side in one matrix, a rope of a part of the head, and an mlp without gate.
 *
 *   y = x + attention(norm(x)) + mlp(norm(x))        with use_parallel_residual (the default)
 *   h = x + attention(norm(x)),  y = h + mlp(norm(h)) without */
#include <string.h>

#include "base/fail.h"
#include "model/families/families.h"
#include "model/rope_config.h"

/* "rotary_pct" and "rotary_emb_base" are the words for what the rope's object does not say. */
static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    (void)type;
    double share = 0.25;
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    zx_fields rope;
    if (zx_fields_have(&fields, "rotary_dim")) return ZMLX_OK; /* GGUF's word */
    ZX_TRY(zx_rope_object(&fields, NULL, &rope));
    if (!zx_fields_have(&rope, "rope_theta")) {
        settings->theta = 1e4; /* whatever "rope_theta" says beside the object */
        ZX_TRY(zx_fields_number(&fields, "rotary_emb_base", 1e-3, 1e30, &settings->theta));
    }
    if (zx_fields_have(&rope, "partial_rotary_factor")) return ZMLX_OK;
    ZX_TRY(zx_fields_number(&fields, "rotary_pct", 1e-6, 1, &share));
    settings->dims = (size_t)((double)config->head_size * share);
    if (settings->dims > 0 && settings->dims % 2 == 0) return ZMLX_OK;
    return zx_fields_fail(&fields, "rotary_pct", "an even share of the head");
}

/* Queries, keys and values of a head stand side by side; in GGUF those of all heads do. */
static zmlx_status trace_projection(zx_trace *trace, zx_value x, zx_value qkv[3])
{
    static const char name[] = "query_key_value";
    const size_t size = trace->config->head_size, width = trace->config->heads * size;
    zx_value all;
    if (zx_checkpoint_is_gguf(trace->checkpoint)) {
        for (size_t i = 0; i < 3; i++)
            ZX_TRY(zx_block_linear_part(trace, x, name, (zx_row_range){3 * width, i * width, width},
                                        &qkv[i]));
        return ZMLX_OK;
    }
    ZX_TRY(zx_block_linear(trace, x, name, 3 * width, &all));
    for (size_t i = 0; i < 3; i++)
        ZX_TRY(zx_block_columns(trace, all, 3 * size, i * size, size, &qkv[i]));
    return ZMLX_OK;
}

static zmlx_status trace_attention(zx_trace *trace, zx_value x, const zx_attention *attention,
                                   zx_value *y)
{
    const char *outer = NULL;
    zx_value qkv[3];
    ZX_TRY(zx_block_enter(trace, "attention", &outer));
    ZX_TRY(trace_projection(trace, x, qkv));
    ZX_TRY(zx_block_attend(trace, qkv, attention, y));
    ZX_TRY(zx_block_linear(trace, *y, "dense", trace->config->hidden_size, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}

/* Heads are the hidden size's shares, each with keys of its own, whatever num_key_value_heads says.
 */
static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    config->kv_heads = config->heads;
    if (config->head_size == config->hidden_size / config->heads) return ZMLX_OK;
    return zx_config_refuse(checkpoint, "head_dim", config->head_size,
                            "hidden_size / num_attention_heads");
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    const bool in_turn = json_is_false(
        json_object_get(zx_checkpoint_config(trace->checkpoint), "use_parallel_residual"));
    zx_value part, attended, other;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &part));
    ZX_TRY(trace_attention(trace, part, &attention, &attended));
    ZX_TRY(zx_block_add(trace, *x, attended, &other));
    ZX_TRY(zx_block_norm(trace, in_turn ? other : *x, "post_attention_layernorm", &part));
    ZX_TRY(zx_block_mlp(trace, part, "dense_h_to_4h", "dense_4h_to_h", &part));
    return zx_block_add(trace, other, part, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(6144, 24576, 44, 64, 0, 50432, 2048),
    {"hidden_act", ZX_FIELD_ACTIVATION, offsetof(zx_config, activation), ZX_OPTIONAL,
     ZX_ACTIVATION_GELU},
    {"layer_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {0},
};

const zx_family zx_family_gpt_neox = {
    .name = "gpt_neox",
    .norm = {.layernorm = true},
    .names = {.embedding = "gpt_neox.embed_in",
              .layers = "gpt_neox.layers",
              .norm = "gpt_neox.final_layer_norm",
              .head = "embed_out"},
    .converted = {.embedding = "model.embed_in",
                  .layers = "model.h",
                  .norm = "model.final_layer_norm",
                  .head = "model.embed_out"},
    .architectures = {"GPTNeoXForCausalLM", NULL},
    .model_types = {"gpt_neox", NULL},
    .partial_rope = true,
    .config = rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
