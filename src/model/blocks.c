#include "model/blocks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

void zx_block_name(const zx_trace *trace, const char *name, char text[ZX_MODULE_NAME])
{
    const char *path = trace->graph->path;
    const bool top = path == NULL || *path == '\0';
    (void)snprintf(text, ZX_MODULE_NAME, "%s%s%s", top ? "" : path, top || *name == '\0' ? "" : ".",
                   name);
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

zmlx_status zx_block_weight(zx_trace *trace, const char *name, const zx_weight *weight,
                            zx_value *value)
{
    trace->parameters += weight->count * weight->rows * weight->columns;
    trace->weight_bytes += zx_weight_bytes(weight);
    return zx_graph_weight(trace->graph, name, weight, value);
}

/* The matrix of a module by its full name. */
static zmlx_status load_matrix(zx_trace *trace, const char *name, size_t rows, size_t columns,
                               zx_weight **loaded)
{
    zx_weight *weight = NULL;
    ZX_TRY(new_weight(trace, &weight));
    ZX_TRY(zx_checkpoint_weight(trace->checkpoint, name, rows, columns, weight));
    weight->mlx_cpu_decode = trace->mlx_cpu_decode;
    ZX_TRY(align_vector(trace, weight->bias_dtype, rows, &weight->bias));
    *loaded = weight;
    return ZMLX_OK;
}

zmlx_status zx_block_enter(zx_trace *trace, const char *name, const char **outer)
{
    char full[ZX_MODULE_NAME];
    *outer = trace->graph->path;
    zx_block_name(trace, name, full);
    return zx_graph_enter(trace->graph, "%s", full);
}

void zx_block_leave(zx_trace *trace, const char *outer)
{
    trace->graph->path = outer;
}

zmlx_status zx_block_matrix(zx_trace *trace, const char *name, size_t rows, size_t columns,
                            zx_value *weight)
{
    char full[ZX_MODULE_NAME];
    zx_weight *loaded = NULL;
    zx_block_name(trace, name, full);
    ZX_TRY(load_matrix(trace, full, rows, columns, &loaded));
    return zx_block_weight(trace, full, loaded, weight);
}

zmlx_status zx_block_matrices(zx_trace *trace, const char *name, size_t count, size_t rows,
                              size_t columns, zx_value *value)
{
    char full[ZX_MODULE_NAME];
    zx_weight *weight = NULL;
    zx_block_name(trace, name, full);
    ZX_TRY(new_weight(trace, &weight));
    ZX_TRY(zx_checkpoint_stack(trace->checkpoint, full, count, rows, columns, weight));
    weight->mlx_cpu_decode = trace->mlx_cpu_decode;
    return zx_block_weight(trace, full, weight, value);
}

zmlx_status zx_block_vector(zx_trace *trace, const char *name, size_t columns, zx_value *value)
{
    char full[ZX_MODULE_NAME];
    zx_weight *weight = NULL;
    zx_block_name(trace, name, full);
    ZX_TRY(new_weight(trace, &weight));
    ZX_TRY(zx_checkpoint_vector(trace->checkpoint, full, columns, weight));
    const void *values = weight->codes;
    ZX_TRY(align_vector(trace, weight->dtype, columns, &values));
    ZX_TRY(align_vector(trace, weight->bias_dtype, columns, &weight->bias));
    weight->codes = values;
    return zx_block_weight(trace, full, weight, value);
}

zmlx_status zx_block_linear(zx_trace *trace, zx_value x, const char *name, size_t rows, zx_value *y)
{
    zx_value weight;
    ZX_TRY(zx_block_matrix(trace, name, rows, zx_value_type(x)->columns, &weight));
    return zx_graph_add(trace->graph, ZX_OP_MATMUL, (zx_value[]){x, weight}, NULL, y);
}

zmlx_status zx_block_linear_part(zx_trace *trace, zx_value x, const char *name, zx_row_range rows,
                                 zx_value *y)
{
    char full[ZX_MODULE_NAME];
    zx_weight *weight = NULL;
    zx_value value;
    zx_block_name(trace, name, full);
    ZX_TRY(load_matrix(trace, full, rows.all, zx_value_type(x)->columns, &weight));
    weight->rows = rows.count;
    weight->codes += rows.first * weight->codes_stride;
    if (weight->scales != NULL) weight->scales += rows.first * weight->scales_stride;
    if (weight->biases != NULL) weight->biases += rows.first * weight->scales_stride;
    if (weight->bias != NULL)
        weight->bias =
            (const char *)weight->bias + rows.first * zx_dtypes[weight->bias_dtype].bytes;
    ZX_TRY(zx_block_weight(trace, full, weight, &value));
    return zx_graph_add(trace->graph, ZX_OP_MATMUL, (zx_value[]){x, value}, NULL, y);
}

bool zx_block_has(const zx_trace *trace, const char *name)
{
    char module[ZX_MODULE_NAME], full[ZX_MODULE_NAME + 8];
    zx_block_name(trace, name, module);
    (void)snprintf(full, sizeof full, "%s.weight", module);
    return zx_checkpoint_peek(trace->checkpoint, full) != NULL;
}

/* Files of llama.cpp have the offset in the weight. */
static zx_attributes norm_attributes(const zx_trace *trace)
{
    const zx_norm *norm = &trace->family->norm;
    const bool shifted = trace->config->norms_shifted || zx_checkpoint_is_gguf(trace->checkpoint);
    return (zx_attributes){.epsilon = (float)trace->config->norm_epsilon,
                           .offset = shifted ? 0 : norm->offset,
                           .wide = norm->wide};
}

zmlx_status zx_block_norm(zx_trace *trace, zx_value x, const char *name, zx_value *y)
{
    zx_value weight;
    ZX_TRY(zx_block_vector(trace, name, zx_value_type(x)->columns, &weight));
    const zx_attributes attributes = norm_attributes(trace);
    const zx_op op = trace->family->norm.layernorm ? ZX_OP_LAYERNORM : ZX_OP_RMSNORM;
    return zx_graph_add(trace->graph, op, (zx_value[]){x, weight}, &attributes, y);
}

zmlx_status zx_block_rmsnorm(zx_trace *trace, zx_value x, const char *name, double epsilon,
                             zx_value *y)
{
    zx_value weight;
    const zx_attributes attributes = {.epsilon = (float)epsilon};
    ZX_TRY(zx_block_vector(trace, name, zx_value_type(x)->columns, &weight));
    return zx_graph_add(trace->graph, ZX_OP_RMSNORM, (zx_value[]){x, weight}, &attributes, y);
}

zmlx_status zx_block_head_norm(zx_trace *trace, zx_value x, const char *name, size_t head_size,
                               zx_value *y)
{
    zx_value weight;
    zx_attributes attributes = norm_attributes(trace);
    attributes.head_size = (uint32_t)head_size;
    ZX_TRY(zx_block_vector(trace, name, head_size, &weight));
    return zx_graph_add(trace->graph, ZX_OP_HEAD_RMSNORM, (zx_value[]){x, weight}, &attributes, y);
}

zmlx_status zx_block_ones(zx_trace *trace, size_t columns, zx_value *value)
{
    zx_weight *weight = NULL;
    void *memory = NULL;
    ZX_TRY(new_weight(trace, &weight));
    ZX_TRY(zx_arena_alloc(&trace->graph->arena, columns * sizeof(float), &memory));
    float *const ones = memory;
    for (size_t i = 0; i < columns; i++) ones[i] = 1;
    *weight = zx_weight_of_floats(ones, columns);
    return zx_graph_weight(trace->graph, "ones", weight, value);
}

zmlx_status zx_block_add(zx_trace *trace, zx_value a, zx_value b, zx_value *y)
{
    return zx_graph_add(trace->graph, ZX_OP_ADD, (zx_value[]){a, b}, NULL, y);
}

zmlx_status zx_block_activation(zx_trace *trace, zx_value x, zx_activation activation, zx_value *y)
{
    const zx_attributes attributes = {.activation = activation};
    return zx_graph_add(trace->graph, ZX_OP_ACTIVATION, &x, &attributes, y);
}

zmlx_status zx_block_columns(zx_trace *trace, zx_value x, size_t head_size, size_t first,
                             size_t size, zx_value *y)
{
    const zx_attributes attributes = {
        .head_size = (uint32_t)head_size, .first = (uint32_t)first, .size = (uint32_t)size};
    return zx_graph_add(trace->graph, ZX_OP_COLUMNS, &x, &attributes, y);
}

zmlx_status zx_block_scale(zx_trace *trace, zx_value x, double scale, zx_value *y)
{
    *y = x;
    if (scale == 0 || scale == 1) return ZMLX_OK;
    const zx_attributes attributes = {.scale = (float)scale};
    return zx_graph_add(trace->graph, ZX_OP_SCALE, &x, &attributes, y);
}

zmlx_status zx_block_residual(zx_trace *trace, zx_value part, zx_value *x)
{
    ZX_TRY(zx_block_scale(trace, part, trace->config->residual_scale, &part));
    return zx_block_add(trace, *x, part, x);
}

zx_attention zx_attention_usual(const zx_trace *trace, size_t layer)
{
    const zx_layer_type type = trace->config->layer_types[layer];
    return (zx_attention){.module = "self_attn",
                          .query = "q_proj",
                          .key = "k_proj",
                          .value = "v_proj",
                          .output = "o_proj",
                          .rope = &trace->ropes[type],
                          .window = type == ZX_LAYER_SLIDING ? trace->config->window : 0,
                          .type = type,
                          .heads = zx_config_heads(trace->config, type)};
}

static zmlx_status rotate(zx_trace *trace, const zx_attention *attention, zx_value x, zx_value *y)
{
    *y = x;
    if (attention->rope == NULL) return ZMLX_OK;
    const zx_attributes rope = {.head_size = (uint32_t)attention->heads.head_size,
                                .rope = attention->rope};
    return zx_graph_add(trace->graph, ZX_OP_ROPE, &x, &rope, y);
}

/* Llama 4's scale of queries behind their rope. */
static zmlx_status scale_by_position(zx_trace *trace, zx_value x, zx_value *y)
{
    const zx_config *config = trace->config;
    *y = x;
    if (config->query_scale_beta == 0) return ZMLX_OK;
    const zx_attributes attributes = {.beta = (float)config->query_scale_beta,
                                      .period = (uint32_t)config->query_scale_period};
    return zx_graph_add(trace->graph, ZX_OP_POSITION_SCALE, &x, &attributes, y);
}

/* Keys and values into a cache of the layer's own, or the cache that it shares. */
static zmlx_status trace_cache(zx_trace *trace, const zx_value qkv[3],
                               const zx_attention *attention, zx_value *pages)
{
    const zx_heads heads = attention->heads;
    zx_value keys;
    *pages = trace->caches[attention->type];
    if (attention->shares_cache) return ZMLX_OK;
    const size_t layer = trace->kv_layer_count++;
    trace->kv_layers[layer] = (zx_kv_layer){
        .kv_heads = heads.kv_heads, .key_size = heads.head_size, .value_size = heads.head_size};
    const zx_attributes cache = {.head_size = (uint32_t)heads.head_size,
                                 .layer = (uint32_t)layer + 1};
    ZX_TRY(rotate(trace, attention, qkv[1], &keys));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_KV_APPEND, (zx_value[]){keys, qkv[2]}, &cache, pages));
    trace->caches[attention->type] = *pages;
    return ZMLX_OK;
}

zmlx_status zx_block_attend(zx_trace *trace, const zx_value qkv[3], const zx_attention *attention,
                            zx_value *y)
{
    const zx_config *config = trace->config;
    zx_value queries, pages, sinks;
    ZX_TRY(rotate(trace, attention, qkv[0], &queries));
    ZX_TRY(scale_by_position(trace, queries, &queries));
    ZX_TRY(trace_cache(trace, qkv, attention, &pages));
    zx_attributes attributes = {.head_size = (uint32_t)attention->heads.head_size,
                                .limit = (float)config->attention_limit,
                                .window = (uint32_t)attention->window,
                                .layer = pages.node->attributes.layer};
    attributes.scale =
        (float)(config->attention_scale != 0 ? config->attention_scale
                                             : 1.0 / sqrt((double)attention->heads.head_size));
    if (attention->sinks == NULL)
        return zx_graph_add(trace->graph, ZX_OP_ATTENTION, (zx_value[]){queries, pages},
                            &attributes, y);
    ZX_TRY(zx_block_vector(trace, attention->sinks, config->heads, &sinks));
    return zx_graph_add(trace->graph, ZX_OP_ATTENTION_SINKS, (zx_value[]){queries, pages, sinks},
                        &attributes, y);
}

/* Queries, and where they have some their gates. */
static zmlx_status project_queries(zx_trace *trace, zx_value x, const zx_attention *attention,
                                   zx_value *queries, zx_value *gates)
{
    const size_t size = attention->heads.head_size, width = trace->config->heads * size;
    zx_value both;
    if (!attention->gated) return zx_block_linear(trace, x, attention->query, width, queries);
    ZX_TRY(zx_block_linear(trace, x, attention->query, 2 * width, &both));
    ZX_TRY(zx_block_columns(trace, both, 2 * size, 0, size, queries));
    return zx_block_columns(trace, both, 2 * size, size, size, gates);
}

static zmlx_status project(zx_trace *trace, zx_value x, const zx_attention *attention,
                           zx_value qkv[3], zx_value *gates)
{
    const size_t width = trace->config->heads * attention->heads.head_size;
    const size_t kv_width = attention->heads.kv_heads * attention->heads.head_size;
    const size_t all = width + 2 * kv_width;
    const char *together = attention->together;
    if (together == NULL) {
        ZX_TRY(project_queries(trace, x, attention, &qkv[0], gates));
        if (attention->shares_cache) return ZMLX_OK;
        ZX_TRY(zx_block_linear(trace, x, attention->key, kv_width, &qkv[1]));
        qkv[2] = qkv[1];
        if (attention->keys_are_values) return ZMLX_OK;
        return zx_block_linear(trace, x, attention->value, kv_width, &qkv[2]);
    }
    ZX_TRY(zx_block_linear_part(trace, x, together, (zx_row_range){all, 0, width}, &qkv[0]));
    ZX_TRY(zx_block_linear_part(trace, x, together, (zx_row_range){all, width, kv_width}, &qkv[1]));
    return zx_block_linear_part(trace, x, together, (zx_row_range){all, width + kv_width, kv_width},
                                &qkv[2]);
}

static zmlx_status norm_heads(zx_trace *trace, const zx_attention *attention, const char *name,
                              zx_value *x)
{
    if (name == NULL) return ZMLX_OK;
    if (attention->whole_norm) return zx_block_norm(trace, *x, name, x);
    return zx_block_head_norm(trace, *x, name, attention->heads.head_size, x);
}

static zmlx_status norm_values(zx_trace *trace, const zx_attention *attention, zx_value *x)
{
    const size_t size = attention->heads.head_size;
    zx_attributes attributes = norm_attributes(trace);
    zx_value ones;
    if (!attention->value_norm) return ZMLX_OK;
    attributes.offset = 0;
    attributes.head_size = (uint32_t)size;
    ZX_TRY(zx_block_ones(trace, size, &ones));
    return zx_graph_add(trace->graph, ZX_OP_HEAD_RMSNORM, (zx_value[]){*x, ones}, &attributes, x);
}

zmlx_status zx_block_attention(zx_trace *trace, zx_value x, const zx_attention *attention,
                               zx_value *y)
{
    const char *outer = NULL;
    zx_value qkv[3] = {{0}}, gates = {0}, attended;
    ZX_TRY(zx_block_enter(trace, attention->module, &outer));
    ZX_TRY(project(trace, x, attention, qkv, &gates));
    ZX_TRY(norm_heads(trace, attention, attention->query_norm, &qkv[0]));
    if (!attention->shares_cache) {
        ZX_TRY(norm_heads(trace, attention, attention->key_norm, &qkv[1]));
        ZX_TRY(norm_values(trace, attention, &qkv[2]));
    }
    ZX_TRY(zx_block_attend(trace, qkv, attention, &attended));
    if (attention->gated)
        ZX_TRY(zx_block_gate(trace, gates, attended, ZX_ACTIVATION_SIGMOID, &attended));
    ZX_TRY(zx_block_linear(trace, attended, attention->output, trace->config->hidden_size, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}

zmlx_status zx_block_gate(zx_trace *trace, zx_value gate, zx_value up, zx_activation activation,
                          zx_value *y)
{
    ZX_TRY(zx_block_activation(trace, gate, activation, &gate));
    return zx_graph_add(trace->graph, ZX_OP_MUL, (zx_value[]){gate, up}, NULL, y);
}

/* 'together': one matrix for gate and up. */
static zmlx_status trace_glu(zx_trace *trace, zx_value x, size_t size, bool together, zx_value *y)
{
    static const char both[] = "gate_up_proj";
    zx_value gate, up;
    if (together) {
        ZX_TRY(zx_block_linear_part(trace, x, both, (zx_row_range){2 * size, 0, size}, &gate));
        ZX_TRY(zx_block_linear_part(trace, x, both, (zx_row_range){2 * size, size, size}, &up));
    } else {
        ZX_TRY(zx_block_linear(trace, x, "gate_proj", size, &gate));
        ZX_TRY(zx_block_linear(trace, x, "up_proj", size, &up));
    }
    ZX_TRY(zx_block_gate(trace, gate, up, trace->config->activation, &gate));
    return zx_block_linear(trace, gate, "down_proj", trace->config->hidden_size, y);
}

zmlx_status zx_block_glu(zx_trace *trace, zx_value x, const char *module, size_t size, zx_value *y)
{
    const char *outer = NULL;
    ZX_TRY(zx_block_enter(trace, module, &outer));
    ZX_TRY(trace_glu(trace, x, size, false, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}

zmlx_status zx_block_glu_together(zx_trace *trace, zx_value x, const char *module, size_t size,
                                  zx_value *y)
{
    const char *outer = NULL;
    ZX_TRY(zx_block_enter(trace, module, &outer));
    ZX_TRY(trace_glu(trace, x, size, true, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}

zmlx_status zx_block_mlp(zx_trace *trace, zx_value x, const char *up, const char *down, zx_value *y)
{
    const zx_config *config = trace->config;
    const char *outer = NULL;
    ZX_TRY(zx_block_enter(trace, "mlp", &outer));
    ZX_TRY(zx_block_linear(trace, x, up, config->intermediate_size, &x));
    ZX_TRY(zx_block_activation(trace, x, config->activation, &x));
    ZX_TRY(zx_block_linear(trace, x, down, config->hidden_size, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}

/* Both tables are read by the same ids. */
static zmlx_status find_ids(zx_trace *trace, zx_value *ids)
{
    zx_node *node = trace->graph->first;
    while (node != NULL && node->op != ZX_OP_INPUT) node = node->next;
    *ids = (zx_value){node, 0};
    return node != NULL ? ZMLX_OK : zx_graph_input(trace->graph, ids);
}

zmlx_status zx_block_embed(zx_trace *trace, const zx_embedding *table, zx_value *y)
{
    zx_value ids, weight;
    const zx_attributes attributes = {.dtype = trace->dtype};
    ZX_TRY(find_ids(trace, &ids));
    ZX_TRY(zx_block_matrix(trace, table->name, table->rows, table->columns, &weight));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_EMBED, (zx_value[]){ids, weight}, &attributes, y));
    return zx_block_scale(trace, *y, table->scale, y);
}

static zmlx_status trace_embed(zx_trace *trace, zx_value *x)
{
    const zx_outer_names names = zx_family_names(trace->family, trace->checkpoint);
    const zx_config *config = trace->config;
    double scale = config->embedding_scale;
    if (config->embedding_scale_rounded) scale = (double)zx_round_to(trace->dtype, (float)scale);
    ZX_TRY(zx_graph_enter(trace->graph, "%s", ""));
    const zx_embedding table = {names.embedding, config->vocabulary, config->hidden_size, scale};
    return zx_block_embed(trace, &table, x);
}

/* The tied head reads the same table as the embedding: the same weight node. */
static zx_value find_weight(const zx_graph *graph, const char *name)
{
    zx_node *node = graph->first;
    while (node != NULL && (node->op != ZX_OP_WEIGHT || strcmp(node->path, name) != 0))
        node = node->next;
    return (zx_value){node, 0};
}

/* Scales and soft cap of the logits; the last value is the graph's output. */
static zmlx_status finish_logits(zx_trace *trace, zx_value logits)
{
    const zx_config *config = trace->config;
    const double divisor = config->logit_divisor;
    ZX_TRY(zx_block_scale(trace, logits, config->logit_scale, &logits));
    ZX_TRY(zx_block_scale(trace, logits, divisor != 0 ? 1 / divisor : 0, &logits));
    if (config->logit_limit > 0) {
        const zx_attributes cap = {.limit = (float)config->logit_limit};
        ZX_TRY(zx_graph_add(trace->graph, ZX_OP_SOFTCAP, &logits, &cap, &logits));
    }
    trace->graph->output = logits;
    return ZMLX_OK;
}

/* Final norm, the sampled rows, the head (or the tied table). */
static zmlx_status trace_head(zx_trace *trace, zx_value x)
{
    const zx_outer_names names = zx_family_names(trace->family, trace->checkpoint);
    zx_value logits;
    ZX_TRY(zx_graph_enter(trace->graph, "%s", ""));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_SELECT, &x, NULL, &x));
    ZX_TRY(zx_block_norm(trace, x, names.norm, &x));
    if (trace->config->tied) {
        const zx_value table = find_weight(trace->graph, names.embedding);
        ZX_TRY(zx_graph_add(trace->graph, ZX_OP_MATMUL, (zx_value[]){x, table}, NULL, &logits));
    } else {
        ZX_TRY(zx_block_linear(trace, x, names.head, trace->config->vocabulary, &logits));
    }
    return finish_logits(trace, logits);
}

zmlx_status zx_trace_model(zx_trace *trace)
{
    zx_value x;
    void *memory = NULL;
    ZX_TRY(
        zx_arena_alloc(&trace->graph->arena, trace->config->layers * sizeof(zx_kv_layer), &memory));
    trace->kv_layers = memory;
    ZX_TRY(zx_arena_alloc(&trace->graph->arena,
                          ZX_LAYER_STATES * trace->config->layers * sizeof(zx_state_layer),
                          &memory));
    trace->state_layers = memory;
    ZX_TRY(trace_embed(trace, &x));
    if (trace->family->trace_inputs != NULL) ZX_TRY(trace->family->trace_inputs(trace, x));
    for (size_t layer = 0; layer < trace->config->layers; layer++) {
        ZX_TRY(zx_graph_enter(trace->graph, "%s.%zu",
                              zx_family_names(trace->family, trace->checkpoint).layers, layer));
        ZX_TRY(trace->family->trace_block(trace, layer, &x));
    }
    return trace_head(trace, x);
}
