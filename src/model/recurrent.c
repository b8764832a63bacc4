#include "model/recurrent.h"

#include <assert.h>
#include <math.h>

#include "base/fail.h"

enum { MOST_HEADS = 4096, MOST_HEAD_SIZE = 1024 };

zmlx_status zx_check_taps(const zx_checkpoint *checkpoint, const zx_config *config)
{
    if (config->conv_taps >= 2 && config->conv_taps <= ZX_MAX_TAPS) return ZMLX_OK;
    return zx_config_refuse(checkpoint, "conv_L_cache|linear_conv_kernel_dim", config->conv_taps,
                            "2 to 16");
}

zmlx_status zx_check_delta(const zx_checkpoint *checkpoint, const zx_config *config)
{
    const struct {
        const char *key;
        size_t value, most;
    } sizes[] = {
        {"linear_num_key_heads", config->linear_key_heads, MOST_HEADS},
        {"linear_num_value_heads", config->linear_value_heads, MOST_HEADS},
        {"linear_key_head_dim", config->linear_key_size, MOST_HEAD_SIZE},
        {"linear_value_head_dim", config->linear_value_size, MOST_HEAD_SIZE},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].value == 0 || sizes[i].value > sizes[i].most)
            return zx_config_refuse(checkpoint, sizes[i].key, sizes[i].value, "a usual size");
    if (config->linear_value_heads % config->linear_key_heads != 0)
        return zx_config_refuse(checkpoint, "linear_num_value_heads", config->linear_value_heads,
                                "a multiple of the count of key heads");
    return zx_check_taps(checkpoint, config);
}

/* Room for so many values in every slot; the number of the state as an attribute. */
static uint32_t add_state(zx_trace *trace, size_t values)
{
    assert(trace->state_layer_count < ZX_LAYER_STATES * trace->config->layers);
    trace->state_layers[trace->state_layer_count++] = (zx_state_layer){.values = values};
    return (uint32_t)trace->state_layer_count;
}

static zmlx_status load_conv(zx_trace *trace, const char *name, size_t columns, zx_weight **loaded)
{
    char full[ZX_MODULE_NAME];
    void *memory = NULL;
    zx_block_name(trace, name, full);
    ZX_TRY(zx_arena_alloc(&trace->graph->arena, sizeof(zx_weight), &memory));
    *loaded = memory;
    return zx_checkpoint_conv(trace->checkpoint, full, columns, trace->config->conv_taps,
                              &trace->graph->arena, memory);
}

static zmlx_status convolve(zx_trace *trace, zx_value x, const char *name, const zx_weight *weight,
                            zx_value *y)
{
    char full[ZX_MODULE_NAME];
    zx_value value;
    const zx_attributes attributes = {.state =
                                          add_state(trace, (weight->rows - 1) * weight->columns)};
    zx_block_name(trace, name, full);
    ZX_TRY(zx_block_weight(trace, full, weight, &value));
    return zx_graph_add(trace->graph, ZX_OP_SHORT_CONV, (zx_value[]){x, value}, &attributes, y);
}

zmlx_status zx_block_short_conv(zx_trace *trace, zx_value x, const char *module, zx_value *y)
{
    const size_t size = trace->config->hidden_size;
    const char *outer = NULL;
    zx_weight *weight = NULL;
    zx_value parts[3];
    ZX_TRY(zx_block_enter(trace, module, &outer));
    for (size_t i = 0; i < 3; i++)
        ZX_TRY(zx_block_linear_part(trace, x, "in_proj", (zx_row_range){3 * size, i * size, size},
                                    &parts[i]));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_MUL, (zx_value[]){parts[0], parts[2]}, NULL, &x));
    ZX_TRY(load_conv(trace, "conv", size, &weight));
    ZX_TRY(convolve(trace, x, "conv", weight, &x));
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_MUL, (zx_value[]){x, parts[1]}, NULL, &x));
    ZX_TRY(zx_block_linear(trace, x, "out_proj", size, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}

/* -------- the gated delta rule -------- */

typedef struct delta_inputs {
    zx_value queries, keys, values, gates, rates, decays;
} delta_inputs;

/* Widths of one key head's part of the rows. */
typedef struct delta_widths {
    size_t key, value, qkv, all; /* all: with the gates */
    size_t group;                /* value heads of a key head */
} delta_widths;

static delta_widths widths_of(const zx_config *config)
{
    const size_t group = config->linear_value_heads / config->linear_key_heads;
    const size_t key = config->linear_key_size, value = group * config->linear_value_size;
    return (delta_widths){key, value, 2 * key + value, 2 * (key + value), group};
}

/* The tensor has all heads of q, then of k, then of v; x has them key head by key head. */
static zmlx_status order_by_head(zx_trace *trace, const delta_widths *w, zx_weight *weight)
{
    const size_t heads = trace->config->linear_key_heads, columns = weight->columns;
    const float *from = (const float *)(const void *)weight->codes;
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&trace->graph->arena, weight->rows * columns * sizeof(float), &memory));
    float *const to = memory;
    for (size_t i = 0; i < weight->rows * columns; i++) {
        const size_t column = i % columns, head = column / w->qkv, at = column % w->qkv;
        const size_t part = at < w->key ? 0 : at < 2 * w->key ? 1 : 2;
        const size_t source = part < 2 ? (part * heads + head) * w->key + at - part * w->key
                                       : 2 * heads * w->key + head * w->value + at - 2 * w->key;
        to[i] = from[i - column + source];
    }
    weight->codes = memory;
    return ZMLX_OK;
}

/* One matrix whose rows stand key head by key head. */
static zmlx_status project_together(zx_trace *trace, zx_value x, const delta_widths *w,
                                    delta_inputs *in)
{
    const size_t heads = trace->config->linear_key_heads;
    zx_weight *conv = NULL;
    zx_value all;
    ZX_TRY(zx_block_linear(trace, x, "in_proj_qkvz", heads * w->all, &all));
    ZX_TRY(zx_block_columns(trace, all, w->all, w->qkv, w->value, &in->gates));
    ZX_TRY(zx_block_columns(trace, all, w->all, 0, w->qkv, &all));
    ZX_TRY(load_conv(trace, "conv1d", heads * w->qkv, &conv));
    ZX_TRY(order_by_head(trace, w, conv));
    ZX_TRY(convolve(trace, all, "conv1d", conv, &all));
    ZX_TRY(zx_block_activation(trace, all, trace->config->activation, &all));
    ZX_TRY(zx_block_columns(trace, all, w->qkv, 0, w->key, &in->queries));
    ZX_TRY(zx_block_columns(trace, all, w->qkv, w->key, w->key, &in->keys));
    return zx_block_columns(trace, all, w->qkv, 2 * w->key, w->value, &in->values);
}

static zmlx_status project_apart(zx_trace *trace, zx_value x, const delta_widths *w,
                                 delta_inputs *in)
{
    const zx_config *config = trace->config;
    const size_t keys = config->linear_key_heads * w->key;
    const size_t values = config->linear_key_heads * w->value, width = 2 * keys + values;
    zx_weight *conv = NULL;
    zx_value all;
    ZX_TRY(zx_block_linear(trace, x, "in_proj_qkv", width, &all));
    ZX_TRY(load_conv(trace, "conv1d", width, &conv));
    ZX_TRY(convolve(trace, all, "conv1d", conv, &all));
    ZX_TRY(zx_block_activation(trace, all, trace->config->activation, &all));
    ZX_TRY(zx_block_columns(trace, all, width, 0, keys, &in->queries));
    ZX_TRY(zx_block_columns(trace, all, width, keys, keys, &in->keys));
    ZX_TRY(zx_block_columns(trace, all, width, 2 * keys, values, &in->values));
    return zx_block_linear(trace, x, "in_proj_z", values, &in->gates);
}

/* Rates and decays, in one matrix key head by key head or in two. */
static zmlx_status project_factors(zx_trace *trace, zx_value x, size_t group, bool together,
                                   delta_inputs *in)
{
    const size_t heads = trace->config->linear_value_heads;
    zx_value all;
    if (!together) {
        ZX_TRY(zx_block_linear(trace, x, "in_proj_b", heads, &in->rates));
        return zx_block_linear(trace, x, "in_proj_a", heads, &in->decays);
    }
    ZX_TRY(zx_block_linear(trace, x, "in_proj_ba", 2 * heads, &all));
    ZX_TRY(zx_block_columns(trace, all, 2 * group, 0, group, &in->rates));
    return zx_block_columns(trace, all, 2 * group, group, group, &in->decays);
}

/* Heads of length 1; the official epsilon stands beside the sum, not the mean. */
static zmlx_status normalize(zx_trace *trace, size_t head_size, zx_value *x)
{
    const zx_attributes attributes = {.epsilon = 1e-6F, .head_size = (uint32_t)head_size};
    return zx_graph_add(trace->graph, ZX_OP_HEAD_L2NORM, x, &attributes, x);
}

/* Files of llama.cpp have -exp(A_log) where others have A_log. */
static zmlx_status load_speeds(zx_trace *trace, size_t heads, zx_value *logarithms)
{
    char full[ZX_MODULE_NAME];
    zx_weight *weight = NULL;
    void *memory = NULL;
    if (!zx_checkpoint_is_gguf(trace->checkpoint))
        return zx_block_vector(trace, "A_log", heads, logarithms);
    zx_block_name(trace, "A_log", full);
    ZX_TRY(zx_arena_alloc(&trace->graph->arena, sizeof *weight, &memory));
    weight = memory;
    ZX_TRY(zx_checkpoint_vector(trace->checkpoint, full, heads, weight));
    ZX_TRY(zx_arena_alloc(&trace->graph->arena, heads * sizeof(float), &memory));
    float *const values = memory;
    for (size_t i = 0; i < heads; i++) {
        const float value = zx_load(weight->dtype, weight->codes, i);
        if (!(value <= 0 && isfinite(value)))
            return ZX_FAIL(ZMLX_ERROR_FORMAT,
                           "%s: element %zu of tensor 'ssm_a' (%s) is %g; expected a number of at "
                           "most 0",
                           zx_checkpoint_path(trace->checkpoint), i, full, (double)value);
        values[i] = (float)log(-(double)value);
    }
    *weight = zx_weight_of_floats(values, heads);
    return zx_block_weight(trace, full, weight, logarithms);
}

static zmlx_status trace_decay(zx_trace *trace, zx_value *x)
{
    const size_t heads = trace->config->linear_value_heads;
    zx_value logarithms, biases;
    ZX_TRY(load_speeds(trace, heads, &logarithms));
    ZX_TRY(zx_block_vector(trace, "dt_bias", heads, &biases));
    return zx_graph_add(trace->graph, ZX_OP_DECAY, (zx_value[]){*x, logarithms, biases}, NULL, x);
}

/* The rule itself, and the norm that its gate multiplies; that norm's weight has no offset. */
static zmlx_status attend(zx_trace *trace, const delta_inputs *in, zx_value *y)
{
    const zx_config *config = trace->config;
    const size_t key_size = config->linear_key_size, value_size = config->linear_value_size;
    zx_value weight;
    const zx_attributes delta = {
        .scale = (float)(1.0 / sqrt((double)key_size)),
        .head_size = (uint32_t)key_size,
        .value_size = (uint32_t)value_size,
        .state = add_state(trace, config->linear_value_heads * key_size * value_size),
        .tiled = config->linear_heads_tiled};
    const zx_attributes norm = {.epsilon = (float)config->norm_epsilon,
                                .activation = ZX_ACTIVATION_SILU,
                                .head_size = (uint32_t)value_size};
    ZX_TRY(zx_graph_add(trace->graph, ZX_OP_GATED_DELTA,
                        (zx_value[]){in->queries, in->keys, in->values, in->decays, in->rates},
                        &delta, y));
    ZX_TRY(zx_block_vector(trace, "norm", value_size, &weight));
    return zx_graph_add(trace->graph, ZX_OP_GATED_HEAD_RMSNORM, (zx_value[]){*y, in->gates, weight},
                        &norm, y);
}

zmlx_status zx_block_delta(zx_trace *trace, zx_value x, const char *module, bool together,
                           zx_value *y)
{
    const delta_widths widths = widths_of(trace->config);
    const char *outer = NULL;
    delta_inputs in;
    ZX_TRY(zx_block_enter(trace, module, &outer));
    ZX_TRY(together && !zx_block_has(trace, "in_proj_qkv")
               ? project_together(trace, x, &widths, &in)
               : project_apart(trace, x, &widths, &in));
    ZX_TRY(project_factors(trace, x, widths.group, together, &in));
    ZX_TRY(normalize(trace, widths.key, &in.queries));
    ZX_TRY(normalize(trace, widths.key, &in.keys));
    ZX_TRY(zx_block_activation(trace, in.rates, ZX_ACTIVATION_SIGMOID, &in.rates));
    ZX_TRY(trace_decay(trace, &in.decays));
    ZX_TRY(attend(trace, &in, y));
    ZX_TRY(zx_block_linear(trace, *y, "out_proj", trace->config->hidden_size, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}
