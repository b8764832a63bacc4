/* elementwise_body.h - the kernels; included once per instruction set, which names them.
 *
 * Work is cut into blocks of a row, so that one long row feeds several threads. */
#include "kernels/elementwise/elementwise_rows.h"
#include "kernels/quantize/quantize_rows.h"

enum { BLOCK = 512, LEAST_BLOCKS = 8 /* for a thread: below, waking it costs more */ };

/* y = f(a, b) for a block; b is NULL where the op has one input. */
typedef void (*block_fn)(zx_dtype dtype, const float *a, const float *b, size_t count, float *y);

typedef struct block_job {
    const zx_launch *launch;
    block_fn apply;
    bool binary;
} block_job;

static void add_block(zx_dtype dtype, const float *a, const float *b, size_t count, float *y)
{
    zx_add_values(dtype, a, b, count, y);
}

static void mul_block(zx_dtype dtype, const float *a, const float *b, size_t count, float *y)
{
    zx_mul_values(dtype, a, b, count, y);
}

static void silu_block(zx_dtype dtype, const float *a, const float *b, size_t count, float *y)
{
    (void)b;
    zx_silu_values(dtype, a, count, y);
}

static void swiglu_block(zx_dtype dtype, const float *a, const float *b, size_t count, float *y)
{
    zx_swiglu_values(dtype, a, b, count, y);
}

static const float *load_block(const zx_operand *operand, size_t row, size_t first, size_t count,
                               float *buffer)
{
    const char *at = zx_operand_row(operand, row);
    return zx_row_load(operand->dtype, at + first * zx_dtypes[operand->dtype].bytes, count, buffer);
}

static void run_blocks(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const block_job *job = context;
    const zx_operand *x = &job->launch->inputs[0];
    const zx_operand *y = &job->launch->outputs[0];
    const size_t row_blocks = (x->columns + BLOCK - 1) / BLOCK;
    float a_buffer[BLOCK], b_buffer[BLOCK], y_buffer[BLOCK];
    size_t block, end;
    zx_split(x->rows * row_blocks, 1, part, parts, &block, &end);
    for (; block < end; block++) {
        const size_t row = block / row_blocks, first = block % row_blocks * BLOCK;
        const size_t count = x->columns - first < BLOCK ? x->columns - first : BLOCK;
        const float *a = load_block(x, row, first, count, a_buffer);
        const float *b = NULL;
        if (job->binary) b = load_block(&job->launch->inputs[1], row, first, count, b_buffer);
        char *const to = (char *)zx_operand_row(y, row) + first * zx_dtypes[y->dtype].bytes;
        float *const values = y->dtype == ZX_F32 ? (float *)(void *)to : y_buffer;
        job->apply(y->dtype, a, b, count, values);
        zx_row_store(y->dtype, to, count, values);
    }
}

static zmlx_status run_job(const zx_launch *launch, block_fn apply, bool binary)
{
    const block_job job = {launch, apply, binary};
    const size_t threads = zx_pool_threads(launch->pool);
    const size_t blocks =
        launch->inputs[0].rows * ((launch->inputs[0].columns + BLOCK - 1) / BLOCK);
    const size_t most = blocks / LEAST_BLOCKS > 0 ? blocks / LEAST_BLOCKS : 1;
    zx_pool_run(launch->pool, most < threads ? most : threads, run_blocks, &job);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(add)(const zx_launch *launch)
{
    return run_job(launch, add_block, true);
}

zmlx_status ZX_KERNEL(mul)(const zx_launch *launch)
{
    return run_job(launch, mul_block, true);
}

zmlx_status ZX_KERNEL(silu)(const zx_launch *launch)
{
    return run_job(launch, silu_block, false);
}

zmlx_status ZX_KERNEL(swiglu)(const zx_launch *launch)
{
    return run_job(launch, swiglu_block, true);
}

static void swiglu_quantize_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *gate = &launch->inputs[0], *up = &launch->inputs[1];
    const zx_operand *y = &launch->outputs[0];
    float *const first = (float *)launch->scratch + thread * 2 * gate->columns;
    float *const second = first + gate->columns;
    size_t row, end;
    zx_split(gate->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const float *a = zx_row_load(gate->dtype, zx_operand_row(gate, row), gate->columns, first);
        const float *b = zx_row_load(up->dtype, zx_operand_row(up, row), gate->columns, second);
        zx_swiglu_values(gate->dtype, a, b, gate->columns, first);
        zx_quantize_row(y->layout, first, gate->columns, zx_operand_row(y, row));
    }
}

zmlx_status ZX_KERNEL(swiglu_quantize)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), swiglu_quantize_rows, launch);
    return ZMLX_OK;
}
