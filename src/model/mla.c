#include "model/mla.h"

#include <math.h>
#include <stdio.h>

#include "base/fail.h"
#include "model/rope_config.h"

enum { MOST = 65536 };

zmlx_status zx_mla_check(const zx_checkpoint *checkpoint, zx_config *config)
{
    const struct {
        const char *key;
        size_t value;
    } sizes[] = {{"kv_lora_rank", config->latent_size},
                 {"qk_nope_head_dim", config->nope_size},
                 {"qk_rope_head_dim", config->rope_size},
                 {"v_head_dim", config->value_size}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].value == 0 || sizes[i].value > MOST)
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: config key '%s' is %zu; expected 1 to %d",
                           zx_checkpoint_path(checkpoint), sizes[i].key, sizes[i].value, MOST);
    if (config->rope_size % 2 != 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: config key 'qk_rope_head_dim' is %zu; expected an even number",
                       zx_checkpoint_path(checkpoint), config->rope_size);
    config->head_size = config->rope_size;
    return ZMLX_OK;
}

zmlx_status zx_mla_scale(const zx_checkpoint *checkpoint, const zx_config *config, double *scale)
{
    zx_rope_settings settings;
    zx_arena arena = {0};
    *scale = 1 / sqrt((double)(config->nope_size + config->rope_size));
    const zmlx_status status =
        zx_checkpoint_rope_settings(checkpoint, NULL, config->rope_size, &arena, &settings);
    if (status == ZMLX_OK && settings.type != ZX_ROPE_DEFAULT && settings.mscale_all_dim > 0 &&
        settings.factor > 1) {
        const double mscale = 0.1 * settings.mscale_all_dim * log(settings.factor) + 1;
        *scale *= mscale * mscale;
    }
    zx_arena_reset(&arena);
    return status;
}

static zmlx_status rotate(zx_trace *trace, zx_value x, zx_value *y)
{
    const zx_attributes rope = {.head_size = (uint32_t)trace->config->rope_size,
                                .rope = &trace->ropes[ZX_LAYER_FULL]};
    return zx_graph_add(trace->graph, ZX_OP_ROPE, &x, &rope, y);
}

static zmlx_status join(zx_trace *trace, zx_value a, size_t head, zx_value b, zx_value *y)
{
    const zx_attributes attributes = {.head_size = (uint32_t)head};
    return zx_graph_add(trace->graph, ZX_OP_JOIN, (zx_value[]){a, b}, &attributes, y);
}

/* [., heads * (nope + rope)] */
static zmlx_status trace_queries(zx_trace *trace, zx_value x, const zx_mla *mla, zx_value *queries)
{
    const zx_config *config = trace->config;
    const size_t width = config->heads * (config->nope_size + config->rope_size);
    if (config->query_rank == 0) return zx_block_linear(trace, x, "q_proj", width, queries);
    ZX_TRY(zx_block_linear(trace, x, "q_a_proj", config->query_rank, queries));
    ZX_TRY(zx_block_rmsnorm(trace, *queries, "q_a_layernorm", mla->latent_epsilon, queries));
    return zx_block_linear(trace, *queries, "q_b_proj", width, queries);
}

/* The latent row and the rotated part that a token leaves. */
static zmlx_status trace_latent(zx_trace *trace, zx_value x, const zx_mla *mla, zx_value *latent,
                                zx_value *rotated)
{
    static const char both[] = "kv_a_proj_with_mqa";
    const size_t size = trace->config->latent_size, rope = trace->config->rope_size;
    ZX_TRY(zx_block_linear_part(trace, x, both, (zx_row_range){size + rope, 0, size}, latent));
    ZX_TRY(zx_block_linear_part(trace, x, both, (zx_row_range){size + rope, size, rope}, rotated));
    ZX_TRY(zx_block_rmsnorm(trace, *latent, "kv_a_layernorm", mla->latent_epsilon, latent));
    return rotate(trace, *rotated, rotated);
}

/* W_k or W_v of every head: where they lie, and how the product goes. */
typedef struct head_weights {
    zx_value weight;
    zx_attributes keys, values;
    zx_value values_weight;
} head_weights;

static zmlx_status load_head_weights(zx_trace *trace, head_weights *heads)
{
    const zx_config *config = trace->config;
    const uint32_t nope = (uint32_t)config->nope_size, value = (uint32_t)config->value_size;
    const uint32_t latent = (uint32_t)config->latent_size;
    if (zx_block_has(trace, "kv_b_proj")) {
        ZX_TRY(zx_block_matrix(trace, "kv_b_proj", config->heads * (nope + value), latent,
                               &heads->weight));
        heads->values_weight = heads->weight;
        heads->keys = (zx_attributes){.head_size = nope + value, .size = nope, .transposed = true};
        heads->values = (zx_attributes){.head_size = nope + value, .first = nope, .size = value};
        return ZMLX_OK;
    }
    ZX_TRY(zx_block_matrices(trace, "embed_q", config->heads, latent, nope, &heads->weight));
    ZX_TRY(zx_block_matrices(trace, "unembed_out", config->heads, value, latent,
                             &heads->values_weight));
    heads->keys = (zx_attributes){.head_size = latent, .size = latent};
    heads->values = (zx_attributes){.head_size = value, .size = value};
    return ZMLX_OK;
}

static zmlx_status attend(zx_trace *trace, zx_value queries, zx_value keys, zx_value latent,
                          double scale, zx_value *y)
{
    const zx_config *config = trace->config;
    const size_t layer = trace->kv_layer_count++, size = config->latent_size + config->rope_size;
    trace->kv_layers[layer] =
        (zx_kv_layer){.kv_heads = 1, .key_size = size, .value_size = config->latent_size};
    const zx_attributes cache = {.head_size = (uint32_t)size, .layer = (uint32_t)layer + 1};
    zx_attributes attention = cache;
    attention.scale = (float)scale;
    attention.value_size = (uint32_t)config->latent_size;
    zx_value pages;
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_KV_APPEND, (zx_value[]){keys, latent}, &cache, &pages));
    return zx_graph_add(trace->graph, ZX_OP_ATTENTION, (zx_value[]){queries, pages}, &attention, y);
}

static zmlx_status trace_heads(zx_trace *trace, zx_value x, const zx_mla *mla, zx_value *y)
{
    const zx_config *config = trace->config;
    const size_t nope = config->nope_size, rope = config->rope_size, latent = config->latent_size;
    zx_value queries, rotated, row, row_rotated, keys;
    head_weights heads = {0};
    ZX_TRY(load_head_weights(trace, &heads));
    ZX_TRY(trace_queries(trace, x, mla, &queries));
    ZX_TRY(zx_block_columns(trace, queries, nope + rope, nope, rope, &rotated));
    ZX_TRY(rotate(trace, rotated, &rotated));
    ZX_TRY(zx_block_columns(trace, queries, nope + rope, 0, nope, &queries));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_HEAD_MATMUL, (zx_value[]){queries, heads.weight},
                        &heads.keys, &queries));
    ZX_TRY(join(trace, queries, latent, rotated, &queries));
    ZX_TRY(trace_latent(trace, x, mla, &row, &row_rotated));
    ZX_TRY(join(trace, row, latent, row_rotated, &keys));
    ZX_TRY(attend(trace, queries, keys, row, mla->score_scale, y));
    return zx_graph_add(trace->graph, ZX_OP_HEAD_MATMUL, (zx_value[]){*y, heads.values_weight},
                        &heads.values, y);
}

zmlx_status zx_block_mla(zx_trace *trace, zx_value x, const zx_mla *mla, zx_value *y)
{
    const char *outer = NULL;
    ZX_TRY(zx_block_enter(trace, mla->module, &outer));
    ZX_TRY(trace_heads(trace, x, mla, y));
    ZX_TRY(zx_block_linear(trace, *y, "o_proj", trace->config->hidden_size, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}
