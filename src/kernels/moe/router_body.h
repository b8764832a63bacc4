/* router_body.h - the kernels worth vectorizing; included once per instruction set, which names
 * them. */
#include "kernels/moe/router_rows.h"

enum { COMBINE_BLOCK = 512 };

/* y of a row of scores; y may be x. */
typedef void (*scores_fn)(const zx_attributes *attributes, const float *x, size_t count, float *y);

typedef struct scores_job {
    const zx_launch *launch;
    scores_fn apply;
} scores_job;

static void softmax_scores(const zx_attributes *attributes, const float *x, size_t count, float *y)
{
    (void)attributes;
    zx_softmax_row(x, count, y);
}

static void sigmoid_scores(const zx_attributes *attributes, const float *x, size_t count, float *y)
{
    (void)attributes;
    zx_sigmoid_row(x, count, y);
}

static void normalize_scores(const zx_attributes *attributes, const float *x, size_t count,
                             float *y)
{
    zx_normalize_row(attributes->epsilon, x, count, y);
}

static void scores_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const scores_job *job = context;
    const zx_operand *x = &job->launch->inputs[0], *y = &job->launch->outputs[0];
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        float *const to = zx_operand_row(y, row);
        const float *from = zx_row_load(x->dtype, zx_operand_row(x, row), x->columns, to);
        job->apply(job->launch->attributes, from, x->columns, to);
    }
}

#define SCORES(name, function)                                              \
    zmlx_status ZX_KERNEL(name)(const zx_launch *launch)                    \
    {                                                                       \
        const scores_job job = {launch, function};                          \
        zx_pool_run(launch->pool, zx_row_parts(launch), scores_rows, &job); \
        return ZMLX_OK;                                                     \
    }
SCORES(softmax, softmax_scores)
SCORES(sigmoid_scores, sigmoid_scores)
SCORES(normalize, normalize_scores)
#undef SCORES

/* Columns [first, first + count) of a token's sum, not yet rounded. */
static void combine_block(const zx_operand *x, size_t row, const float *weights, size_t slots,
                          size_t first, size_t count, float *sum)
{
    const size_t size = x->columns / slots, bytes = zx_dtypes[x->dtype].bytes;
    float buffer[COMBINE_BLOCK];
    memset(sum, 0, count * sizeof *sum);
    for (size_t slot = 0; slot < slots; slot++) {
        const char *from = (const char *)zx_operand_row(x, row) + (slot * size + first) * bytes;
        const float *values = zx_row_load(x->dtype, from, count, buffer);
        const float weight = weights[slot];
        for (size_t i = 0; i < count; i++) sum[i] = fmaf(weight, values[i], sum[i]);
    }
}

static void combine_blocks(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_launch *launch = context;
    const zx_operand *x = &launch->inputs[0], *weights = &launch->inputs[1];
    const zx_operand *y = &launch->outputs[0];
    const size_t row_blocks = (y->columns + COMBINE_BLOCK - 1) / COMBINE_BLOCK;
    float sum[COMBINE_BLOCK];
    size_t block, end;
    zx_split(x->rows * row_blocks, 1, part, parts, &block, &end);
    for (; block < end; block++) {
        const size_t row = block / row_blocks, first = block % row_blocks * COMBINE_BLOCK;
        const size_t left = y->columns - first, count = left < COMBINE_BLOCK ? left : COMBINE_BLOCK;
        combine_block(x, row, zx_operand_row(weights, row), weights->columns, first, count, sum);
        zx_row_store(y->dtype, (char *)zx_operand_row(y, row) + first * zx_dtypes[y->dtype].bytes,
                     count, sum);
    }
}

zmlx_status ZX_KERNEL(combine)(const zx_launch *launch)
{
    const size_t threads = zx_pool_threads(launch->pool), least = 8; /* blocks for a thread */
    const size_t row_blocks = (launch->outputs[0].columns + COMBINE_BLOCK - 1) / COMBINE_BLOCK;
    const size_t most = launch->inputs[0].rows * row_blocks / least;
    zx_pool_run(launch->pool,
                most > threads ? threads
                : most > 0     ? most
                               : 1,
                combine_blocks, launch);
    return ZMLX_OK;
}
