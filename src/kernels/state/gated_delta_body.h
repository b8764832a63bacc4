/* gated_delta_body.h - the kernels; included once per instruction set, which names them.
 *
 * Columns of a state do not know of each other: a part takes LANES of them through all tokens of a
 * sequence, so that they stay in the first cache, and no sum runs across lanes. */
#include "kernels/rows.h"
#include "kernels/states.h"
#include "kernels/vmath.h"

enum { LANES = 32 };

typedef struct delta_sizes {
    size_t key_size, value_size;
    size_t heads, key_heads; /* of values, and of queries and keys */
    size_t blocks;           /* of columns in a state */
} delta_sizes;

static delta_sizes sizes_of(const zx_launch *launch)
{
    const size_t key_size = launch->attributes->head_size;
    const size_t value_size = launch->attributes->value_size;
    const size_t heads = launch->inputs[2].columns / value_size;
    return (delta_sizes){.key_size = key_size,
                         .value_size = value_size,
                         .heads = heads,
                         .key_heads = launch->inputs[1].columns / key_size,
                         .blocks = (value_size + LANES - 1) / LANES};
}

/* LANES columns of one head's state at work. */
typedef struct delta_block {
    const zx_launch *launch;
    delta_sizes sizes;
    size_t head, first, count;
    float *state;   /* [key_size][LANES] */
    float *queries; /* [key_size] */
} delta_block;

static float *part_of_state(const delta_block *b, float *states)
{
    return states + b->head * b->sizes.key_size * b->sizes.value_size + b->first;
}

static void load_state(const delta_block *b, const float *states)
{
    memset(b->state, 0, b->sizes.key_size * LANES * sizeof(float));
    if (states == NULL) return;
    const float *from = states + b->head * b->sizes.key_size * b->sizes.value_size + b->first;
    for (size_t i = 0; i < b->sizes.key_size; i++)
        memcpy(b->state + i * LANES, from + i * b->sizes.value_size, b->count * sizeof(float));
}

static void store_state(const delta_block *b, float *states)
{
    if (states == NULL) return;
    float *const to = part_of_state(b, states);
    for (size_t i = 0; i < b->sizes.key_size; i++)
        memcpy(to + i * b->sizes.value_size, b->state + i * LANES, b->count * sizeof(float));
}

/* One token: 'values' holds LANES values and receives as many results. */
static void run_lanes(const delta_block *b, const float *keys, float decay, float rate,
                      float values[LANES])
{
    float sum[LANES] = {0}, result[LANES] = {0};
    for (size_t i = 0; i < b->sizes.key_size; i++) {
        float *const row = b->state + i * LANES;
        const float key = keys[i];
        for (size_t j = 0; j < LANES; j++) {
            row[j] = row[j] * decay;
            sum[j] = fmaf(row[j], key, sum[j]);
        }
    }
    for (size_t j = 0; j < LANES; j++) values[j] = (values[j] - sum[j]) * rate;
    for (size_t i = 0; i < b->sizes.key_size; i++) {
        float *const row = b->state + i * LANES;
        const float key = keys[i], query = b->queries[i];
        for (size_t j = 0; j < LANES; j++) {
            row[j] = fmaf(key, values[j], row[j]);
            result[j] = fmaf(row[j], query, result[j]);
        }
    }
    memcpy(values, result, sizeof result);
}

static size_t key_head_of(const delta_block *b)
{
    const delta_sizes *sizes = &b->sizes;
    return b->launch->attributes->tiled ? b->head % sizes->key_heads
                                        : b->head / (sizes->heads / sizes->key_heads);
}

static void run_token(const delta_block *b, size_t token)
{
    const zx_launch *launch = b->launch;
    const zx_operand *v = &launch->inputs[2], *rates = &launch->inputs[4], *y = &launch->outputs[0];
    const size_t key_size = b->sizes.key_size, key_head = key_head_of(b);
    const float *queries = (const float *)zx_operand_row(&launch->inputs[0], token);
    const float *keys = (const float *)zx_operand_row(&launch->inputs[1], token);
    const size_t at = (b->head * b->sizes.value_size + b->first) * zx_dtypes[v->dtype].bytes;
    float values[LANES] = {0};
    const float *given =
        zx_row_load(v->dtype, (const char *)zx_operand_row(v, token) + at, b->count, values);
    if (given != values) memcpy(values, given, b->count * sizeof *values);
    for (size_t i = 0; i < key_size; i++)
        b->queries[i] = queries[key_head * key_size + i] * launch->attributes->scale;
    const float decay = ((const float *)zx_operand_row(&launch->inputs[3], token))[b->head];
    const float rate = zx_load(rates->dtype, zx_operand_row(rates, token), b->head);
    run_lanes(b, keys + key_head * key_size, decay, rate, values);
    zx_row_store(y->dtype, (char *)zx_operand_row(y, token) + at, b->count, values);
}

/* Parts are (sequence, head, block). */
static void run_block(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)parts;
    const zx_launch *launch = context;
    const zx_batch *batch = launch->batch;
    delta_block b = {.launch = launch, .sizes = sizes_of(launch)};
    const size_t sequence = part / (b.sizes.heads * b.sizes.blocks);
    const size_t begin = (size_t)batch->token_start[sequence];
    const size_t end = (size_t)batch->token_start[sequence + 1];
    if (begin == end) return;
    b.head = part / b.sizes.blocks % b.sizes.heads;
    b.first = part % b.sizes.blocks * LANES;
    b.count = b.sizes.value_size - b.first < LANES ? b.sizes.value_size - b.first : LANES;
    b.queries = (float *)launch->scratch + thread * b.sizes.key_size * (1 + LANES);
    b.state = b.queries + b.sizes.key_size;
    load_state(&b, zx_state_before(launch, sequence));
    for (size_t token = begin; token < end; token++) {
        run_token(&b, token);
        store_state(&b, zx_state_snapshot(launch, sequence, token));
    }
    store_state(&b, zx_state_of_slot(launch, batch->states[sequence]));
}

zmlx_status ZX_KERNEL(gated_delta)(const zx_launch *launch)
{
    const delta_sizes sizes = sizes_of(launch);
    zx_pool_run(launch->pool, launch->batch->sequences * sizes.heads * sizes.blocks, run_block,
                launch);
    return ZMLX_OK;
}

static void decay_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_launch *launch = context;
    const zx_operand *a = &launch->inputs[0], *y = &launch->outputs[0];
    const zx_weight *logs = launch->inputs[1].weight, *biases = launch->inputs[2].weight;
    size_t row, end;
    zx_split(a->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        float *const to = zx_operand_row(y, row);
        for (size_t h = 0; h < a->columns; h++) {
            const float x = zx_load(a->dtype, zx_operand_row(a, row), h) +
                            zx_load(biases->dtype, biases->codes, h);
            const float speed = zx_exp(zx_load(logs->dtype, logs->codes, h));
            to[h] = zx_exp(-(speed * zx_softplus(x)));
        }
    }
}

zmlx_status ZX_KERNEL(decay)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), decay_rows, launch);
    return ZMLX_OK;
}
