/* rmsnorm_body.h - the kernels; included once per instruction set, which names them.
 *
 * One thread's scratch is two rows: the weight as f32, and the row at work.  Where T is f32 the
 * row at work is the output itself. */
#include "kernels/elementwise/elementwise_rows.h"
#include "kernels/quantize/quantize_rows.h"
#include "kernels/rmsnorm/rmsnorm_rows.h"

enum { BLOCK = 256 };

/* sum = RN_T(x + residual), T the sum's dtype, as f32 into 'values' and into the sum's row. */
static void add_row(const zx_operand *x, const zx_operand *residual, const zx_operand *sum,
                    size_t row, float *values)
{
    float a_buffer[BLOCK], b_buffer[BLOCK];
    const char *a = zx_operand_row(x, row), *b = zx_operand_row(residual, row);
    for (size_t i = 0; i < x->columns; i += BLOCK) {
        const size_t count = x->columns - i < BLOCK ? x->columns - i : BLOCK;
        const float *left =
            zx_row_load(x->dtype, a + i * zx_dtypes[x->dtype].bytes, count, a_buffer);
        const float *right =
            zx_row_load(residual->dtype, b + i * zx_dtypes[residual->dtype].bytes, count, b_buffer);
        zx_add_values(sum->dtype, left, right, count, values + i);
    }
    zx_row_store(sum->dtype, zx_operand_row(sum, row), x->columns, values);
}

typedef struct norm_job {
    const zx_launch *launch;
    bool adds, quantizes;
} norm_job;

/* Rows of any of the four ops: one that adds has three inputs, and the sum is its second output. */
static void norm_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const norm_job *job = context;
    const zx_launch *launch = job->launch;
    const zx_operand *x = &launch->inputs[0];
    const zx_operand *y = &launch->outputs[0], *sum = &launch->outputs[1];
    const zx_weight *weight = launch->inputs[job->adds ? 2 : 1].weight;
    const size_t columns = x->columns;
    const zx_dtype dtype = !job->quantizes ? y->dtype : job->adds ? sum->dtype : x->dtype;
    float *const scratch = (float *)launch->scratch + thread * 2 * columns;
    float *const buffer = scratch + columns;
    const float *weights = zx_norm_weights(weight, launch->attributes->offset, columns, scratch);
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        float *const out = !job->quantizes && dtype == ZX_F32 ? zx_operand_row(y, row) : buffer;
        const float *in;
        if (job->adds) {
            float *const values = sum->dtype == ZX_F32 ? zx_operand_row(sum, row) : buffer;
            add_row(x, &launch->inputs[1], sum, row, values);
            in = values;
        } else {
            in = zx_row_load(x->dtype, zx_operand_row(x, row), columns, buffer);
        }
        zx_rmsnorm_row(dtype, in, weights, launch->attributes, columns, out);
        if (job->quantizes)
            zx_quantize_row(y->layout, out, columns, zx_operand_row(y, row));
        else
            zx_row_store(dtype, zx_operand_row(y, row), columns, out);
    }
}

static zmlx_status run_job(const zx_launch *launch, bool adds, bool quantizes)
{
    const norm_job job = {launch, adds, quantizes};
    zx_pool_run(launch->pool, zx_row_parts(launch), norm_rows, &job);
    return ZMLX_OK;
}

/* Rows are (token, head). */
static void head_norm_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    const size_t size = launch->attributes->head_size, heads = x->columns / size;
    const size_t bytes = size * zx_dtypes[x->dtype].bytes;
    float *const scratch = (float *)launch->scratch + thread * 2 * x->columns;
    float *const buffer = scratch + size;
    const float *weights =
        zx_norm_weights(launch->inputs[1].weight, launch->attributes->offset, size, scratch);
    size_t row, end;
    zx_split(x->rows * heads, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const size_t skip = row % heads * bytes;
        const void *from = (const char *)zx_operand_row(x, row / heads) + skip;
        void *const to = (char *)zx_operand_row(y, row / heads) + skip;
        float *const out = y->dtype == ZX_F32 ? to : buffer;
        const float *in = zx_row_load(x->dtype, from, size, buffer);
        zx_rmsnorm_row(y->dtype, in, weights, launch->attributes, size, out);
        zx_row_store(y->dtype, to, size, out);
    }
}

static void layernorm_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    const zx_weight *weight = launch->inputs[1].weight;
    const size_t columns = x->columns;
    float *const scratch = (float *)launch->scratch + thread * 3 * columns;
    float *const buffer = scratch + 2 * columns;
    const float *weights = zx_norm_weights(weight, launch->attributes->offset, columns, scratch);
    const float *bias = NULL;
    size_t row, end;
    if (weight->bias != NULL)
        bias = zx_row_load(weight->bias_dtype, weight->bias, columns, scratch + columns);
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        float *const out = y->dtype == ZX_F32 ? zx_operand_row(y, row) : buffer;
        const float *in = zx_row_load(x->dtype, zx_operand_row(x, row), columns, buffer);
        zx_layernorm_row(y->dtype, in, weights, bias, launch->attributes->epsilon, columns, out);
        zx_row_store(y->dtype, zx_operand_row(y, row), columns, out);
    }
}

zmlx_status ZX_KERNEL(head_rmsnorm)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), head_norm_rows, launch);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(layernorm)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), layernorm_rows, launch);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(rmsnorm)(const zx_launch *launch)
{
    return run_job(launch, false, false);
}

zmlx_status ZX_KERNEL(add_rmsnorm)(const zx_launch *launch)
{
    return run_job(launch, true, false);
}

zmlx_status ZX_KERNEL(rmsnorm_quantize)(const zx_launch *launch)
{
    return run_job(launch, false, true);
}

zmlx_status ZX_KERNEL(add_rmsnorm_quantize)(const zx_launch *launch)
{
    return run_job(launch, true, true);
}
