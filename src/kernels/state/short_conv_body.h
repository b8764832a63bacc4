/* short_conv_body.h - the kernels; included once per instruction set, which names them.
 *
 * Work is cut into blocks of columns: a block's weight and its last inputs stay on the stack while
 * all tokens of the step pass. */
#include "kernels/elementwise/elementwise_rows.h"
#include "kernels/states.h"

enum { BLOCK = 64, LEAST_VALUES = 16384 /* for a thread: below, waking it costs more */ };

typedef struct conv_job {
    const zx_launch *launch;
    bool gated;
} conv_job;

/* A block of columns at work.  The inputs are a ring: that of token t is in row t mod taps. */
typedef struct conv_block {
    const conv_job *job;
    size_t first, count, columns, taps;
    float weight[ZX_MAX_TAPS][BLOCK], inputs[ZX_MAX_TAPS][BLOCK], bias[BLOCK];
} conv_block;

static const zx_weight *weight_of(const conv_job *job)
{
    return job->launch->inputs[job->gated ? 2 : 1].weight;
}

/* Columns of a row as f32. */
static void load_columns(zx_dtype dtype, const void *row, size_t first, size_t count, float *to)
{
    const char *from = (const char *)row + first * zx_dtypes[dtype].bytes;
    const float *values = zx_row_load(dtype, from, count, to);
    if (values != to) memcpy(to, values, count * sizeof *to);
}

static void load_weight(conv_block *b)
{
    const zx_weight *weight = weight_of(b->job);
    for (size_t j = 0; j < b->taps; j++)
        load_columns(weight->dtype, weight->codes + j * weight->codes_stride, b->first, b->count,
                     b->weight[j]);
    if (weight->bias != NULL)
        load_columns(weight->bias_dtype, weight->bias, b->first, b->count, b->bias);
}

/* The state, oldest first, from and to the rows before token 'next' of the ring. */
static void load_state(conv_block *b, const float *state, size_t next)
{
    for (size_t j = 0; j + 1 < b->taps; j++) {
        float *const row = b->inputs[(next + 1 + j) % b->taps];
        if (state == NULL)
            memset(row, 0, b->count * sizeof *row);
        else
            memcpy(row, state + j * b->columns + b->first, b->count * sizeof *row);
    }
}

static void store_state(const conv_block *b, float *state, size_t next)
{
    if (state == NULL) return;
    for (size_t j = 0; j + 1 < b->taps; j++)
        memcpy(state + j * b->columns + b->first, b->inputs[(next + 1 + j) % b->taps],
               b->count * sizeof *state);
}

static void load_input(const conv_block *b, size_t token, float *x)
{
    const zx_launch *launch = b->job->launch;
    const zx_operand *a = &launch->inputs[0];
    float other[BLOCK];
    load_columns(a->dtype, zx_operand_row(a, token), b->first, b->count, x);
    if (!b->job->gated) return;
    load_columns(launch->inputs[1].dtype, zx_operand_row(&launch->inputs[1], token), b->first,
                 b->count, other);
    zx_mul_values(launch->outputs[0].dtype, x, other, b->count, x);
}

static void run_token(conv_block *b, size_t token)
{
    const zx_launch *launch = b->job->launch;
    const zx_operand *y = &launch->outputs[0];
    float sum[BLOCK] = {0}, gate[BLOCK];
    load_input(b, token, b->inputs[token % b->taps]);
    for (size_t j = 0; j < b->taps; j++) {
        const float *w = b->weight[j], *x = b->inputs[(token + 1 + j) % b->taps];
        for (size_t i = 0; i < BLOCK; i++) sum[i] = fmaf(w[i], x[i], sum[i]);
    }
    if (weight_of(b->job)->bias != NULL)
        for (size_t i = 0; i < BLOCK; i++) sum[i] += b->bias[i];
    zx_round_values(y->dtype, b->count, sum);
    const zx_activation activation = launch->attributes->activation;
    if (activation != ZX_ACTIVATION_NONE)
        zx_activation_values(y->dtype, activation, sum, b->count, sum);
    if (b->job->gated) {
        load_columns(launch->inputs[3].dtype, zx_operand_row(&launch->inputs[3], token), b->first,
                     b->count, gate);
        zx_mul_values(y->dtype, sum, gate, b->count, sum);
    }
    zx_row_store(y->dtype, (char *)zx_operand_row(y, token) + b->first * zx_dtypes[y->dtype].bytes,
                 b->count, sum);
}

static void run_sequence(conv_block *b, size_t sequence)
{
    const zx_launch *launch = b->job->launch;
    const size_t begin = (size_t)launch->batch->token_start[sequence];
    const size_t end = (size_t)launch->batch->token_start[sequence + 1];
    if (begin == end) return;
    load_state(b, zx_state_before(launch, sequence), begin);
    for (size_t token = begin; token < end; token++) {
        run_token(b, token);
        store_state(b, zx_state_snapshot(launch, sequence, token), token + 1);
    }
    store_state(b, zx_state_of_slot(launch, launch->batch->states[sequence]), end);
}

static void run_blocks(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const conv_job *job = context;
    const size_t columns = job->launch->inputs[0].columns;
    conv_block b = {.job = job, .columns = columns, .taps = weight_of(job)->rows};
    size_t block, end;
    zx_split((columns + BLOCK - 1) / BLOCK, 1, part, parts, &block, &end);
    for (; block < end; block++) {
        b.first = block * BLOCK;
        b.count = columns - b.first < BLOCK ? columns - b.first : BLOCK;
        load_weight(&b);
        for (size_t s = 0; s < job->launch->batch->sequences; s++) run_sequence(&b, s);
    }
}

static zmlx_status run_job(const zx_launch *launch, bool gated)
{
    const conv_job job = {launch, gated};
    const size_t threads = zx_pool_threads(launch->pool);
    const size_t most = launch->inputs[0].rows * launch->inputs[0].columns / LEAST_VALUES + 1;
    zx_pool_run(launch->pool, most < threads ? most : threads, run_blocks, &job);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(short_conv)(const zx_launch *launch)
{
    return run_job(launch, false);
}

zmlx_status ZX_KERNEL(short_conv_activation)(const zx_launch *launch)
{
    return run_job(launch, false);
}

zmlx_status ZX_KERNEL(short_conv_gated)(const zx_launch *launch)
{
    return run_job(launch, true);
}
