/* rmsnorm_body.h - the kernels; included once per instruction set, which names them.
 *
 * One thread's scratch is rows of f32: the weights and the bias of the norms, and the row at work.
 * Where T is f32 the row at work is the output itself. */
#include "kernels/elementwise/elementwise_rows.h"
#include "kernels/quantize/quantize_rows.h"
#include "kernels/rmsnorm/rmsnorm_rows.h"

enum { BLOCK = 256 };

/* x, perhaps normed, perhaps added to a residual, perhaps normed, perhaps quantized. */
typedef struct norm_job {
    const zx_launch *launch;
    const zx_weight *first;     /* of the RMSNorm before the sum, or NULL */
    const zx_operand *residual; /* or NULL */
    const zx_operand *sum;      /* where the sum goes, or NULL */
    const zx_weight *last;      /* of the norm after it, or NULL */
    const zx_operand *y;        /* where the last norm goes, or NULL */
    bool centers;               /* the last norm is a layernorm */
} norm_job;

/* The norms of a job as f32, and the row at work. */
typedef struct norm_thread {
    const float *first, *last, *bias; /* or NULL */
    float *buffer;
} norm_thread;

static norm_thread load_norms(const norm_job *job, float *scratch)
{
    const size_t columns = job->launch->inputs[0].columns;
    const float offset = job->launch->attributes->offset;
    norm_thread mine = {.buffer = scratch};
    if (job->first != NULL) {
        scratch += columns;
        mine.first = zx_norm_weights(job->first, offset, columns, scratch);
    }
    if (job->last == NULL) return mine;
    scratch += columns;
    mine.last = zx_norm_weights(job->last, offset, columns, scratch);
    if (job->last->bias != NULL)
        mine.bias = zx_row_load(job->last->bias_dtype, job->last->bias, columns, scratch + columns);
    return mine;
}

/* x or its norm, as f32. */
static const float *first_values(const norm_job *job, const norm_thread *mine, size_t row)
{
    const zx_operand *x = &job->launch->inputs[0];
    const float *in = zx_row_load(x->dtype, zx_operand_row(x, row), x->columns, mine->buffer);
    if (mine->first == NULL) return in;
    zx_rmsnorm_row(x->dtype, in, mine->first, job->launch->attributes, x->columns, mine->buffer);
    return mine->buffer;
}

/* RN_T(values + residual), T the sum's dtype, as f32 and into the sum's row. */
static const float *add_row(const norm_job *job, const norm_thread *mine, const float *values,
                            size_t row)
{
    const zx_operand *residual = job->residual, *sum = job->sum;
    const size_t columns = sum->columns, bytes = zx_dtypes[residual->dtype].bytes;
    const char *const from = zx_operand_row(residual, row);
    float *const to = sum->dtype == ZX_F32 ? zx_operand_row(sum, row) : mine->buffer;
    float block[BLOCK];
    for (size_t i = 0; i < columns; i += BLOCK) {
        const size_t count = columns - i < BLOCK ? columns - i : BLOCK;
        const float *right = zx_row_load(residual->dtype, from + i * bytes, count, block);
        zx_add_values(sum->dtype, values + i, right, count, to + i);
    }
    zx_row_store(sum->dtype, zx_operand_row(sum, row), columns, to);
    return to;
}

static void norm_row(const norm_job *job, const norm_thread *mine, zx_dtype dtype,
                     const float *values, size_t row)
{
    const zx_attributes *attributes = job->launch->attributes;
    const zx_operand *y = job->y;
    void *const to = zx_operand_row(y, row);
    float *const out = y->dtype == ZX_F32 ? to : mine->buffer;
    if (job->centers)
        zx_layernorm_row(dtype, values, mine->last, mine->bias, attributes->epsilon, y->columns,
                         out);
    else
        zx_rmsnorm_row(dtype, values, mine->last, attributes, y->columns, out);
    if (y->dtype == ZX_QUANTIZED)
        zx_quantize_row(y->layout, out, y->columns, to);
    else
        zx_row_store(dtype, to, y->columns, out);
}

static void norm_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const norm_job *job = context;
    const zx_launch *launch = job->launch;
    const zx_operand *x = &launch->inputs[0];
    const size_t each = zx_scratch_norms(launch) / sizeof(float) / zx_pool_threads(launch->pool);
    const norm_thread mine = load_norms(job, (float *)launch->scratch + thread * each);
    const zx_dtype dtype = job->sum != NULL ? job->sum->dtype : x->dtype;
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const float *values = first_values(job, &mine, row);
        if (job->sum != NULL) values = add_row(job, &mine, values, row);
        if (job->y != NULL) norm_row(job, &mine, dtype, values, row);
    }
}

static zmlx_status run_job(const norm_job *job)
{
    zx_pool_run(job->launch->pool, zx_row_parts(job->launch), norm_rows, job);
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

/* One thread's scratch is the weight, the row at work and its gate. */
static void gated_head_norm_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_attributes *attributes = launch->attributes;
    const zx_operand *x = &launch->inputs[0], *gates = &launch->inputs[1];
    const zx_operand *y = &launch->outputs[0];
    const size_t size = attributes->head_size, heads = x->columns / size;
    float *const scratch = (float *)launch->scratch + thread * 3 * x->columns;
    float *const buffer = scratch + size, *const gate = buffer + size;
    const float *weights =
        zx_norm_weights(launch->inputs[2].weight, attributes->offset, size, scratch);
    size_t row, end;
    zx_split(x->rows * heads, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const size_t at = row % heads * size;
        const char *from = zx_operand_row(x, row / heads);
        const char *gates_from = zx_operand_row(gates, row / heads);
        const float *in =
            zx_row_load(x->dtype, from + at * zx_dtypes[x->dtype].bytes, size, buffer);
        const float *g =
            zx_row_load(gates->dtype, gates_from + at * zx_dtypes[gates->dtype].bytes, size, gate);
        zx_rmsnorm_row(y->dtype, in, weights, attributes, size, buffer);
        zx_activation_values(ZX_F32, attributes->activation, g, size, gate);
        zx_mul_values(y->dtype, buffer, gate, size, buffer);
        zx_row_store(y->dtype,
                     (char *)zx_operand_row(y, row / heads) + at * zx_dtypes[y->dtype].bytes, size,
                     buffer);
    }
}

static void head_l2norm_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    const size_t size = launch->attributes->head_size, heads = x->columns / size;
    float *const buffer = (float *)launch->scratch + thread * 2 * x->columns;
    size_t row, end;
    zx_split(x->rows * heads, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const size_t at = row % heads * size;
        const char *from = zx_operand_row(x, row / heads);
        const float *in =
            zx_row_load(x->dtype, from + at * zx_dtypes[x->dtype].bytes, size, buffer);
        float *const out = (float *)zx_operand_row(y, row / heads) + at;
        const float scale = 1.0F / sqrtf(zx_row_dot(in, in, size) + launch->attributes->epsilon);
        for (size_t i = 0; i < size; i++) out[i] = in[i] * scale;
    }
}

zmlx_status ZX_KERNEL(head_rmsnorm)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), head_norm_rows, launch);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(gated_head_rmsnorm)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), gated_head_norm_rows, launch);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(head_l2norm)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), head_l2norm_rows, launch);
    return ZMLX_OK;
}

/* x, weight -> normed */
static zmlx_status run_norm(const zx_launch *launch, bool centers)
{
    return run_job(&(norm_job){.launch = launch,
                               .last = launch->inputs[1].weight,
                               .y = &launch->outputs[0],
                               .centers = centers});
}

/* x, residual, weight -> normed, sum */
static zmlx_status run_add_norm(const zx_launch *launch, bool centers)
{
    return run_job(&(norm_job){.launch = launch,
                               .residual = &launch->inputs[1],
                               .sum = &launch->outputs[1],
                               .last = launch->inputs[2].weight,
                               .y = &launch->outputs[0],
                               .centers = centers});
}

/* x, weight, residual, weight -> normed, sum */
static zmlx_status run_norm_add_norm(const zx_launch *launch)
{
    return run_job(&(norm_job){.launch = launch,
                               .first = launch->inputs[1].weight,
                               .residual = &launch->inputs[2],
                               .sum = &launch->outputs[1],
                               .last = launch->inputs[3].weight,
                               .y = &launch->outputs[0]});
}

zmlx_status ZX_KERNEL(rmsnorm)(const zx_launch *launch)
{
    return run_norm(launch, false);
}

zmlx_status ZX_KERNEL(rmsnorm_quantize)(const zx_launch *launch)
{
    return run_norm(launch, false);
}

zmlx_status ZX_KERNEL(layernorm)(const zx_launch *launch)
{
    return run_norm(launch, true);
}

zmlx_status ZX_KERNEL(layernorm_quantize)(const zx_launch *launch)
{
    return run_norm(launch, true);
}

zmlx_status ZX_KERNEL(add_rmsnorm)(const zx_launch *launch)
{
    return run_add_norm(launch, false);
}

zmlx_status ZX_KERNEL(add_rmsnorm_quantize)(const zx_launch *launch)
{
    return run_add_norm(launch, false);
}

zmlx_status ZX_KERNEL(add_layernorm)(const zx_launch *launch)
{
    return run_add_norm(launch, true);
}

zmlx_status ZX_KERNEL(add_layernorm_quantize)(const zx_launch *launch)
{
    return run_add_norm(launch, true);
}

zmlx_status ZX_KERNEL(rmsnorm_add)(const zx_launch *launch)
{
    return run_job(&(norm_job){.launch = launch,
                               .first = launch->inputs[1].weight,
                               .residual = &launch->inputs[2],
                               .sum = &launch->outputs[0]});
}

zmlx_status ZX_KERNEL(rmsnorm_add_rmsnorm)(const zx_launch *launch)
{
    return run_norm_add_norm(launch);
}

zmlx_status ZX_KERNEL(rmsnorm_add_rmsnorm_quantize)(const zx_launch *launch)
{
    return run_norm_add_norm(launch);
}
