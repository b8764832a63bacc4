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

/* -------- whole routers -------- */

typedef struct router_job {
    const zx_launch *launch;
    scores_fn score;  /* of all logits; NULL: the logits choose, and weigh as they are */
    scores_fn finish; /* of the chosen; NULL: none */
} router_job;

/* 'memory' is three rows of f32. */
static void route_row(const router_job *job, size_t row, float *memory)
{
    const zx_launch *launch = job->launch;
    const zx_operand *logits = &launch->inputs[0];
    const zx_weight *bias = launch->inputs[1].weight;
    const size_t count = logits->columns, top_k = launch->outputs[0].columns;
    float *const weights = zx_operand_row(&launch->outputs[0], row);
    int32_t *const indices = zx_operand_row(&launch->outputs[1], row);
    float *const scored = memory + count, *const biased = memory + 2 * count;
    const float *scores = zx_row_load(logits->dtype, zx_operand_row(logits, row), count, memory);
    if (job->score != NULL) job->score(launch->attributes, scores, count, scored);
    if (job->score != NULL) scores = scored;
    const float *choice = scores;
    if (bias != NULL) {
        for (size_t i = 0; i < count; i++)
            biased[i] = scores[i] + zx_load(bias->dtype, bias->codes, i);
        choice = biased;
    }
    if (launch->attributes->groups > 0) {
        zx_group_limit_row(launch->attributes, choice, count, memory);
        choice = memory;
    }
    zx_topk_row(choice, count, top_k, indices);
    for (size_t j = 0; j < top_k; j++) weights[j] = scores[indices[j]];
    if (job->finish != NULL) job->finish(launch->attributes, weights, top_k, weights);
    if (launch->attributes->scale != 0)
        for (size_t j = 0; j < top_k; j++) weights[j] *= launch->attributes->scale;
}

static void route_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const router_job *job = context;
    const zx_operand *logits = &job->launch->inputs[0];
    float *const memory = (float *)job->launch->scratch + thread * 3 * logits->columns;
    size_t row, end;
    zx_split(logits->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) route_row(job, row, memory);
}

#define ROUTER(name, score, finish)                                        \
    zmlx_status ZX_KERNEL(name)(const zx_launch *launch)                   \
    {                                                                      \
        const router_job job = {launch, score, finish};                    \
        zx_pool_run(launch->pool, zx_row_parts(launch), route_rows, &job); \
        return ZMLX_OK;                                                    \
    }
ROUTER(router_softmax, softmax_scores, NULL)
ROUTER(router_softmax_normalize, softmax_scores, normalize_scores)
ROUTER(router_chosen, NULL, softmax_scores)
ROUTER(router_sigmoid, sigmoid_scores, normalize_scores)
#undef ROUTER
