#include "model/blocks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

enum { NAME_BYTES = 256 };

/* "PATH.NAME" of the present module. */
static void full_name(const zx_trace *trace, const char *name, char text[NAME_BYTES])
{
    const char *path = trace->graph->path;
    const bool top = path == NULL || *path == '\0';
    (void)snprintf(text, NAME_BYTES, "%s%s%s", top ? "" : path, top ? "" : ".", name);
}

static zmlx_status new_weight(zx_trace *trace, zx_weight **weight)
{
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&trace->graph->arena, sizeof(zx_weight), &memory));
    *weight = memory;
    return ZMLX_OK;
}

/* A file may place a tensor at any byte.  Matrices are read so; a vector, which is small, is copied
 * to where kernels may read it as an array. */
static zmlx_status align_vector(zx_trace *trace, zx_dtype dtype, size_t count, const void **vector)
{
    const size_t size = zx_dtypes[dtype].bytes;
    void *memory = NULL;
    if (*vector == NULL || (uintptr_t)*vector % size == 0) return ZMLX_OK;
    ZX_TRY(zx_arena_alloc(&trace->graph->arena, count * size, &memory));
    *vector = memcpy(memory, *vector, count * size);
    return ZMLX_OK;
}

static zmlx_status record(zx_trace *trace, const char *name, const zx_weight *weight,
                          zx_value *value)
{
    trace->parameters += weight->count * weight->rows * weight->columns;
    trace->weight_bytes += zx_weight_bytes(weight);
    return zx_graph_weight(trace->graph, name, weight, value);
}

/* The matrix of a module by its full name. */
static zmlx_status load_matrix(zx_trace *trace, const char *name, size_t rows, size_t columns,
                               zx_value *value)
{
    zx_weight *weight = NULL;
    ZX_TRY(new_weight(trace, &weight));
    ZX_TRY(zx_checkpoint_weight(trace->checkpoint, name, rows, columns, weight));
    weight->mlx_cpu_decode = trace->mlx_cpu_decode;
    ZX_TRY(align_vector(trace, weight->bias_dtype, rows, &weight->bias));
    return record(trace, name, weight, value);
}

static zmlx_status load_vector(zx_trace *trace, const char *name, size_t columns, zx_value *value)
{
    zx_weight *weight = NULL;
    ZX_TRY(new_weight(trace, &weight));
    ZX_TRY(zx_checkpoint_vector(trace->checkpoint, name, columns, weight));
    const void *values = weight->codes;
    ZX_TRY(align_vector(trace, weight->dtype, columns, &values));
    weight->codes = values;
    return record(trace, name, weight, value);
}

zmlx_status zx_block_linear(zx_trace *trace, zx_value x, const char *name, size_t rows, zx_value *y)
{
    char full[NAME_BYTES];
    zx_value weight;
    full_name(trace, name, full);
    ZX_TRY(load_matrix(trace, full, rows, zx_value_type(x)->columns, &weight));
    return zx_graph_add(trace->graph, ZX_OP_MATMUL, (zx_value[]){x, weight}, NULL, y);
}

zmlx_status zx_block_rmsnorm(zx_trace *trace, zx_value x, const char *name, zx_value *y)
{
    char full[NAME_BYTES];
    zx_value weight;
    full_name(trace, name, full);
    ZX_TRY(load_vector(trace, full, zx_value_type(x)->columns, &weight));
    const zx_attributes attributes = {.epsilon = (float)trace->config->norm_epsilon};
    return zx_graph_add(trace->graph, ZX_OP_RMSNORM, (zx_value[]){x, weight}, &attributes, y);
}

zmlx_status zx_block_add(zx_trace *trace, zx_value a, zx_value b, zx_value *y)
{
    return zx_graph_add(trace->graph, ZX_OP_ADD, (zx_value[]){a, b}, NULL, y);
}

/* Rope, cache and attention between the projections. */
static zmlx_status attend(zx_trace *trace, const zx_value qkv[3], size_t window, zx_value *y)
{
    const zx_config *config = trace->config;
    const size_t layer = trace->kv_layer_count++;
    trace->kv_layers[layer] = (zx_kv_layer){.kv_heads = config->kv_heads,
                                            .key_size = config->head_size,
                                            .value_size = config->head_size};
    const zx_attributes rope = {.head_size = (uint32_t)config->head_size, .rope = trace->rope};
    const zx_attributes cache = {.head_size = (uint32_t)config->head_size,
                                 .layer = (uint32_t)layer + 1};
    zx_attributes attention = cache;
    attention.scale = (float)(1.0 / sqrt((double)config->head_size));
    attention.window = (uint32_t)window;
    zx_value queries, keys, pages;
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_ROPE, &qkv[0], &rope, &queries));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_ROPE, &qkv[1], &rope, &keys));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_KV_APPEND, (zx_value[]){keys, qkv[2]}, &cache, &pages));
    return zx_graph_add(trace->graph, ZX_OP_ATTENTION, (zx_value[]){queries, pages}, &attention, y);
}

zmlx_status zx_block_attention(zx_trace *trace, zx_value x, size_t window, zx_value *y)
{
    const zx_config *config = trace->config;
    const size_t width = config->heads * config->head_size;
    const size_t kv_width = config->kv_heads * config->head_size;
    zx_value qkv[3], attended;
    ZX_TRY(zx_block_linear(trace, x, "self_attn.q_proj", width, &qkv[0]));
    ZX_TRY(zx_block_linear(trace, x, "self_attn.k_proj", kv_width, &qkv[1]));
    ZX_TRY(zx_block_linear(trace, x, "self_attn.v_proj", kv_width, &qkv[2]));
    ZX_TRY(attend(trace, qkv, window, &attended));
    return zx_block_linear(trace, attended, "self_attn.o_proj", config->hidden_size, y);
}

zmlx_status zx_block_swiglu(zx_trace *trace, zx_value x, zx_value *y)
{
    const zx_config *config = trace->config;
    zx_value gate, up;
    ZX_TRY(zx_block_linear(trace, x, "mlp.gate_proj", config->intermediate_size, &gate));
    ZX_TRY(zx_block_linear(trace, x, "mlp.up_proj", config->intermediate_size, &up));
    const zx_attributes silu = {.activation = ZX_ACTIVATION_SILU};
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_ACTIVATION, &gate, &silu, &gate));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_MUL, (zx_value[]){gate, up}, NULL, &gate));
    return zx_block_linear(trace, gate, "mlp.down_proj", config->hidden_size, y);
}

zmlx_status zx_block_embed(zx_trace *trace, zx_value *x)
{
    const zx_config *config = trace->config;
    zx_value ids, table;
    ZX_TRY(zx_graph_enter(trace->graph, "model"));
    ZX_TRY(zx_graph_input(trace->graph, &ids));
    ZX_TRY(
        load_matrix(trace, "model.embed_tokens", config->vocabulary, config->hidden_size, &table));
    const zx_attributes attributes = {.dtype = trace->dtype};
    return zx_graph_add(trace->graph, ZX_OP_EMBED, (zx_value[]){ids, table}, &attributes, x);
}

/* The tied head reads the same table as the embedding: the same weight node. */
static zx_value find_weight(const zx_graph *graph, const char *name)
{
    zx_node *node = graph->first;
    while (node != NULL && (node->op != ZX_OP_WEIGHT || strcmp(node->path, name) != 0))
        node = node->next;
    return (zx_value){node, 0};
}

zmlx_status zx_block_head(zx_trace *trace, zx_value x)
{
    ZX_TRY(zx_graph_enter(trace->graph, "model"));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_SELECT, &x, NULL, &x));
    ZX_TRY(zx_block_rmsnorm(trace, x, "norm", &x));
    ZX_TRY(zx_graph_enter(trace->graph, "%s", ""));
    if (!trace->config->tied)
        return zx_block_linear(trace, x, "lm_head", trace->config->vocabulary,
                               &trace->graph->output);
    const zx_value table = find_weight(trace->graph, "model.embed_tokens");
    return zx_graph_add(trace->graph, ZX_OP_MATMUL, (zx_value[]){x, table}, NULL,
                        &trace->graph->output);
}

zmlx_status zx_trace_model(zx_trace *trace)
{
    zx_value x;
    void *memory = NULL;
    ZX_TRY(
        zx_arena_alloc(&trace->graph->arena, trace->config->layers * sizeof(zx_kv_layer), &memory));
    trace->kv_layers = memory;
    ZX_TRY(zx_block_embed(trace, &x));
    for (size_t layer = 0; layer < trace->config->layers; layer++) {
        ZX_TRY(zx_graph_enter(trace->graph, "model.layers.%zu", layer));
        ZX_TRY(trace->family->trace_block(trace, layer, &x));
    }
    return zx_block_head(trace, x);
}
